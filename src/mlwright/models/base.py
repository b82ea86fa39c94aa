"""Model: fit and predict on a numeric matrix with column tags. It knows nothing of raw columns.

`predict`, `predict_row`, `state` and `from_state` run in the serving process: they import neither the learner's
training package nor scikit-learn or pandas. `fit` imports what it needs inside the function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Rule, check
from mlwright.core.types import Floats
from mlwright.data.schema import Task

__all__ = ["FitContext", "Model"]


def _never() -> bool:
    return False


def _never_within(seconds: float) -> bool:  # noqa: ARG001 - the seam's
    return False


@dataclass(frozen=True, slots=True)
class FitContext:
    """All that a fit gets besides the matrix and the target.

    Parameters
    ----------
    task : Task
        What is predicted; ``task.labels`` gives the number of classes.
    categorical : tuple of int
        Matrix columns that hold codes without an order (NaN is missing).
    groups : tuple of int
        For each matrix column the number of the raw column that it comes from, from 0; empty: each is its own.
    valid : tuple of (ndarray, ndarray), optional
        Rows to stop early on.
    weights : ndarray of shape (n_rows,), optional
        How much each row of the fit counts, more than 0; None is 1 for all.
    valid_weights : ndarray, optional
        The same for the rows of `valid`.
    n_iterations : int, optional
        Fit exactly so many iterations and do not stop early: a refit, or a replay of a recorded fit.
    stop : callable
        True when time is up; asked after each iteration. A fit that stops keeps what it has.
    over_within : callable
        True when so many seconds more are too many: a learner whose first iteration would take them may give up at once.
    threads : int
        Cores that the fit may use.
    seed : int
        For whatever is drawn. The same seed gives the same bits with any number of threads.
    """

    task: Task
    categorical: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    valid: tuple[Floats, Floats] | None = None
    weights: Floats | None = None
    valid_weights: Floats | None = None
    n_iterations: int | None = None
    stop: Callable[[], bool] = field(default=_never)
    over_within: Callable[[float], bool] = field(default=_never_within)
    threads: int = 1
    seed: int = 0


class Model(ABC):
    """One learner.

    Hyperparameters stand in ``__init__`` only, keyword-only, each with a rule in `rules`. After `fit`,
    ``n_iterations_`` says how many iterations (trees, epochs; 1 where the word has no meaning) it holds: fitting again
    with ``FitContext.n_iterations`` set to it and without ``valid`` gives the same model, bit by bit.
    """

    kind: ClassVar[str]
    rules: ClassVar[Mapping[str, Rule]] = {}
    grows: ClassVar[bool] = False  # True where iterations are grown until validation stops improving
    more_rows: ClassVar[float] = 0.25  # the power of the rows that iterations of one output grow with
    n_columns_: int
    n_outputs_: int
    n_iterations_: int
    curve_: Sequence[tuple[int, float]] = ()  # (iteration, validation loss), where iterations are grown

    def __init__(self, **params: Any) -> None:
        check(type(self).__name__, params, self.rules)
        self.params = params

    @classmethod  # noqa: B027 - a learner without a package of its own has nothing to do
    def prepare(cls) -> None:
        """Import what `fit` needs: a learner's package takes seconds to load, which belong to no fit's time."""

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether it has a loss for the task: a search passes over one that has none."""
        return task.kind.needs_target

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds `predict_row` takes: a figure of the kind, not of this machine.

        A search that chooses by it chooses the same on every machine.
        """
        return 10.0

    @abstractmethod
    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit on a matrix of shape (n_rows, n_columns), NaN where missing, and y of shape (n_rows,)."""

    def settle(self) -> None:  # noqa: B027 - most learners have nothing to give back
        """Give back what only fitting needed, because the model is kept; predictions stay the same, bit by bit.

        A model that a search judges and throws away is spared the work of taking its lasting form.
        """

    @abstractmethod
    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs): the value, P(second class), or one probability a class."""

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row of shape (n_columns,), equal to `predict`'s within 1e-12."""
        return self.predict(np.ascontiguousarray(row).reshape(1, -1))[0].tolist()

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called, as `predict_row` does.

        For one thread at a time; a learner whose library reads the row in place saves a copy.
        """
        return lambda: self.predict_row(row)

    @classmethod
    def together(cls, models: Sequence[Self]) -> Callable[[Floats], Callable[[], list[Sequence[float]]]]:
        """Return what binds fitted models to a row that all of them read: like `bind`, for one prediction a model.

        A learner whose models share work on a row overrides it.
        """

        def bind(row: Floats) -> Callable[[], list[Sequence[float]]]:
            bound = [model.bind(row) for model in models]
            return lambda: [predict() for predict in bound]

        return bind

    @property
    def margin_scale(self) -> str | None:
        """The scale of `margins` and `contributions`; None where the fitted model cannot explain itself.

        ``"log-odds"`` of the second class, ``"score"`` (one a class, before softmax), ``"log"`` of the value, or
        ``"value"``.
        """
        return None

    def margins(self, X: Floats) -> Floats:
        """Return the predictions before their link, shape (n_rows, n_outputs).

        Raises
        ------
        NotImplementedError
            Where `margin_scale` is None.
        """
        raise NotImplementedError(f"{self.kind} has no margins")

    def contributions(self, X: Floats) -> Floats:
        """Return exact Shapley values of the margins, shape (n_rows, n_outputs, n_columns + 1).

        The last column is the expected margin; all columns of a row add up to its margin.

        Raises
        ------
        NotImplementedError
            Where `margin_scale` is None.
        """
        raise NotImplementedError(f"{self.kind} does not explain its predictions")

    def header_tree(self, **more: Any) -> dict[str, Any]:
        """Return what every state's tree begins with, and `more`; `mlwright.models.state_audit.header` reads it."""
        return {
            "kind": self.kind,
            "params": self.params,
            "n_columns": self.n_columns_,
            "n_outputs": self.n_outputs_,
            "n_iterations": self.n_iterations_,
            **more,
        }

    @abstractmethod
    def state(self) -> State:
        """Return all that `from_state` needs; ``tree`` holds ``kind``, ``params``, ``n_columns``, ``n_outputs``."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: State) -> Self:
        """Audit the state (shapes, indices, finite numbers), then build; raise `BundleContentError` otherwise."""

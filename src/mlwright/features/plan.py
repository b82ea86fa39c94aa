"""FeaturePlan: the ordered transforms that turn raw columns, or one record, into numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core import kinds
from mlwright.core.errors import BundleContentError, SchemaError
from mlwright.core.seeds import derive
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Coded, Columns
from mlwright.features.base import OutputTag, PairTransform, Transform

__all__ = ["FeaturePlan", "Step"]


class Step(NamedTuple):
    """One transform of the row path."""

    column: str
    """The raw column that it reads."""
    function: Callable[[Any], Sequence[float]]
    """From a canonical cell to its numbers."""
    n_outputs: int
    is_identity: bool
    """Whether its one number is the cell itself."""
    gap: float
    """What that number is where the cell is missing."""
    scalar: Callable[[], Callable[[Any], float] | None]
    """`mlwright.features.base.Transform.scalar`."""


class FeaturePlan:
    """Transforms side by side: each reads one raw column and fills its own columns of the matrix.

    The batch path over columns and the row path over one record give bit-equal numbers. An input that is absent is
    missing in both. A fitted plan is not changed by its use, so threads may share it.

    Parameters
    ----------
    transforms : sequence of Transform
        In the order of the matrix, those of two columns after all others. A transform may have no outputs, and
        several may read one column.

    Examples
    --------
    >>> from mlwright.features.number import Number
    >>> ages = {"age": np.array([30.0, 50.0])}
    >>> plan = FeaturePlan([Number("age")]).fit(ages, np.zeros(2), n_classes=0, seed=0)
    >>> plan.batch(ages).tolist(), plan.row({"age": 41.0}).tolist(), plan.row({}).tolist()
    ([[30.0], [50.0]], [41.0], [30.0])
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(sorted(transforms, key=lambda t: isinstance(t, PairTransform)))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that are read, each once."""
        return tuple(dict.fromkeys(name for transform in self.transforms for name in transform.inputs))

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Fit each transform; `mlwright.features.base.Transform.fit` says what the parameters are.

        Raises
        ------
        SchemaError
            If a column is absent or of the wrong type.
        """
        self._check(columns, self.inputs)
        for transform in self.transforms:
            transform.fit(columns, y, n_classes=n_classes, seed=_seed(seed, transform))
        return self.arrange()

    def fit_batch(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Floats:
        """Fit, and return the training rows' matrix: out-of-fold where the target is used, else like `batch`."""
        self._check(columns, self.inputs)
        parts = [
            transform.fit_batch(columns, y, n_classes=n_classes, seed=_seed(seed, transform))
            for transform in self.transforms
        ]
        self.arrange()
        return self._side_by_side(parts, len(y))

    def batch(self, columns: Columns) -> Floats:
        """Return the matrix of shape (n_rows, n_outputs), float64, C order.

        Raises
        ------
        SchemaError
            If a column is of the wrong type, or none of the inputs is there to say how many rows there are.
        """
        present = [name for name in self.inputs if name in columns]
        if not present and not columns:
            raise SchemaError(
                "no column to count the rows by", got=[], allowed=self.inputs, fix="give at least one column"
            )
        self._check(columns, present)
        first = columns[present[0]] if present else next(iter(columns.values()))
        n_rows = len(first.codes) if isinstance(first, Coded) else len(first)
        parts = (t.batch(_with_absent(t, columns, n_rows)) for t in self.transforms)
        return self._side_by_side(parts, n_rows)

    def row(self, cells: Mapping[str, Cell]) -> Floats:
        """Return shape (n_outputs,) for one record of canonical cells; an absent one is missing."""
        get = cells.get
        values: list[float] = []
        for step in self._singles:
            values += step.function(get(step.column))
        for name, other, both in self._pairs:
            values += both(get(name), get(other))
        return np.array(values, dtype=np.float64)

    def arrange(self) -> Self:
        """Lay out the outputs of the fitted transforms one after another, and return self."""
        self.tags: list[OutputTag] = []
        self._slices: list[slice] = []
        self._singles: list[Step] = []
        self._pairs: list[tuple[str, str, Callable[[Cell, Cell], Sequence[float]]]] = []
        for transform in self.transforms:
            tags = transform.tags
            self._slices.append(slice(len(self.tags), len(self.tags) + len(tags)))
            self.tags += tags
            if tags and isinstance(transform, PairTransform):
                self._pairs.append((transform.column, transform.other, transform.row))
            elif tags:
                step = Step(
                    transform.column,
                    transform.row,
                    len(tags),
                    transform.is_identity,
                    transform.gap,
                    transform.scalar,
                )
                self._singles.append(step)
        # What reads two columns is no step: such a plan has none to lay out, and is asked by `row`.
        self.steps: list[Step] | None = None if self._pairs else self._singles
        self.categorical = tuple(i for i, tag in enumerate(self.tags) if tag.categorical)
        return self

    def _check(self, columns: Columns, names: Sequence[str]) -> None:
        absent = [name for name in names if name not in columns]
        if absent:
            raise SchemaError("columns are absent", got=absent, allowed=list(columns)[:50])
        known = set(names)
        for transform in self.transforms:
            for name in transform.inputs:
                if name in known and isinstance(columns[name], Coded) != transform.coded:
                    raise SchemaError(
                        f"column '{name}' does not fit the transform '{transform.kind}'",
                        got="numbers" if transform.coded else "strings",
                        allowed="strings" if transform.coded else "numbers",
                        fix="read the columns with the schema that the plan was built from",
                    )

    def _side_by_side(self, parts: Iterable[Floats], n_rows: int) -> Floats:
        out = np.empty((n_rows, len(self.tags)))
        for place, part in zip(self._slices, parts, strict=True):
            out[:, place] = part
        return out

    def state(self) -> State:
        """Return the transforms' states, each under its number."""
        children = {str(i): transform.state() for i, transform in enumerate(self.transforms)}
        return State.nest(children, n_outputs=len(self.tags))

    @classmethod
    def from_state(cls, state: State) -> FeaturePlan:
        """Build a fitted plan.

        Raises
        ------
        BundleKindError
            If a transform's kind is not in the closed table.
        BundleContentError
            If the tree, or a transform's part of it, is malformed.
        """
        children = state.tree.get("children") if isinstance(state.tree, Mapping) else None
        if not isinstance(children, Mapping) or set(children) != {str(i) for i in range(len(children))}:
            raise BundleContentError("feature plan: children", allowed="transforms numbered from 0")
        arrays: dict[str, dict[str, Any]] = {name: {} for name in children}
        for key, array in state.arrays.items():
            name, _, rest = key.partition("/")
            if name not in arrays:
                raise BundleContentError("feature plan: an array belongs to no transform", got=key)
            arrays[name][rest] = array
        transforms = []
        for i in range(len(children)):  # by number: a tree from JSON has its keys in another order
            tree = children[str(i)]
            if not isinstance(tree, Mapping):
                raise BundleContentError(f"feature plan: transform {i}", got=tree, allowed="an object")
            kind = kinds.load(kinds.TRANSFORMS, tree.get("kind", ""), family="transform")
            transforms.append(kind.from_state(State(dict(tree), arrays[str(i)])))
        plan = cls(transforms).arrange()
        if state.tree.get("n_outputs") != len(plan.tags):
            raise BundleContentError(
                "feature plan: n_outputs", got=state.tree.get("n_outputs"), allowed=str(len(plan.tags))
            )
        return plan


def _seed(seed: int, transform: Transform) -> int:
    return derive(seed, transform.kind, *transform.inputs)


def _with_absent(transform: Transform, columns: Columns, n_rows: int) -> Columns:
    absent = [name for name in transform.inputs if name not in columns]
    if not absent:
        return columns
    missing = Coded(np.full(n_rows, -1, np.int32), []) if transform.coded else np.full(n_rows, np.nan)
    return {
        **{name: columns[name] for name in transform.inputs if name in columns},
        **dict.fromkeys(absent, missing),
    }

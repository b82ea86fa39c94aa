"""TextScore: a text as what a linear model over all its terms says of the target, out-of-fold for the rows of the fit."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Flag, Number, Rule, check
from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.values import Cell, Coded, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.folds import classes_of, draw_folds
from mlwright.features.levels import by_level, count_levels
from mlwright.features.vocabulary import MAX_CHARACTERS, Vocabulary, words

__all__ = ["TextScore"]

_MOST_ROWS, _MOST_CHARACTERS = 50_000, 25_000_000  # that the model is fitted on
# Its random numbers are one sequence a process: two fits at once would share them.
_LIBLINEAR = threading.Lock()


class TextScore(Transform):
    """The score of a linear model over the TF-IDF weights of a text's words and word pairs.

    Terms may be tens of thousands; the matrix gets one number (one a class for more than two classes), for linear
    models and trees alike. Classes: logistic regression, each class against the rest, by dual coordinate descent
    [1]_; the outputs are log odds. Regression: ridge; the output is in standard deviations of the target from its
    mean. A missing text has the score of an empty one. All outputs are finite.

    `fit_batch` scores each training row by a model fitted on the other four of five seeded folds, so that no row sees
    its own target.

    Parameters
    ----------
    column : str
        The raw column's name.
    alpha : float, default=0.5
        Strength of the penalty, in rows.
    weighed : bool, default=True
        Weigh terms, for classes, by how much more often one side holds them [2]_.
    max_terms, min_documents, longest : int, default=100_000, 2, 2
        See `mlwright.features.text_tfidf.TextTFIDF`; counts are damped to ``1 + log(count)`` here.
    max_classes : int, default=10
        The most outputs for classes, of the most frequent ones.

    References
    ----------
    .. [1] H.-F. Yu, F.-L. Huang and C.-J. Lin (2011), "Dual coordinate descent methods for logistic regression and
       maximum entropy models", Machine Learning 85.
    .. [2] S. Wang and C. Manning (2012), "Baselines and bigrams: simple, good sentiment and topic classification",
       ACL 2012.

    Examples
    --------
    >>> notes = {"note": Coded(np.array([0, 1] * 20, np.int32), ["good fit", "bad fit"])}
    >>> score = TextScore("note").fit(notes, np.array([1.0, 0.0] * 20), n_classes=2, seed=0)
    >>> score.row("good")[0] > 1, score.row("bad day")[0] < -1
    (True, True)
    """

    kind: ClassVar[str] = "text_score"
    coded: ClassVar[bool] = True
    rules: ClassVar[dict[str, Rule]] = {
        "alpha": Number(1e-6, 1e6),
        "weighed": Flag(),
        "max_terms": Number(1, 1_000_000, integer=True),
        "min_documents": Number(1, 1_000_000, integer=True),
        "longest": Number(1, 3, integer=True),
        "max_classes": Number(1, 1000, integer=True),
    }

    def __init__(
        self,
        column: str,
        *,
        alpha: float = 0.5,
        weighed: bool = True,
        max_terms: int = 100_000,
        min_documents: int = 2,
        longest: int = 2,
        max_classes: int = 10,
    ) -> None:
        super().__init__(column)
        self.alpha = alpha
        self.weighed = weighed
        self.max_terms = max_terms
        self.min_documents = min_documents
        self.longest = longest
        self.max_classes = max_classes
        check("TextScore", self.params(), self.rules)

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Find the terms and fit the model on all rows."""
        self._fit(columns, y, n_classes, seed)
        return self

    def fit_batch(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Floats:
        """Fit, and return the training rows' out-of-fold scores, shape (n_rows, n_outputs)."""
        rows, matrix, targets = self._fit(columns, y, n_classes, seed)
        folds = draw_folds(y[rows], n_classes, seed, "text_score")
        # Rows that the model was not fitted on need no folds.
        out = self.batch(columns) if len(rows) < len(y) else np.empty((len(y), targets.shape[1]))
        scores = np.zeros(targets.shape)
        for fold in np.unique(folds):
            mine = folds == fold
            weights, bias = self._model(matrix[~mine], targets[~mine], n_classes, seed)
            scores[mine] = matrix[mine] @ weights + bias
        out[rows] = scores
        return out

    def _fit(self, columns: Columns, y: Floats, n_classes: int, seed: int) -> tuple[Ints, Any, Floats]:
        rows = _sampled(columns[self.column], seed)
        matrix = self._terms(columns, rows)
        targets = self._targets(y, n_classes)[rows]
        self.set_learned(*self._model(matrix, targets, n_classes, seed))
        return rows, matrix, targets

    def _terms(self, columns: Columns, rows: Ints) -> Any:
        """Find the terms, and return their weights in `rows` as a sparse matrix."""
        from scipy import sparse

        column: Any = columns[self.column]
        column = Coded(column.codes[rows], column.levels)
        counted = count_levels(column)
        self.vocabulary_, parts = Vocabulary.fit_weights(
            [text for text, _ in counted],
            [count for _, count in counted],
            max_terms=self.max_terms,
            min_documents=self.min_documents,
            longest=self.longest,
        )
        values, places, starts = parts
        parts = values, places, np.append(starts, starts[-1])
        matrix = sparse.csr_matrix(parts, shape=(len(counted) + 1, len(self.vocabulary_.terms)))
        place_of = {text: place for place, (text, _) in enumerate(counted)}
        of_code = np.array([*(place_of.get(level, -1) for level in column.levels), len(counted)])
        return matrix[of_code[column.codes]]  # the last row is empty: that of a missing text

    def _weights(self, cell: Cell) -> tuple[list[int], list[float]]:
        return ([], []) if cell is None else self.vocabulary_.weights(words(str(cell)), damped=True)

    def _targets(self, y: Floats, n_classes: int) -> Floats:
        self.classes_ = classes_of(y, n_classes, self.max_classes)
        if self.classes_:
            return np.column_stack([y == c for c in self.classes_]).astype(np.float64)
        deviation = float(y.std())
        return ((y - y.mean()) / (deviation if deviation > 0 else 1.0)).reshape(-1, 1)

    def _model(self, matrix: Any, targets: Floats, n_classes: int, seed: int) -> tuple[Floats, Floats]:
        """Return weights of shape (n_terms, n_outputs) and the bias of each output."""
        weights, bias = np.zeros((matrix.shape[1], targets.shape[1])), np.zeros(targets.shape[1])
        for j in range(targets.shape[1]) if matrix.shape[1] else ():
            if n_classes:
                told = _told(matrix, targets[:, j]) if self.weighed else np.ones(matrix.shape[1])
                found, bias[j] = _logistic(matrix.multiply(told).tocsr(), targets[:, j], self.alpha, seed)
                weights[:, j] = found * told
            else:
                weights[:, j], bias[j] = _ridge(matrix, targets[:, j], self.alpha)
        return weights, bias

    def set_learned(self, weights: Floats, bias: Floats) -> Self:
        """Hold what was learned, and return self."""
        self.weights_, self.bias_ = weights, bias
        self._single = weights[:, 0].tolist() if weights.shape[1] == 1 else None
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, n_outputs), with each distinct text read once."""
        column: Any = columns[self.column]
        return by_level(column, self.row, len(self.bias_))

    def row(self, cell: Cell) -> Sequence[float]:
        """Return one score an output."""
        places, values = self._weights(cell)
        if self._single is not None:
            of_term = self._single
            return [
                float(self.bias_[0]) + math.fsum(of_term[i] * v for i, v in zip(places, values, strict=True))
            ]
        if not places:
            return self.bias_.tolist()
        # A sum over the first axis adds row by row, in order; a matrix product's order would hang on its shape.
        return ((np.array(values)[:, None] * self.weights_[places]).sum(axis=0) + self.bias_).tolist()

    @property
    def tags(self) -> list[OutputTag]:
        """One tag an output."""
        names = [f"{self.column}: score"]
        if len(self.classes_) > 1:
            names = [f"{self.column}: score of class {c}" for c in self.classes_]
        return [OutputTag(name, self.column) for name in names]

    def state(self) -> State:
        """Return the terms and the model."""
        part = self.vocabulary_.state()
        tree = {**audit.tree(self), **part.tree, "classes": self.classes_}
        return State(tree, {**part.arrays, "weights": self.weights_, "bias": self.bias_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one row of weights a term and one column an output."""
        new = audit.build(cls, state)
        new.vocabulary_ = Vocabulary.from_state(state, new.longest)
        new.classes_ = [int(c) for c in audit.numbers(state, "classes")]
        width = max(1, len(new.classes_))
        weights = audit.array(state, "weights", (len(new.vocabulary_.terms), width))
        return new.set_learned(weights, audit.array(state, "bias", (width,)))


def _sampled(column: Any, seed: int) -> Ints:
    """Return the rows of the fit: all, or as many drawn ones as bound time and memory."""
    n_rows = len(column.codes)
    sizes = np.array([*(min(len(level), MAX_CHARACTERS) for level in column.levels), 0])
    characters = max(1, int(sizes[column.codes].sum()))
    most = min(_MOST_ROWS, int(_MOST_CHARACTERS / characters * n_rows))
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(generator(seed, "text_score").choice(n_rows, most, replace=False))


def _logistic(matrix: Any, target: Floats, alpha: float, seed: int) -> tuple[Floats, float]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    share = float(target.mean()) if len(target) else 0.0
    if share in {0.0, 1.0}:  # one class alone: no term says anything
        odds = (share * len(target) + 0.5) / ((1 - share) * len(target) + 0.5)
        return np.zeros(matrix.shape[1]), math.log(odds)
    regression = LogisticRegression(
        C=1 / alpha, solver="liblinear", dual=True, max_iter=100, random_state=seed % 2**31
    )
    with _LIBLINEAR, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a near solution serves as well
        regression.fit(matrix, target.astype(np.int64))
    return regression.coef_[0], float(regression.intercept_[0])


def _told(matrix: Any, target: Floats) -> Floats:
    """Return for each term half and the absolute logarithm of how much more often texts of the class hold it."""
    holds = matrix.copy()
    holds.data = np.ones_like(holds.data)
    inside = 1.0 + holds.T @ target
    outside = 1.0 + holds.T @ (1.0 - target)
    return 0.5 + np.abs(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))


def _ridge(matrix: Any, target: Floats, alpha: float) -> tuple[Floats, float]:
    from scipy.sparse.linalg import lsqr

    if not len(target):
        return np.zeros(matrix.shape[1]), 0.0
    mean = float(target.mean())
    solved = lsqr(matrix, target - mean, damp=math.sqrt(alpha), iter_lim=100)[0]
    return np.nan_to_num(solved), mean

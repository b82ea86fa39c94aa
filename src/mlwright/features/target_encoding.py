"""TargetEncoding: strings as the smoothed mean of the target, out-of-fold for the rows it was fitted on."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Flag, Number, Rule, check
from mlwright.core.types import Floats, Ints
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag
from mlwright.features.folds import N_FOLDS, classes_of, draw_folds
from mlwright.features.levels import LevelTransform, count_levels

__all__ = ["TargetEncoding"]


class TargetEncoding(LevelTransform):
    """The mean of the target by level, drawn to the mean of all rows, and the logarithm of the level's count.

    A level with ``n`` rows gets ``(sum + smoothing * prior) / (n + smoothing)`` [1]_, where the prior is the mean of
    all training rows; a level never seen gets the prior. Missing is a level of its own. Binary: one output, the share
    of class 1. Multiclass: one share a class, for the `max_classes` most frequent classes. Regression: one mean. One
    more output, ``log1p(n)``, says how much the mean is worth. All outputs are finite.

    `fit_batch` encodes each training row from the other four of five seeded folds, so that no row sees its own target
    except, weighed by one in the number of rows, through the prior: that one is the same in all folds, since a prior
    by fold would tell the folds, and by them the target, apart. For classes the folds are stratified.

    Parameters
    ----------
    column : str
        The raw column's name.
    smoothing : float, default=20.0
        The weight of the prior, in rows.
    max_classes : int, default=10
        The most outputs for classes.
    max_levels : int, default=100_000
        Levels beyond the most frequent ones count as never seen.
    scaled : bool, default=False
        Give the means as distances from the prior in standard deviations of the target, for linear models.

    References
    ----------
    .. [1] D. Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes in
       classification and prediction problems", SIGKDD Explorations 3(1).

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> towns = {"town": Coded(np.array([0, 0, 0, 1], np.int32), ["Bern", "Chur"])}
    >>> encoding = TargetEncoding("town", smoothing=1.0).fit(towns, np.array([1.0, 1, 0, 0]), n_classes=2, seed=0)
    >>> encoding.row("Bern")[0], encoding.row("Chur")[0], encoding.row("never seen")[0]
    (0.625, 0.25, 0.5)
    """

    kind: ClassVar[str] = "target_encoding"
    rules: ClassVar[dict[str, Rule]] = {
        "smoothing": Number(0.001, 1e6),
        "max_classes": Number(1, 1000, integer=True),
        "max_levels": Number(1, 10_000_000, integer=True),
        "scaled": Flag(),
    }

    def __init__(
        self,
        column: str,
        *,
        smoothing: float = 20.0,
        max_classes: int = 10,
        max_levels: int = 100_000,
        scaled: bool = False,
    ) -> None:
        super().__init__(column)
        self.smoothing = smoothing
        self.max_classes = max_classes
        self.max_levels = max_levels
        self.scaled = scaled
        check("TargetEncoding", self.params(), self.rules)

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn the means of all rows."""
        groups, targets, prior, deviation = self._prepare(columns, y, n_classes)
        width = len(self.levels_) + 1
        counts, sums = _totals(groups, targets, width)
        encoded = self._encode(counts, sums, prior, deviation)
        zero = np.zeros(1)
        unseen = self._encode(zero, np.zeros((1, len(prior))), prior, deviation)[0]
        return self.set_learned(np.column_stack([encoded, np.log1p(counts)]), np.append(unseen, 0.0))

    def fit_batch(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Floats:
        """Fit, and return the training rows' out-of-fold encodings, shape (n_rows, n_outputs)."""
        self.fit(columns, y, n_classes=n_classes, seed=seed)
        out = self.batch(columns)  # the count is that of all rows, as it will be at serving
        groups, targets, prior, deviation = self._prepare(columns, y, n_classes)
        folds = draw_folds(y, n_classes, seed, "target_encoding")
        width = len(self.levels_) + 1
        totals = [_totals(groups[folds == k], targets[folds == k], width) for k in range(N_FOLDS)]
        for k in range(N_FOLDS):
            others = [totals[j] for j in range(N_FOLDS) if j != k]
            counts = np.sum([count for count, _ in others], axis=0)
            sums = np.sum([total for _, total in others], axis=0)
            encoded = self._encode(counts, sums, prior, deviation)
            encoded = np.vstack([encoded, self._unseen[:-1]])  # group -1: levels beyond the first max_levels
            mine = folds == k
            out[mine, :-1] = encoded[groups[mine]]
        return out

    def _prepare(self, columns: Columns, y: Floats, n_classes: int) -> tuple[Ints, Floats, Floats, Floats]:
        """Return each row's group (missing is the last, -1 is not kept), the targets, their means and deviations."""
        column: Any = columns[self.column]
        self.levels_ = sorted(level for level, _ in count_levels(column)[: self.max_levels])
        places = {level: place for place, level in enumerate(self.levels_)}
        of_code = np.array([places.get(level, -1) for level in column.levels] + [len(places)], dtype=np.int64)
        self.classes_ = classes_of(y, n_classes, self.max_classes)
        targets = np.column_stack([y == c for c in self.classes_]).astype(np.float64) if self.classes_ else y
        targets = targets.reshape(len(y), -1)
        return of_code[column.codes], targets, targets.mean(axis=0), targets.std(axis=0)

    def _encode(self, counts: Floats, sums: Floats, prior: Floats, deviation: Floats) -> Floats:
        weight = counts[:, None] + self.smoothing
        # With no rows this is smoothing * prior / smoothing, which rounding may move: say the prior itself.
        means = np.where(counts[:, None] > 0, (sums + self.smoothing * prior) / weight, prior)
        return (means - prior) / np.where(deviation > 0, deviation, 1.0) if self.scaled else means

    def set_learned(self, encodings: Floats, unseen: Floats) -> Self:
        """Hold what was learned, and return self."""
        self.encodings_ = encodings
        cells = [*self.levels_, None]
        self._rows = dict(zip(cells, map(tuple, encodings.tolist()), strict=True))
        self._unseen = tuple(unseen.tolist())
        return self

    @property
    def tags(self) -> list[OutputTag]:
        """The means, then the count."""
        named = [f"mean target of {self.column}"]
        if len(self.classes_) > 1:
            named = [f"share of class {c} of {self.column}" for c in self.classes_]
        return [OutputTag(name, self.column) for name in [*named, f"log count of {self.column}"]]

    def state(self) -> State:
        """Return the levels, and their encodings with that of missing in the last row."""
        tree = {**audit.tree(self), "levels": self.levels_, "classes": self.classes_}
        return State(tree, {"encodings": self.encodings_, "unseen": np.array(self._unseen)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one row of encodings a level and one more."""
        new = audit.build(cls, state)
        new.levels_ = audit.strings(state, "levels")
        new.classes_ = [int(c) for c in audit.numbers(state, "classes")]
        width = max(1, len(new.classes_)) + 1
        encodings = audit.array(state, "encodings", (len(new.levels_) + 1, width))
        return new.set_learned(encodings, audit.array(state, "unseen", (width,)))


def _totals(groups: Ints, targets: Floats, width: int) -> tuple[Floats, Floats]:
    """Return counts of shape (width,) and sums of shape (width, n_targets) by group; group -1 counts nowhere."""
    kept = groups >= 0
    groups, targets = groups[kept], targets[kept]
    counts = np.bincount(groups, minlength=width).astype(np.float64)
    sums = [np.bincount(groups, weights=targets[:, j], minlength=width) for j in range(targets.shape[1])]
    return counts, np.column_stack(sums).astype(np.float64)

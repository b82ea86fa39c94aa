"""Cluster: which way to group rows shows again in other rows, and whether it does so more than chance lets it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlwright.core import kinds
from mlwright.core.seeds import derive, generator
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task
from mlwright.metrics.intervals import Interval
from mlwright.models.base import FitContext
from mlwright.models.clustering import Clustering
from mlwright.models.density_clusters import DensityClusters
from mlwright.unlabelled.agreement import adjusted_rand, agreement

__all__ = ["ENOUGH", "NONE", "Choice", "Way", "choose", "fit", "labels_of", "stability", "without_groups"]

NONE = "none"  # the label of rows that belong to no cluster
_SAMPLE, _SEEN, _MOST_FITTED = 3000, 1000, 20_000
_MOST_CLUSTERS, _MOST_MIXED, _WIDE = 8, 6, 12
_DISCRETE = 10  # values up to which a column is drawn as it is where there are to be no groups
ENOUGH = 0.6  # of the adjusted Rand index, for groups to be there
_BETTER, _LIKE = 0.1, 0.05
_ROUNDS, _FEW_ROUNDS, _HURRY = 4, 2, 30.0
_PROOF_ROUNDS, _PROVEN = 8, 3


@dataclass(frozen=True, slots=True)
class Way:
    """One way to group rows.

    Parameters
    ----------
    model : str
        A kind of `mlwright.core.kinds.MODELS`.
    n_clusters : int
        How many.
    params : dict
        The model's hyperparameters.
    stable, reference : tuple of float
        By round, the adjusted Rand index of two halves; the same of rows without groups.
    silhouette : float
        From -1 to 1; NaN where it has no meaning.
    """

    model: str
    n_clusters: int
    params: dict[str, Any] = field(default_factory=dict)
    stable: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    silhouette: float = math.nan

    @property
    def stability(self) -> float:
        """The mean over the rounds."""
        return float(np.mean(self.stable)) if self.stable else math.nan

    @property
    def chance(self) -> float:
        """The mean over the rounds for rows without groups."""
        return float(np.mean(self.reference)) if self.reference else math.nan

    @property
    def gain(self) -> float:
        """How much more stable it is than groups of rows without groups."""
        return self.stability - self.chance

    @property
    def is_found(self) -> bool:
        """Whether its groups are there: stable, and beyond chance more so than where there are none."""
        spread = math.sqrt((float(np.var(self.stable)) + float(np.var(self.reference))) / len(self.stable))
        return self.stability >= ENOUGH and self.gain > max(_BETTER, 2.0 * spread)


@dataclass(frozen=True, slots=True)
class Choice:
    """All ways that were tried, the number of the chosen one, and whether its groups are there."""

    ways: tuple[Way, ...]
    chosen: int
    found: bool

    @property
    def way(self) -> Way:
        """The chosen one."""
        return self.ways[self.chosen]


def labels_of(way: Way) -> tuple[str, ...]:
    """Return the names of the clusters, and of none where rows may belong to none.

    Examples
    --------
    >>> labels_of(Way("k_means", 2)), labels_of(Way("density_clusters", 1))
    (('cluster 1', 'cluster 2'), ('cluster 1', 'none'))
    """
    names = tuple(f"cluster {i + 1}" for i in range(way.n_clusters))
    return (*names, NONE) if way.model == DensityClusters.kind else names


def fit(
    X: Floats, way: Way, task: Task, groups: Sequence[int], seed: int, *, quick: bool = False
) -> Clustering:
    """Fit one way on a matrix; `quick` from fewer starts. Of more than 20,000 rows a sample is fitted."""
    if len(X) > _MOST_FITTED:
        X = X[np.sort(generator(seed, "cluster rows").choice(len(X), _MOST_FITTED, replace=False))]
    params = dict(way.params)
    if way.model != DensityClusters.kind:
        params["n_init"] = 2 if quick else 10 if way.model == "k_means" else 3
    learner = kinds.load(kinds.MODELS, way.model, family="model")(**params)
    told = replace(task, labels=labels_of(way))
    context = FitContext(told, groups=tuple(groups), seed=derive(seed, "clusters") % 2**31)
    return learner.fit(X, np.zeros(len(X)), context)


def without_groups(X: Floats, groups: Sequence[int], draw: np.random.Generator) -> Floats:
    """Return as many rows without groups: one normal cloud of the same spread in all directions.

    Raw columns of up to ten values are drawn as they are, each for itself: that a value is one of few is no group.
    """
    out, numbers = np.empty_like(X), np.asarray(groups)
    smooth = np.ones(X.shape[1], bool)
    for group in np.unique(numbers):
        members = np.flatnonzero(numbers == group)
        if len(np.unique(X[:, members], axis=0)) <= _DISCRETE:
            smooth[members] = False
            out[:, members] = X[draw.permutation(len(X))][:, members]
    centre = X[:, smooth].mean(axis=0)
    spread = draw.standard_normal((len(X), len(X))) @ (X[:, smooth] - centre) / math.sqrt(len(X))
    out[:, smooth] = centre + spread
    return out


def choose(
    X: Floats,
    task: Task,
    groups: Sequence[int],
    seed: int,
    *,
    budget: float = math.inf,
    told: Callable[[int, Way], None] | None = None,
) -> Choice:
    """Try k-means and mixtures of normal distributions with 2, 3, ... clusters, and HDBSCAN; take the most stable.

    Each way is fitted on two halves of a sample, several times, and both halves group the same rows; how far they agree
    (adjusted Rand index) is held against the same for rows drawn without groups: a way whose groups are no more stable
    than those is out. The most stable one is chosen; of those within 0.05 of it the one with the largest silhouette. It
    has to prove itself on new draws, where the next two may take its place.
    How much is done depends on the budget that was given, and never on a clock.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        A complete, scaled matrix.
    task, groups, seed
        As for `fit`.
    budget : float
        Seconds; below 30 there are fewer rounds.
    told : callable, optional
        Hears each way when it is measured.

    References
    ----------
    T. Lange et al. (2004), "Stability-based validation of clustering solutions", Neural Computation 16.
    R. Tibshirani, G. Walther, T. Hastie (2001), "Estimating the number of clusters in a data set via the gap
    statistic", JRSS B 63.
    """
    draw = generator(seed, "cluster sample")
    rows = X if len(X) <= _SAMPLE else X[np.sort(draw.choice(len(X), _SAMPLE, replace=False))]
    rounds = _FEW_ROUNDS if budget < _HURRY else _ROUNDS
    empty = [without_groups(rows, groups, draw) for _ in range(rounds)]
    halves = [np.array_split(draw.permutation(len(rows)), 2) for _ in range(rounds)]
    ways: list[Way] = []
    for way in _ways(rows, seed):
        silhouette = _silhouette(rows, fit(rows, way, task, groups, seed, quick=True))
        measured = _measured(replace(way, silhouette=silhouette), rows, empty, halves, task, groups, seed)
        if told is not None:
            told(len(ways), measured)
        ways.append(measured)
    order = _ranked(ways)
    empty = [without_groups(rows, groups, draw) for _ in range(_PROOF_ROUNDS)]
    halves = [np.array_split(draw.permutation(len(rows)), 2) for _ in range(_PROOF_ROUNDS)]
    for i in order[:_PROVEN]:  # of many ways one looks good by chance: it has to do so again on new draws
        ways[i] = _measured(ways[i], rows, empty, halves, task, groups, seed + _ROUNDS)
        if ways[i].is_found:
            return Choice(tuple(ways), i, found=True)
    plain = [i for i, way in enumerate(ways) if way.model == "k_means"]
    clearest = max(plain, key=lambda i: np.nan_to_num(ways[i].silhouette, nan=-1.0))
    return Choice(tuple(ways), clearest, found=False)


def _measured(
    way: Way,
    rows: Floats,
    empty: Sequence[Floats],
    halves: Sequence[list[Ints]],
    task: Task,
    groups: Sequence[int],
    seed: int,
) -> Way:
    """Return a way with its stability on the rows, and on each of the tables without groups."""
    stable = [_agreed(rows, half, way, task, groups, seed + i) for i, half in enumerate(halves)]
    pairs = enumerate(zip(empty, halves, strict=True))
    chance = [_agreed(other, half, way, task, groups, seed + i) for i, (other, half) in pairs]
    return replace(way, stable=tuple(stable), reference=tuple(chance))


def _ways(rows: Floats, seed: int) -> list[Way]:
    most = max(2, min(_MOST_CLUSTERS, len(rows) // 10))
    covariance = "full" if rows.shape[1] <= _WIDE else "diag"
    ways = [Way("k_means", k) for k in range(2, most + 1)]
    ways += [
        Way("gaussian_mixture", k, {"covariance": covariance}) for k in range(2, min(most, _MOST_MIXED) + 1)
    ]
    share = 0.02 if len(rows) >= 1000 else 0.05
    found = DensityClusters(min_share=share).found(rows, seed)
    return [*ways, Way("density_clusters", found, {"min_share": share})] if 2 <= found <= 30 else ways


def _agreed(
    rows: Floats, halves: list[Ints], way: Way, task: Task, groups: Sequence[int], seed: int
) -> float:
    seen = rows[:: max(1, len(rows) // _SEEN)]
    one, other = (
        fit(rows[np.sort(half)], way, task, groups, seed, quick=True).predict(seen).argmax(axis=1)
        for half in halves
    )
    if len(np.unique(one)) < 2 or len(np.unique(other)) < 2:
        return 0.0  # all rows in one group: nothing that could show again
    return adjusted_rand(one, other)


def _silhouette(rows: Floats, model: Clustering) -> float:
    from sklearn.metrics import silhouette_score

    seen = rows[:: max(1, len(rows) // _SEEN)]
    found = model.predict(seen).argmax(axis=1)
    inside = found < len(model.centres_)
    n_found = len(np.unique(found[inside]))
    if n_found < 2 or n_found >= inside.sum():
        return math.nan
    return float(silhouette_score(seen[inside], found[inside]))


def _ranked(ways: Sequence[Way]) -> list[int]:
    """Return the ways that look found: the most stable first, of those about as stable the one with clearer groups.

    HDBSCAN has to be clearly more stable: groups around centres are simpler to tell and to assign.
    """
    there = [i for i, way in enumerate(ways) if way.is_found]
    around = [i for i in there if ways[i].model != DensityClusters.kind]
    best = max((ways[i].stability for i in around), default=-math.inf)

    def key(i: int) -> tuple[bool, float]:
        near = ways[i].stability >= best - _LIKE
        return not near, -np.nan_to_num(ways[i].silhouette, nan=-1.0) if near else -ways[i].stability

    ordered = sorted(around, key=key)
    dense = [i for i in there if ways[i].model == DensityClusters.kind]
    clearly = bool(dense) and ways[dense[0]].stability > best + _BETTER
    return dense + ordered if clearly else ordered + dense


def stability(
    X: Floats, judged: Floats | None, way: Way, task: Task, groups: Sequence[int], seed: int
) -> tuple[Interval, int]:
    """Fit on two halves of the rows, and return how far they group other rows alike, and how many those are."""
    order = generator(seed, "halves").permutation(len(X))
    if judged is None:
        kept = len(order) // 5
        judged, order = X[order[:kept]], order[kept:]
    if not len(judged) or len(order) < 2 * way.n_clusters:
        return Interval(math.nan, math.nan, math.nan, 0.95), len(judged)
    one, other = (
        fit(X[np.sort(half)], way, task, groups, seed).predict(judged).argmax(axis=1)
        for half in np.array_split(order, 2)
    )
    return agreement(adjusted_rand, one, other, seed=seed), len(judged)

"""What columns are: their kind, their role, how their values are read, and why we think so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mlwright.core.errors import BundleContentError, SchemaError

__all__ = ["TWEEDIE_POWER", "Column", "Kind", "Objective", "Role", "Schema", "Task", "TaskKind"]

TWEEDIE_POWER = 1.5  # of the mean, in the variance: between counts (1) and amounts (2)


class Kind(StrEnum):
    """What a column's values are."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    TEXT = "text"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    ID = "id"
    CONSTANT = "constant"


class Role(StrEnum):
    """What a column is for."""

    FEATURE = "feature"
    TARGET = "target"
    TIME = "time"
    GROUP = "group"
    WEIGHT = "weight"
    EXPOSURE = "exposure"
    ENTITY = "entity"
    IGNORED = "ignored"


class TaskKind(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    ANOMALY = "anomaly"  # without a target: which rows are unlike the others
    CLUSTER = "cluster"  # without a target: which rows belong together

    @property
    def needs_target(self) -> bool:
        """Whether it learns from a column that says what is right."""
        return self not in (TaskKind.ANOMALY, TaskKind.CLUSTER)

    @property
    def has_classes(self) -> bool:
        """Whether what is learned from is one of some classes."""
        return self in (TaskKind.BINARY, TaskKind.MULTICLASS)


class Objective(StrEnum):
    """The loss that a learner makes small; `Task.objective` says which."""

    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    SQUARED = "squared"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"  # the absolute error as a share of the truth
    QUANTILE = "quantile"
    POISSON = "poisson"
    GAMMA = "gamma"
    TWEEDIE = "tweedie"


_BY_METRIC = {
    "gamma_deviance": Objective.GAMMA,
    "mae": Objective.ABSOLUTE,
    "mape": Objective.RELATIVE,
    "pinball": Objective.QUANTILE,
    "poisson_deviance": Objective.POISSON,
    "tweedie_deviance": Objective.TWEEDIE,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        As in the source.
    kind, role : Kind, Role
        What its values are and what it is for.
    dtype : {"int", "float", "bool", "str", "date", "timestamp"}
        The type that the source's values have; decides how a category that is a number is spelled.
    why : str
        One sentence for people: "numeric, 73 values, 0 to 72".
    required : bool
        True if no training row misses it; a request must then hold the field, and has a warning where it is empty.
    format : dict
        How text becomes a value, see `mlwright.data.values`; empty if nothing special.
    levels : tuple of str, optional
        The categories seen in training, most frequent first (categorical columns of up to 1,000 levels).
    low, high : float, optional
        The range seen in training (numeric: its units; datetime: seconds since 1970 UTC).
    pii : bool
        True if its values are personal: they may stand in no log and no report, and as an example nowhere.
    """

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    dtype: str = "str"
    why: str = ""
    required: bool = False
    format: dict[str, Any] = field(default_factory=dict)
    levels: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    pii: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads."""
        marks = {"pii": True} if self.pii else {}
        return {
            "name": self.name,
            "kind": str(self.kind),
            "role": str(self.role),
            "dtype": self.dtype,
            "why": self.why,
            "required": self.required,
            "format": self.format,
            "levels": None if self.levels is None else list(self.levels),
            "low": self.low,
            "high": self.high,
            **marks,
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Column:
        """Build a column from `to_json`'s tree."""
        values: dict[str, Any] = dict(tree)
        values |= {"kind": Kind(tree["kind"]), "role": Role(tree["role"])}
        values["levels"] = None if tree["levels"] is None else tuple(tree["levels"])
        return cls(**values)


def _marked(column: Column) -> Column:
    """Return a personal column without its levels and its range; a target needs both, since they are the question."""
    if column.role is Role.TARGET:
        return replace(column, pii=True)
    why = f"{column.kind}, personal data: no value is shown"
    return replace(column, pii=True, why=why, levels=None, low=None, high=None)


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in its order."""

    columns: tuple[Column, ...]

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError("no such column", got=name, allowed=self.names[:50])

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return [column.name for column in self.columns]

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that a model may see."""
        return tuple(column for column in self.columns if column.role is Role.FEATURE)

    def having(self, role: Role) -> tuple[Column, ...]:
        """Return the columns of `role`."""
        return tuple(column for column in self.columns if column.role is role)

    @property
    def personal(self) -> frozenset[str]:
        """The names of the columns that are marked as personal."""
        return frozenset(column.name for column in self.columns if column.pii)

    def with_role(self, name: str, role: Role) -> Schema:
        """Return a schema in which the column `name` has `role`."""
        self[name]
        return Schema(tuple(replace(c, role=role) if c.name == name else c for c in self.columns))

    def optional(self, name: str) -> Schema:
        """Return a schema in which a request may leave the column `name` out, and may hold any value of it."""
        self[name]
        free = {"required": False, "levels": None, "low": None, "high": None}
        return Schema(tuple(replace(c, **free) if c.name == name else c for c in self.columns))

    def marked(self, names: Iterable[str]) -> Schema:
        """Return a schema in which the columns `names` are personal, see `Column.pii`, and that repeats no value of them."""
        personal = frozenset(names)
        return Schema(tuple(_marked(c) if c.name in personal else c for c in self.columns))

    def to_json(self) -> list[dict[str, Any]]:
        """Return a JSON tree that `from_json` reads."""
        return [column.to_json() for column in self.columns]

    @classmethod
    def from_json(cls, tree: list[dict[str, Any]]) -> Schema:
        """Build a schema from `to_json`'s tree."""
        return cls(tuple(Column.from_json(column) for column in tree))


@dataclass(frozen=True, slots=True)
class Task:
    """What is predicted and how it is judged.

    Parameters
    ----------
    kind : TaskKind
        Binary, multiclass or regression.
    target : str
        The target column's name; for anomalies and clusters that of a label to compare with, or "".
    metric : str
        A kind of `mlwright.core.kinds.METRICS`, or a user's own with the mark ``own.``, which is known only in the
        process that registered it.
    labels : tuple
        The classes as JSON values of the user's own type (``"Yes"``, ``1``, ``True``), in code order; for binary
        the second one is the positive class. Empty for regression.
    quantile : float, optional
        Which one is predicted, between 0 and 1: with the metric ``pinball``.
    weight : str, optional
        The column that says how much a row counts.
    exposure : str, optional
        The column that the target is divided by: what is predicted is the rate for one unit of it.
    costs : (float, float), optional
        What a false positive and a false negative cost (binary only).
    capacity : float, optional
        The share of the rows that may be called the second class, above 0 and below 1 (binary only).
    threshold : float, optional
        The second class is called from this probability on (binary); see `cut`. A row is called an anomaly from this
        score on (anomaly).

    Examples
    --------
    >>> task = Task(TaskKind.BINARY, "churn", "cost", ("no", "yes"), costs=(1.0, 4.0))
    >>> task.cut, task.objective
    (0.2, <Objective.LOGISTIC: 'logistic'>)
    """

    kind: TaskKind
    target: str
    metric: str
    labels: tuple[Any, ...] = ()
    quantile: float | None = None
    weight: str | None = None
    exposure: str | None = None
    costs: tuple[float, float] | None = None
    capacity: float | None = None
    threshold: float | None = None

    @property
    def n_outputs(self) -> int:
        """How many numbers a model gives for a row: 1, or one a class for multiclass, one a cluster for clusters."""
        return len(self.labels) if self.kind in (TaskKind.MULTICLASS, TaskKind.CLUSTER) else 1

    @property
    def objective(self) -> Objective:
        """The loss that a learner should make small, by the kind of task and its metric."""
        if self.kind is TaskKind.BINARY:
            return Objective.LOGISTIC
        if self.kind is TaskKind.MULTICLASS:
            return Objective.SOFTMAX
        return _BY_METRIC.get(self.metric, Objective.SQUARED)

    @property
    def cut(self) -> float:
        """The probability from which on the second class is called: `threshold`; else what `costs` say; else 0.5.

        With true probabilities, calling p positive costs ``(1 - p) * false positive`` and not calling it
        ``p * false negative``: they meet at ``false positive / (false positive + false negative)``.
        """
        if self.threshold is not None:
            return self.threshold
        return 0.5 if self.costs is None else self.costs[0] / sum(self.costs)

    @property
    def is_ordinal(self) -> bool:
        """Whether the classes are grades in order, decided by the mean grade (metric ``quadratic_kappa``)."""
        return self.kind is TaskKind.MULTICLASS and self.metric == "quadratic_kappa"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads; options that are not set are left out."""
        options = {name: getattr(self, name) for name in _OPTIONS}
        if self.costs is not None:
            options["costs"] = list(self.costs)
        return {
            "kind": str(self.kind),
            "target": self.target,
            "metric": self.metric,
            "labels": list(self.labels),
            **{name: value for name, value in options.items() if value is not None},
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Task:
        """Build a task from `to_json`'s tree.

        Raises
        ------
        BundleContentError
            If an option is not what it must be.
        """
        options = {name: tree[name] for name in _OPTIONS if tree.get(name) is not None}
        for name, value in options.items():
            if not _OPTIONS[name](value):
                raise BundleContentError(f"the task's {name} is malformed", got=value)
        if "costs" in options:
            options["costs"] = (float(options["costs"][0]), float(options["costs"][1]))
        return cls(TaskKind(tree["kind"]), tree["target"], tree["metric"], tuple(tree["labels"]), **options)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _are_costs(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v < math.inf for v in value)
        and 0 < sum(value) < math.inf
    )


_OPTIONS: dict[str, Callable[[Any], bool]] = {
    "quantile": _is_share,
    "weight": _is_name,
    "exposure": _is_name,
    "costs": _are_costs,
    "capacity": _is_share,
    "threshold": _is_share,
}

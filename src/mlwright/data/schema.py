"""What columns are: their kind, their role, how their values are read, and why we think so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mlwright.core.errors import SchemaError

__all__ = ["Column", "Kind", "Role", "Schema", "Task", "TaskKind"]


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
    ENTITY = "entity"
    IGNORED = "ignored"


class TaskKind(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


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
        True if no training row misses it; a request must then give it.
    format : dict
        How text becomes a value, see `mlwright.data.values`; empty if nothing special.
    levels : tuple of str, optional
        The categories seen in training, most frequent first (categorical columns of up to 1,000 levels).
    low, high : float, optional
        The range seen in training (numeric: its units; datetime: seconds since 1970 UTC).
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

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads."""
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
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Column:
        """Build a column from `to_json`'s tree."""
        values: dict[str, Any] = dict(tree)
        values |= {"kind": Kind(tree["kind"]), "role": Role(tree["role"])}
        values["levels"] = None if tree["levels"] is None else tuple(tree["levels"])
        return cls(**values)


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

    def with_role(self, name: str, role: Role) -> Schema:
        """Return a schema in which the column `name` has `role`."""
        self[name]
        return Schema(tuple(replace(c, role=role) if c.name == name else c for c in self.columns))

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
        The target column's name.
    metric : str
        A kind of `mlwright.core.kinds.METRICS`.
    labels : tuple
        The classes as JSON values of the user's own type (``"Yes"``, ``1``, ``True``), in code order; for binary
        the second one is the positive class. Empty for regression.
    """

    kind: TaskKind
    target: str
    metric: str
    labels: tuple[Any, ...] = ()

    @property
    def n_outputs(self) -> int:
        """How many numbers a model gives for a row: 1, or one a class for multiclass."""
        return len(self.labels) if self.kind is TaskKind.MULTICLASS else 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads."""
        return {
            "kind": str(self.kind),
            "target": self.target,
            "metric": self.metric,
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Task:
        """Build a task from `to_json`'s tree."""
        return cls(TaskKind(tree["kind"]), tree["target"], tree["metric"], tuple(tree["labels"]))

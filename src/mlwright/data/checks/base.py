"""Check: looks at a table and returns findings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mlwright.core.types import Floats
from mlwright.data.contract import Contract
from mlwright.data.findings import Finding
from mlwright.data.schema import Task
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.data.values import Columns

__all__ = ["Check", "CheckContext"]


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check looks at.

    Parameters
    ----------
    table : Table
        Raw values and schema, target included.
    columns : Columns
        The canonical feature columns.
    y : ndarray of shape (n_rows,)
        The target: values, or class codes.
    task : Task
        What is predicted.
    banned : tuple of str
        Columns that the project bans.
    split : Split, optional
        Which rows of `table` train and test; None where no split is drawn yet.
    test : Table, optional
        The user's own test rows, read as `table` is; then ``split.test`` is empty.
    contract : Contract, optional
        What the table must hold.
    now : float, default=inf
        Seconds since 1970 UTC: later dates have not come yet. By default no date is later.
    """

    table: Table
    columns: Columns
    y: Floats
    task: Task
    banned: tuple[str, ...] = ()
    split: Split | None = None
    test: Table | None = None
    contract: Contract | None = None
    now: float = math.inf


class Check(ABC):
    """One kind of look at a table."""

    kind: ClassVar[str]

    @abstractmethod
    def run(self, context: CheckContext) -> list[Finding]:
        """Return what was found, the worst first; empty if all is well."""

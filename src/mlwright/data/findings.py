"""Findings: what a check has to say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad: for the record, worth a look, or reason to stop."""

    INFO = "info"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    check : str
        The check's kind.
    severity : Severity
        ``stop`` ends the run with exit code 3 unless the project accepts the finding by its `code`.
    columns : tuple of str
        Where; empty for the whole table.
    what : str
        One sentence: what was found, with the number that shows it.
    advice : str
        One sentence: what to do.
    """

    check: str
    severity: Severity
    columns: tuple[str, ...]
    what: str
    advice: str

    @property
    def code(self) -> str:
        """What ``accept`` names: ``leak:duration``."""
        return f"{self.check}:{self.columns[0]}" if self.columns else self.check

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "code": self.code,
            "check": self.check,
            "severity": str(self.severity),
            "columns": list(self.columns),
            "what": self.what,
            "advice": self.advice,
        }

"""Parameter rules as data, checked by one function with one form of message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlwright.core.errors import ParameterError

__all__ = ["Choice", "Flag", "Number", "Rule", "check"]


class Rule(Protocol):
    """Says whether a value is allowed and, in words, what is."""

    def allows(self, value: Any) -> bool:
        """Whether `value` keeps the rule."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the closed range from `low` to `high`."""

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False

    def allows(self, value: Any) -> bool:
        """Whether `value` is a number of the range (booleans are not)."""
        if isinstance(value, bool) or not isinstance(value, int if self.integer else (int, float)):
            return False
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{'an integer' if self.integer else 'a number'} from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def allows(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return any(value is v or (type(value) is type(v) and value == v) for v in self.values)

    def __str__(self) -> str:
        return ", ".join(map(repr, self.values))


@dataclass(frozen=True, slots=True)
class Flag:
    """True or False."""

    def allows(self, value: Any) -> bool:
        """Whether `value` is a boolean."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "True or False"


def check(owner: str, params: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise `ParameterError` at the first parameter that breaks its rule.

    Examples
    --------
    >>> check("LightGBM", {"rate": 7}, {"rate": Number(0, 1)})
    Traceback (most recent call last):
    ...
    mlwright.core.errors.ParameterError: LightGBM: rate: got 7; allowed: a number from 0 to 1
    """
    for name, value in params.items():
        rule = rules.get(name)
        if rule is None:
            raise ParameterError(f"{owner}: unknown parameter", got=name, allowed=sorted(rules))
        if not rule.allows(value):
            raise ParameterError(f"{owner}: {name}", got=value, allowed=str(rule))

"""Every error that mlwright raises on purpose.

::

    MlwrightError                 exit code 1
      UsageError                  exit code 2: the call itself is wrong (a flag, a name, a path)
        ProjectError              mlwright.toml cannot be understood
        ParameterError            a hyperparameter or option is out of its range (a ValueError too)
      DataError                   a source cannot be read, or cannot be learned from
        SourceError               the file, glob or database itself
        SchemaError               columns are missing, doubled or of the wrong kind
        RecordError               a record does not fit the bundle's schema; ``problems`` lists why
      BundleError                 a bundle is not what it must be
        BundleFormatError         not a bundle, or of a version that this mlwright cannot read
        BundleIntegrityError      a size or a hash differs from the manifest
        BundleKindError           a kind that this mlwright's tables do not hold
        BundleContentError        a part is malformed: shapes, types, trees
      EqualityError               training and serving would not agree
      StoreError                  the store is missing, foreign or damaged
      MissingExtraError           an optional package is not installed
      RefusedError                exit code 3: a check or a gate said no
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BundleContentError",
    "BundleError",
    "BundleFormatError",
    "BundleIntegrityError",
    "BundleKindError",
    "DataError",
    "EqualityError",
    "MissingExtraError",
    "MlwrightError",
    "ParameterError",
    "ProjectError",
    "RecordError",
    "RefusedError",
    "SchemaError",
    "SourceError",
    "StoreError",
    "UsageError",
]

_UNSET: Any = object()


class MlwrightError(Exception):
    """An error with four parts: the thing, the value got, what is allowed, and the next step.

    Parameters
    ----------
    what : str
        The thing and what is wrong with it.
    got : object, optional
        The value that was found; shown by ``repr``, cut at 200 characters.
    allowed : str or sequence of str, optional
        What would have been right.
    fix : str, optional
        The next step for whoever reads it.

    Examples
    --------
    >>> print(UsageError("unknown target", got="churned", allowed=["Churn", "tenure"], fix="name one of the columns"))
    unknown target: got 'churned'; allowed: Churn, tenure. Next: name one of the columns
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        got: object = _UNSET,
        allowed: str | Sequence[str] | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.fix = fix
        text = what
        if got is not _UNSET:
            shown = repr(got)
            text += f": got {shown if len(shown) <= 200 else shown[:197] + '...'}"
        if allowed is not None:
            text += f"; allowed: {allowed if isinstance(allowed, str) else ', '.join(map(_short, allowed))}"
        if fix:
            text += f". Next: {fix}"
        super().__init__(text)


def _short(text: str) -> str:
    """Return a name that may come from data, and be of any length, so that it can stand in a list."""
    return text if len(text) <= 80 else f"{text[:77]}..."


class UsageError(MlwrightError):
    """The call itself is wrong: a flag, a name or a path."""

    exit_code = 2


class ProjectError(UsageError):
    """``mlwright.toml`` cannot be understood."""


class ParameterError(UsageError, ValueError):
    """A hyperparameter or option is out of its range."""


class DataError(MlwrightError):
    """A source cannot be read, or cannot be learned from."""


class SourceError(DataError):
    """A file, glob or database cannot be read."""


class SchemaError(DataError):
    """Columns are missing, doubled or of the wrong kind."""


class RecordError(DataError):
    """A record does not fit the bundle's schema.

    Parameters
    ----------
    problems : sequence of dict
        One each: ``{"field", "problem", "got", "allowed"}`` and, for a list of records, ``"record"`` (its index).
    """

    def __init__(self, problems: Sequence[dict[str, Any]]) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(
            f"field '{first['field']}': {first['problem']}{more}",
            got=first.get("got"),
            allowed=first.get("allowed"),
        )


class BundleError(MlwrightError):
    """A bundle is not what it must be."""


class BundleFormatError(BundleError):
    """Not a bundle, or of a format version that this mlwright cannot read."""


class BundleIntegrityError(BundleError):
    """A file's size or hash differs from what the manifest says."""


class BundleKindError(BundleError):
    """A kind is named that this mlwright's closed tables do not hold."""


class BundleContentError(BundleError):
    """A part of a bundle is malformed: shapes, types or trees."""


class EqualityError(MlwrightError):
    """Training and serving would give different features or predictions."""


class StoreError(MlwrightError):
    """The store is missing, foreign or damaged."""


class MissingExtraError(MlwrightError):
    """An optional package is not installed; the message holds the exact pip command."""


class RefusedError(MlwrightError):
    """A check or a gate said no.

    Parameters
    ----------
    details : dict, optional
        What programs get: the findings, or the gate's verdict.
    """

    exit_code = 3

    def __init__(self, what: str, *, details: dict[str, Any] | None = None, fix: str | None = None) -> None:
        super().__init__(what, fix=fix)
        self.details = details or {}

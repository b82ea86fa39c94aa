"""Scalars: the one reading of a single raw value, whoever asks.

A canonical cell is a ``float`` (numeric, boolean: 0 or 1, datetime: seconds since 1970 UTC; NaN is missing) or a
``str | None`` (categorical, text, id). Knows nothing of tables: a server that reads records needs no more than this.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np

from mlwright.data.measures import MEASURES
from mlwright.data.ranges import read_range
from mlwright.data.schema import Column, Kind

__all__ = [
    "END",
    "FIRST",
    "MISSING_WORDS",
    "Cell",
    "CellReader",
    "number",
    "reader",
    "text",
    "tidy_date",
    "truth_words",
]

MISSING_WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "?",
        "-",
        "--",
        ".",
        "missing",
        "<na>",
        "(null)",
        "\\n",
    }
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_QUARTER = re.compile(r"([0-9]{4})[ -]?[Qq]([1-4])|[Qq]([1-4])[ -]?([0-9]{4})")
_ORDINAL = re.compile(r"\b([0-9]{1,2})(?:st|nd|rd|th)\b")
_DOTTED = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)\.", re.IGNORECASE)
_SEPT = re.compile(r"\bsept\b", re.IGNORECASE)
_HUGE = 10**300
_PLAIN: Mapping[str, Any] = {}
FIRST, END = -62135596800, 253402300800  # seconds: the years 1 to 9999, which Python's dates know
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NAN = math.nan
_MICROSECOND = dt.timedelta(microseconds=1)

Cell: TypeAlias = "float | str | None"
CellReader: TypeAlias = Callable[[Any], Any]


def text(value: Any, dtype: str = "str") -> str | None:
    """Return the canonical string of a value, or None where it is missing.

    Parameters
    ----------
    value : object
        What JSON, Arrow or a data frame gives.
    dtype : str, default="str"
        The column's source type: where it is a number, ``"1.0"`` and ``1`` are both spelled ``"1"``.

    Examples
    --------
    >>> text(" Yes "), text(3.0), text("3.0", "int"), text(True), text("N/A")
    ('Yes', '3', '3', 'true', None)
    """
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in MISSING_WORDS:
            return None
        return value if dtype in {"str", "bool"} else _respelled(value, dtype)
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        if dtype in {"int", "float"}:
            return "1" if value else "0"
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value)) if abs(int(value)) < _HUGE else None
    if isinstance(value, (float, np.floating, Decimal)):
        value = float(value)
        if not math.isfinite(value):
            return None
        if value.is_integer():
            return str(int(value)) if abs(value) < _HUGE else None
        return repr(value)
    if isinstance(value, dt.datetime):
        return _moment_text(value, dtype)
    if isinstance(value, dt.date):
        return value.isoformat() if dtype != "timestamp" else f"{value.isoformat()}T00:00:00"
    if isinstance(value, bytes):
        return text(value.decode("utf-8", "replace"), dtype)
    return None


def _respelled(value: str, dtype: str) -> str | None:
    """Return the one spelling of a text in a column whose source type is a number or a time."""
    if dtype in {"date", "timestamp"}:
        try:
            return _moment_text(dt.datetime.fromisoformat(value), dtype)
        except ValueError:
            return value
    if _INTEGER.fullmatch(value):  # exact beyond 2**53, where a float is not
        return text(int(value))
    parsed = number(value)
    return value if math.isnan(parsed) else text(parsed)


def _moment_text(moment: dt.datetime, dtype: str) -> str | None:
    """Return a moment in ISO 8601, in UTC if it has a zone, as a date alone if the column holds dates."""
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        except OverflowError:
            return None
    midnight = moment.time() == dt.time()
    return moment.date().isoformat() if dtype == "date" and midnight else moment.isoformat()


def number(value: Any, format: Mapping[str, Any] | None = None) -> float:  # noqa: A002 - the field's name
    """Return the number in a value, NaN where it is missing, infinite or holds none.

    Parameters
    ----------
    value : object
        A number, a boolean (1 or 0) or a text.
    format : mapping, optional
        ``decimal`` and ``thousands`` (characters, default ``"."`` and ``","``), ``strip`` (a list of units or signs
        that may stand around the number: ``["bhp", "$", "%"]``) and ``scale`` (a factor by unit); ``measure`` (a name
        of `mlwright.data.measures`: what it does not read is read as above); ``ranges`` (true: what cannot be read so
        is read by `mlwright.data.ranges`).

    Examples
    --------
    >>> number("1,204.50"), number("74 bhp", {"strip": ["bhp"]}), number("1.204,5", {"decimal": ",", "thousands": "."})
    (1204.5, 74.0, 1204.5)
    >>> number("1:30 pm", {"measure": "clock"}), number("10+ years", {"strip": ["years"], "ranges": True})
    (13.5, 10.0)
    """
    if isinstance(value, str):
        return _written(value, format) if format else _number_in(value, _PLAIN)
    if value is None:
        return _NAN
    if isinstance(value, (int, float, np.integer, np.floating, np.bool_, Decimal)):
        try:
            parsed = float(value)
        except OverflowError:
            return _NAN
        return parsed if math.isfinite(parsed) else _NAN
    return _NAN


def _written(value: str, form: Mapping[str, Any]) -> float:
    """Return the number in a text of a column that writes its numbers in a form of its own."""
    measure = MEASURES.get(str(form.get("measure")))
    if measure is not None and not math.isnan(parsed := measure(value.strip())):
        return parsed
    parsed = _number_in(value, form)
    if math.isnan(parsed) and form.get("ranges") and (found := read_range(value)) is not None:
        return found.value
    return parsed


def _number_in(value: str, form: Mapping[str, Any]) -> float:
    value = value.strip()
    factor = 1.0
    for unit in form.get("strip", ()):
        if value.endswith(unit):
            value = value[: -len(unit)].rstrip()
            factor = float(form.get("scale", {}).get(unit, 1.0))
        elif value.startswith(unit):
            value = value[len(unit) :].lstrip()
    thousands, decimal = form.get("thousands", ","), form.get("decimal", ".")
    if thousands and thousands in value:
        whole, mark, fraction = value.partition(decimal)
        parts = whole.lstrip("+-").split(thousands)
        if not (
            1 <= len(parts[0]) <= 3
            and parts[0][0] != "0"  # "0,125" is no thousands
            and all(len(part) in (2, 3) for part in parts[1:-1])
            and len(parts[-1]) == 3
        ):
            return _NAN
        value = whole.replace(thousands, "") + mark + fraction
    if decimal != ".":
        if "." in value:
            return _NAN
        value = value.replace(decimal, ".")
    if len(value) > 400 or not value.isascii() or not _NUMBER.fullmatch(value):
        return _NAN
    parsed = float(value) * factor
    return parsed if math.isfinite(parsed) else _NAN


def truth_words(form: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words for false and those for true, in small letters, of a boolean column's format."""
    return (
        form.get("false", ("false", "no", "n", "f", "0")),
        form.get("true", ("true", "yes", "y", "t", "1")),
    )


def _boolean(column: Column) -> Callable[[Any], float]:
    false, true = map(frozenset, truth_words(column.format))

    def read(value: Any) -> float:
        if value is True:
            return 1.0
        if value is False:
            return 0.0
        spelled = text(value, "float")
        if spelled is None:
            return _NAN
        spelled = spelled.lower()
        return 1.0 if spelled in true else 0.0 if spelled in false else _NAN

    return read


def _seconds(moment: dt.datetime) -> float:
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
    seconds = ((moment - _EPOCH) // _MICROSECOND) / 1e6
    return seconds if FIRST <= seconds < END else _NAN


def tidy_date(text: str) -> str:
    """Return a written date without what `strptime` cannot read: ordinals, dots after months, quarters.

    Examples
    --------
    >>> tidy_date("3rd Sept. 2014"), tidy_date("2014Q2"), tidy_date("Q4 2014")
    ('3 Sep 2014', '2014-04', '2014-10')
    """
    if quarter := _QUARTER.fullmatch(text):
        return f"{quarter[1] or quarter[4]}-{int(quarter[2] or quarter[3]) * 3 - 2:02d}"
    return _SEPT.sub("Sep", _DOTTED.sub(r"\1", _ORDINAL.sub(r"\1", text)))


def _datetime(column: Column) -> Callable[[Any], float]:
    formats = tuple(column.format.get("formats", ()))
    epoch = column.format.get("epoch")  # seconds a unit, where numbers are times
    origin = column.format.get("origin", 0.0)  # the number that stands for the start of 1970

    def by_format(value: str) -> float:
        for form in formats:
            try:
                return _seconds(dt.datetime.strptime(value, form))  # noqa: DTZ007 - `_seconds` says UTC
            except (ValueError, OverflowError):
                continue
        return _NAN

    def from_text(value: str) -> float:
        value = value.strip()
        if not value or len(value) > 64:
            return _NAN
        seconds = by_format(value)
        if math.isnan(seconds) and formats and (tidy := tidy_date(value)) != value:
            seconds = by_format(tidy)
        if not math.isnan(seconds):
            return seconds
        if epoch is not None:
            return from_number(number(value))
        try:
            return _seconds(dt.datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            return _NAN

    def from_number(value: float) -> float:
        seconds = (value - origin) * (epoch or _NAN)
        return seconds if FIRST <= seconds < END else _NAN

    def read(value: Any) -> float:
        if isinstance(value, str):
            return from_text(value)
        if isinstance(value, dt.datetime):
            return _seconds(value)
        if isinstance(value, dt.date):
            return _seconds(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC))
        if isinstance(value, (int, float, np.integer, np.floating, Decimal)) and not isinstance(value, bool):
            if epoch is not None:
                return from_number(number(value))
            spelled = text(value)
            return from_text(spelled) if formats and spelled is not None else _NAN  # 20191231
        return _NAN

    return read


def reader(column: Column) -> CellReader:
    """Return the function that reads one raw value of `column` into a canonical cell. It never raises.

    Examples
    --------
    >>> reader(Column("price", Kind.NUMERIC))("1,204.50")
    1204.5
    """
    if column.kind is Kind.NUMERIC:
        form = column.format
        return lambda value: number(value, form)
    if column.kind is Kind.BOOLEAN:
        return _boolean(column)
    if column.kind is Kind.DATETIME:
        return _datetime(column)
    dtype = column.dtype
    return lambda value: text(value, dtype)

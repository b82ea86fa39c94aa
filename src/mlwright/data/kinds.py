"""Kinds: the judgement of one column: numeric, category, text, time, boolean, identifier or constant.

The rules stand in `mlwright.data.infer`; the thresholds stand here beside their reasons.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlwright.core.errors import SchemaError
from mlwright.core.types import Floats
from mlwright.data.cells import RawColumn
from mlwright.data.date_format import date_format
from mlwright.data.measures import MEASURES
from mlwright.data.number_format import number_format
from mlwright.data.numbered_dates import IN_DIGITS, TIME_WORDS, DateFound, dates_in, told_dates
from mlwright.data.ranges import read_range
from mlwright.data.schema import Column, Kind

__all__ = ["Judgement", "judge", "judge_as", "name_parts"]

_MOST = 0.95  # of the values must be readable for a column to be numbers or dates
_FEWEST_NUMBERS = 4  # different ones, before ranges beside them are read as numbers too
_FEW_ROWS = 20  # below this, "all values differ" says nothing
_EXACT = 2.0**53  # larger whole numbers are no longer told apart by a float
_ID = frozenset(["id", "ids", "uuid", "guid", "key"])
# Of what people write ids in one word with their noun: "userid", but neither "paid" nor "humid".
_NOUNS = frozenset(
    [
        *(
            "account",
            "booking",
            "case",
            "client",
            "customer",
            "device",
            "employee",
            "game",
            "item",
            "loan",
            "member",
        ),
        *(
            "movie",
            "order",
            "passenger",
            "patient",
            "person",
            "player",
            "product",
            "record",
            "row",
            "session",
            "store",
        ),
        *("student", "subject", "transaction", "unit", "user"),
    ]
)
# Words that number rows only where they are the whole name: "row_index", but neither "heat_index" nor "king_row".
_ROW = frozenset(["index", "idx", "rownum", "rownames", "row", "unnamed", "serial"])
_CODE = frozenset(
    [
        "code",
        "codes",
        "type",
        "zip",
        "zipcode",
        "postcode",
        "postal",
        "category",
        "cluster",
        "channel",
        "region",
        "store",
        "shop",
        "dept",
        "department",
        "sku",
    ]
)
_CALENDAR = TIME_WORDS | frozenset(
    ["year", "month", "week", "hour", "minute", "second", "quarter", "step", "period", "age"]
)
_TEXT = ((2, 0.9), (2.5, 0.6), (4, 0.5))  # so many words a value, and such a share of the values differ
# A column of these names with these values says how somebody split the rows; no new row comes with such a word.
_SPLIT = frozenset(["split", "partition", "subset", "set", "fold"])
_PARTS = frozenset(
    ["train", "training", "test", "testing", "valid", "validation", "val", "dev", "eval", "holdout"]
)
_TRUE_FALSE = "boolean, true or false"
_PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
_KNOWN_PAIRS = 4  # of these, the reading knows the words without being told


# The years 1980 to 2100 in seconds, and how many of each unit a second has.
@dataclass(frozen=True, slots=True)
class Judgement:
    """What a column was found to be; `why` is empty where the numbers alone say it."""

    kind: Kind
    dtype: str = "str"
    format: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    remark: str = ""
    unusable: bool = False


def name_parts(name: str) -> list[str]:
    """Return the words of a name in lower case.

    Examples
    --------
    >>> name_parts("customerID"), name_parts("zip_code2")
    (['customer', 'id'], ['zip', 'code', '2'])
    """
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def judge(raw: RawColumn, *, plain: bool = False) -> Judgement:
    """Return what `raw` is.

    Parameters
    ----------
    raw : RawColumn
        The column.
    plain : bool, default=False
        Never say identifier: the project says that the column is a target or a feature.
    """
    if raw.family == "nested":
        return Judgement(
            Kind.TEXT,
            why=f"values of type {raw.raw.type} are no single values: ignored",
            unusable=True,
        )
    if raw.n_present == 0:
        return Judgement(Kind.CONSTANT, why=f"constant: all {raw.n_rows:,} values are missing")
    if raw.family == "bool":
        return _constant(raw, "bool") or Judgement(Kind.BOOLEAN, "bool", why=_TRUE_FALSE)
    if raw.family == "time":
        return _time(raw, DateFound({}))
    if raw.family == "number":
        return _numbers(raw, {}, plain=plain)
    return _texts(raw, plain=plain)


def _texts(raw: RawColumn, *, plain: bool) -> Judgement:
    words, counts = raw.words
    if raw.share_of_numbers == 0.0 and (pair := _pair(words)) is not None:
        return (_constant(raw, "bool") if pair.dtype == "bool" else None) or pair
    if not raw.has_leading_zeros:
        # A few words among numbers are slips; many different ones are categories.
        if raw.share_of_numbers >= _MOST and len(words) <= _distinct(raw.numbers()):
            return _numbers(raw, {}, plain=plain)
        held = raw.all_words if raw.share_of_numbers else raw.words
        form = number_format(*held) if words else None
        if form is not None and _read_share(raw, Column(raw.name, Kind.NUMERIC, format=form)) >= _MOST:
            return _numbers(raw, form, plain=plain)
    if (found := _measured(raw)) is not None:
        return _numbers(raw, found, plain=plain)
    found = _dates(raw, words) if counts.sum() >= _MOST * raw.n_present else None
    if found is not None:
        return _time(raw, found)
    if not raw.has_leading_zeros and (ranged := _ranged(raw)) is not None:
        return _numbers(raw, ranged, plain=plain)
    return _constant(raw, "str") or _category_or_text(raw, plain=plain)


def _measured(raw: RawColumn) -> dict[str, Any] | None:
    """Return the format of times of day, durations or feet and inches, if nearly all texts are such."""
    words, _ = raw.words
    sample = words[:: max(1, len(words) // 200)]
    for name, read in MEASURES.items():
        if sum(not math.isnan(read(word)) for word in sample) >= _MOST * max(1, len(sample)):
            form = {"measure": name}
            if _read_share(raw, Column(raw.name, Kind.NUMERIC, format=form)) >= _MOST:
                return form
    return None


def _ranged(raw: RawColumn) -> dict[str, Any] | None:
    """Return the format of numbers with some ranges or bounds among them: "3 years", "10+ years", "< 1 year".

    Most different values must be numbers: where ranges are all that there is, they are ordered categories.
    """
    words, counts = raw.all_words
    sample = words[:: max(1, len(words) // 200)]
    if sum(read_range(word) is not None for word in sample) < _MOST * len(sample):
        return None
    found = [read_range(word) for word in words]
    plain = [i for i, one in enumerate(found) if one is not None and one.form == "number"]
    ranged = [one for one in found if one is not None and one.form != "number"]
    if not ranged or 2 * len(plain) <= len(words) or len(plain) < _FEWEST_NUMBERS:
        return None
    form = number_format([words[i] for i in plain], counts[plain])
    if form is None:
        return None
    units = {one.around for one in ranged} - {unit.lower() for unit in ("", *form.get("strip", ()))}
    form = {**form, "ranges": True}
    if len(units) > 2 or _read_share(raw, Column(raw.name, Kind.NUMERIC, format=form)) < _MOST:
        return None
    return form


def _pair(words: list[str]) -> Judgement | None:
    lower = {word.lower() for word in words}
    if lower and lower < {"false", "true"}:  # one of the two alone, as a column of booleans may hold
        return Judgement(Kind.BOOLEAN, "bool", why=_TRUE_FALSE)
    for position, (false, true) in enumerate(_PAIRS):
        if lower == {false, true}:
            dtype = "bool" if position == 0 else "str"
            form = {} if position < _KNOWN_PAIRS else {"false": [false], "true": [true]}
            return Judgement(Kind.BOOLEAN, dtype, form, why=f"boolean, {true} or {false}")
    return None


def _numbers(raw: RawColumn, form: dict[str, Any], *, plain: bool) -> Judgement:
    values = raw.numbers(form)
    present = values[~np.isnan(values)]
    whole = bool(np.all(present == np.floor(present)))
    # A number with a unit or a decimal comma is written as text; others are spelled as what they are.
    dtype = "str" if form else "int" if whole and np.abs(present).max() < 2.0**63 else "float"
    if constant := _constant(raw, dtype):
        return constant
    distinct = np.unique(present)
    if (
        not form
        and distinct.size == 2
        and distinct[0] == 0
        and distinct[1] == 1
        and raw.share_of_numbers == 1.0
    ):
        return Judgement(Kind.BOOLEAN, "int", why="boolean, 1 or 0")
    if form or not whole:
        return Judgement(Kind.NUMERIC, dtype, form)
    return _whole_numbers(raw, values, present, distinct, plain=plain)


def _whole_numbers(
    raw: RawColumn, values: Floats, present: Floats, distinct: Floats, *, plain: bool
) -> Judgement:
    parts = name_parts(raw.name)
    n_distinct = distinct.size
    if np.abs(distinct).max() >= _EXACT:
        n_distinct = len(raw.coded(Column(raw.name, Kind.CATEGORICAL, dtype="int")).levels)
    by_name = _names_rows(parts) or (bool(parts) and parts[-1] in _CODE)
    words = set(parts)
    found = dates_in(distinct, words, code=by_name)
    if found is not None:
        return _time(raw, found)
    dtype = "int" if np.abs(distinct).max() < 2.0**63 else "float"
    share = n_distinct / present.size
    if not plain and present.size >= _FEW_ROWS:
        if _names_rows(parts) and share > 0.5:
            return Judgement(Kind.ID, dtype, why=f"identifier by its name, {share:.0%} of its values differ")
        if share >= _MOST and np.abs(distinct).max() >= _EXACT:
            return Judgement(
                Kind.ID, dtype, why=f"identifier: huge whole numbers, {share:.0%} of them differ"
            )
        if not set(parts) & _CALENDAR and _counts_rows(values, distinct):
            return Judgement(Kind.ID, dtype, why="identifier: its values number the rows")
    is_year = "year" in words and distinct[0] >= 1000 and distinct[-1] <= 2999  # a "year_id" is no code
    if by_name and not is_year and n_distinct <= 0.5 * present.size:
        cells = raw.facts(Column(raw.name, Kind.CATEGORICAL, dtype=dtype))
        why = f"categorical, {n_distinct:,} whole numbers that are codes by the column's name"
        return Judgement(Kind.CATEGORICAL, dtype, why=f"{why}, most often {cells.levels[0]!r}")
    return Judgement(Kind.NUMERIC, dtype)


def _names_rows(parts: list[str]) -> bool:
    """Return whether a name says that its values name rows or things."""
    words = {part for part in parts if not part.isdigit()}
    joined = {word.removesuffix("id") for word in words if word.endswith("id")}
    return (
        bool(words & _ID)
        or bool(joined & _NOUNS)
        or (bool(words & _ROW) and words <= _ROW | {"no", "nr", "num", "number"})
    )


def _counts_rows(values: Floats, distinct: Floats) -> bool:
    """Return whether the values are 0, 1, 2... or 1, 2, 3..., in row order or (from 100 rows on) in any order.

    From 100 rows on, numbers in row order with fewer gaps than rows count too: rows were left out.
    """
    n = values.size
    if n >= 5 * _FEW_ROWS and distinct[-1] - distinct[0] < 2 * n and bool(np.all(np.diff(values) > 0)):
        return True
    if distinct.size != n or distinct[0] not in (0.0, 1.0) or distinct[-1] - distinct[0] != n - 1:
        return False
    return n >= 5 * _FEW_ROWS or bool(np.all(np.diff(values) == 1))


def _dates(raw: RawColumn, words: list[str]) -> DateFound | None:
    found = date_format(words)
    if found is None:
        return None
    form: dict[str, Any] = {"formats": found.formats} if found.formats else {}
    share = _read_share(raw, Column(raw.name, Kind.DATETIME, format=form))
    return DateFound(form, found.remark) if share >= _MOST else None


def _time(raw: RawColumn, found: DateFound) -> Judgement:
    cells = raw.floats(Column(raw.name, Kind.DATETIME, format=found.format))
    midnight = bool(np.all(cells[~np.isnan(cells)] % 86400 == 0))
    formats = found.format.get("formats", [])
    numbered = "epoch" in found.format or formats in IN_DIGITS
    dtype = "int" if numbered else "date" if midnight else "timestamp"
    return _constant(raw, dtype) or Judgement(Kind.DATETIME, dtype, found.format, remark=found.remark)


def _constant(raw: RawColumn, dtype: str) -> Judgement | None:
    """Return the judgement for one and the same value in every row; a value beside missing ones says something."""
    if raw.differs:
        return None
    facts = raw.facts(Column(raw.name, Kind.CONSTANT, dtype=dtype))
    if facts.n_distinct != 1 or facts.n_present < raw.n_rows:
        return None
    return Judgement(Kind.CONSTANT, dtype, why=f"constant: every value is {facts.levels[0][:40]!r}")


def _category_or_text(raw: RawColumn, *, plain: bool) -> Judgement:
    words, counts = raw.all_words
    total = int(counts.sum())
    share = len(words) / total
    n_words = np.array([len(word.split()) for word in words])
    mean_words = float(n_words @ counts) / total
    mean_length = float(np.array([len(word) for word in words]) @ counts) / total
    digits = sum(any(map(str.isdigit, word)) for word in words) / len(words)
    if not plain and total >= _FEW_ROWS:
        parts = name_parts(raw.name)
        if set(parts) & _SPLIT and {word.lower() for word in words} <= _PARTS and len(words) > 1:
            why = f"says which part of a split a row is in ({', '.join(map(repr, words[:3]))}): ignored"
            return Judgement(Kind.CATEGORICAL, why=why, unusable=True)
        if _names_rows(parts) and share > 0.5 and mean_words < 4:
            return Judgement(Kind.ID, why=f"identifier by its name, {share:.0%} of its values differ")
        # One word each, or short groups that all hold digits, nearly all different: numbers of plates and policies.
        if share >= _MOST and (
            mean_words < 1.2 or (digits >= _MOST and mean_words <= 3 and mean_length < 24)
        ):
            return Judgement(Kind.ID, why=f"identifier: {share:.0%} of its values differ, one word each")
    is_text = any(mean_words >= least and share >= most for least, most in _TEXT)
    if len(words) >= 10 and (is_text or (mean_length >= 60 and mean_words >= 4 and share >= 0.2)):
        why = f"text, {mean_words:.1f} words on average, {share:.0%} of the values differ"
        return Judgement(Kind.TEXT, why=why)
    return Judgement(Kind.CATEGORICAL)


def judge_as(raw: RawColumn, kind: Kind, *, told: bool = True) -> Judgement:
    """Return how `raw` is read as the kind that the project says.

    With `told` numbers may also be a spreadsheet's days or years; without, only what a moment alone can be.

    Raises
    ------
    SchemaError
        If most of its values cannot be read as that.
    """
    said = Judgement(kind, _source_dtype(raw), remark="as the project says")
    if kind in {Kind.ID, Kind.CONSTANT, Kind.TEXT, Kind.CATEGORICAL}:
        return said
    form: dict[str, Any] | None = {}
    if kind is Kind.NUMERIC and raw.family == "text" and raw.share_of_numbers < _MOST:
        form = number_format(*raw.all_words) or {}
    elif kind is Kind.BOOLEAN:
        form = _boolean_format(raw)
    elif kind is Kind.DATETIME:
        form = _datetime_format(raw, told=told)
    share = 0.0 if form is None else _read_share(raw, Column(raw.name, kind, format=form))
    if form is None or (raw.n_present and share < 0.5):
        words = (
            raw.all_words[0][:3]
            if raw.family == "text"
            else [str(v) for v in raw.raw.slice(0, 3).to_pylist()]
        )
        raise SchemaError(
            f"column '{raw.name}' cannot be read as {kind}",
            got=words,
            fix=f"leave its kind out, or mend the values ({share:.0%} of them can be read)",
        )
    remark = said.remark
    if form.get("origin"):
        remark = f"days of a spreadsheet, {remark}"
    return Judgement(kind, said.dtype, form, remark=remark)


def _source_dtype(raw: RawColumn) -> str:
    """Return the type of the values themselves."""
    if raw.n_present == 0 or raw.family == "nested":
        return "str"
    if raw.family == "bool":
        return "bool"
    return judge(raw, plain=True).dtype


def _boolean_format(raw: RawColumn) -> dict[str, Any] | None:
    if raw.family == "bool":
        return {}
    levels = raw.facts(Column(raw.name, Kind.CATEGORICAL, dtype="float")).levels
    words = sorted({level.lower() for level in levels})
    if len(words) > 2:
        return None
    if set(words) == {"0", "1"} or ((pair := _pair(words)) is not None and not pair.format):
        return {}
    if (pair := _pair(words)) is not None:
        return pair.format
    known = [word for word in words if word in {"1", *(true for _, true in _PAIRS)}]
    true = known[0] if known else words[-1]
    return {"false": [word for word in words if word != true], "true": [true]}


def _datetime_format(raw: RawColumn, *, told: bool) -> dict[str, Any] | None:
    if raw.family == "time":
        return {}
    if raw.share_of_numbers >= _MOST:
        values = raw.numbers()
        distinct = np.unique(values[~np.isnan(values)])
        found = (told_dates(distinct) if told else dates_in(distinct, TIME_WORDS)) if distinct.size else None
    else:
        found = _dates(raw, raw.words[0]) if raw.family == "text" else None
    return None if found is None else found.format


def _read_share(raw: RawColumn, column: Column) -> float:
    cells = raw.floats(column)
    return float((~np.isnan(cells)).sum()) / max(raw.n_present, 1)


def _distinct(values: Floats) -> int:
    return int(np.unique(values[~np.isnan(values)]).size)

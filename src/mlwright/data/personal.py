"""Personal: columns whose values tell who somebody is, found by content, and by name together with content.

Up to 1,000 distinct values are looked at. A column is personal if nearly all of them are what their form and check
digits say; what chance could make asks for more values, or for a name that agrees. No value is ever repeated.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlwright.data.check_digits import NATIONAL_IDS, is_card, is_iban
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.data.values import text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Personal", "personal", "personal_columns"]

_MOST_ROWS = 20_000
_FEWEST = 3  # distinct values, below which nothing is told
_MOST_VALUES = 1_000
_MOST_LETTERS = 2_000
_MOSTLY, _FIRST = 0.3, 25
_LEAST_NUMBER = 1_000_000  # a column of smaller numbers holds none of these
_NEVER = frozenset({Kind.DATETIME, Kind.BOOLEAN, Kind.CONSTANT})

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}")
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?: ?x\d+)?"
)
_INTERNATIONAL = re.compile(r"\+\d{1,3}[ ./-]?(?:\(\d{1,5}\)[ ./-]?)?\d(?:[ ./-]?\d){5,13}")
_ANY_PHONE = re.compile(r"\+?(?:[ ()./-]*\d){7,15}(?: ?(?:x|ext\.?) ?\d+)?")
_NAMED_PHONE = re.compile(r"phone|mobile|(?:^|_)(?:tel|cell|fax)(?:_|$)|telefon|handynr|msisdn")
_NAMED_CARD = re.compile(r"card|(?:^|_)(?:cc|pan)(?:_|$)")
_NAMED_SSN = re.compile(r"(?:^|_)ssn(?:_|$)|social_?security")
_NAMED_VERSION = re.compile(r"version|release|build")
_PERSON_NAME = re.compile(
    r"(?:^|_)(?:(?:first|last|given|family|middle|maiden|full|sur|fore|customer|client|patient|employee|passenger|"
    r"person|contact|guest|member|driver|student|applicant|borrower|cardholder|holder)_?names?"
    r"|names?_?(?:first|last|given|full)|vorname|nachname|prenom|apellidos?|cognome)(?:_|$)"
)
_NAME = re.compile(
    r"(?:^|_)(?:names?|players?|authors?|artists?|doctor|physician|employee|customer|passenger)(?:_|$)"
)
_HONORIFIC = re.compile(
    r"(?:^|[ ,])(?:mr|mrs|ms|miss|master|dr|prof|rev|herr|frau|mme|sr|sra)\.? ", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W\d_][^\W\d_'\u2019.-]*(?:[ ,'\u2019.\-()\"]+[^\W\d_]+)*[ .,)\"]*")
_GIVEN_NAMES = """
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan
jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory frank alexander
raymond patrick jack dennis jerry tyler aaron jose adam nathan henry peter zachary kyle walter harold jeremy
ethan carl keith roger arthur albert joe juan bruce billy ralph roy eugene louis philip bobby mary patricia
jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret sandra ashley kimberly
emily donna michelle carol amanda dorothy melissa deborah stephanie rebecca sharon laura cynthia kathleen
amy angela shirley anna brenda pamela emma nicole helen samantha katherine christine debra rachel carolyn
janet catherine maria heather diane ruth julie olivia joyce virginia victoria kelly lauren christina joan
evelyn judith megan andrea cheryl hannah jacqueline martha gloria teresa ann sara madison frances kathryn
janice jean alice julia grace judy sophia hans klaus peter wolfgang stefan andreas ursula petra monika
sabine claudia pierre michel philippe isabelle nathalie luis carlos antonio manuel francisco javier miguel
carmen pilar giuseppe giovanni marco francesco mohamed mohammed ahmed ali fatima aisha wei li ming yuki
hiroshi priya rahul amit olga ivan sergey natalia jan piotr anders lars erik ingrid
"""
_GIVEN = frozenset(_GIVEN_NAMES.split())


class Personal(NamedTuple):
    """What a column holds: in words, in which share of the values looked at, and how many those were."""

    what: str
    share: float
    n_values: int


@dataclass(frozen=True, slots=True)
class _Detector:
    """One sort of personal value: how it is told, and what share and number of distinct values it takes."""

    what: str
    test: Callable[[str], object]
    share: float = 0.9
    fewest: int = 5
    named: re.Pattern[str] | None = None
    kinds: tuple[Kind, ...] = ()


def personal(column: Column, raw: pa.ChunkedArray) -> Personal | None:
    """Return what personal values a column holds, or None.

    Parameters
    ----------
    column : Column
        As it was inferred.
    raw : pyarrow.ChunkedArray of n_rows
        Its raw values.

    Examples
    --------
    >>> import pyarrow as pa
    >>> raw = pa.chunked_array([[f"user{i}@example.com" for i in range(20)]])
    >>> personal(Column("contact", Kind.ID), raw)
    Personal(what='e-mail addresses', share=1.0, n_values=20)
    """
    if column.kind in _NEVER or (
        column.kind is Kind.NUMERIC and column.high is not None and column.high < _LEAST_NUMBER
    ):
        return None
    values = _values(raw)
    if len(values) < _FEWEST:
        return None
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower())
    for detector in _DETECTORS:
        if (detector.kinds and column.kind not in detector.kinds) or (
            detector.named is not None and not detector.named.search(name)
        ):
            continue
        if detector.what == _IP and _NAMED_VERSION.search(name):
            continue
        # A first look at some spares the others: what nearly all values are, some of the first are.
        if detector.share >= _MOSTLY and not any(detector.test(value) for value in values[:_FIRST]):
            continue
        n_found = sum(1 for value in values if detector.test(value))
        if n_found >= max(detector.fewest, detector.share * len(values)):
            return Personal(detector.what, n_found / len(values), len(values))
    return None


def personal_columns(raw: pa.Table, schema: Schema) -> dict[str, Personal]:
    """Return the personal columns of a raw table by name; the target is what is asked for and never one."""
    present = frozenset(raw.column_names)
    found: dict[str, Personal] = {}
    for column in schema.columns:
        if column.role is Role.TARGET or column.name not in present:
            continue
        told = personal(column, raw.column(column.name))
        if told is not None:
            found[column.name] = told
    return found


def _values(raw: pa.ChunkedArray) -> list[str]:
    """Return distinct values as texts, of evenly spaced rows; none of a column that holds no text and no integers."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type.value_type if types.is_dictionary(raw.type) else raw.type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if not (is_text or types.is_integer(kind) or types.is_floating(kind)):
        return []
    if len(raw) > _MOST_ROWS:
        raw = raw.take(pa.array(np.linspace(0, len(raw) - 1, _MOST_ROWS).astype(np.int64)))
    distinct = _distinct(raw.cast(kind) if types.is_dictionary(raw.type) else raw)
    if types.is_floating(kind):
        whole = [value for value in distinct if float(value).is_integer()]
        if len(whole) < len(distinct):  # an amount, a measure: no number that names anybody
            return []
        distinct = [int(value) for value in whole]
    words: Iterable[str | None] = map(text, distinct) if is_text else map(str, distinct)
    return [word[:_MOST_LETTERS] for word in words if word is not None]


def _distinct(raw: pa.ChunkedArray) -> list:  # type: ignore[type-arg] - texts or numbers
    import numpy as np

    distinct = raw.unique().drop_null()
    if len(distinct) > _MOST_VALUES:
        distinct = distinct.take(np.linspace(0, len(distinct) - 1, _MOST_VALUES).astype(np.int64))
    return distinct.to_pylist()


def _is_ip(value: str) -> bool:
    if not ("." in value or ":" in value) or not 3 <= len(value) <= 45:
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_phone(value: str) -> bool:
    return bool(_NORTH_AMERICAN.fullmatch(value) or _INTERNATIONAL.fullmatch(value))


def _is_person(value: str) -> bool:
    return bool(_WORDS.fullmatch(value)) and len(value.split()) <= 7 and len(value) > 1


def _is_known_person(value: str) -> bool:
    if not any(letter.isalpha() for letter in value) or len(value.split()) > 12:
        return False
    words = re.findall(r"[^\W\d_]+", value.lower())
    return bool(_HONORIFIC.search(value)) or (len(words) > 1 and not _GIVEN.isdisjoint(words))


_IP = "IP addresses"
_DETECTORS: tuple[_Detector, ...] = (
    _Detector("e-mail addresses", _EMAIL.fullmatch, share=0.5, fewest=3),
    _Detector("account numbers (IBAN)", is_iban, fewest=3),
    _Detector("payment card numbers", is_card, fewest=3, named=_NAMED_CARD),
    _Detector("payment card numbers", is_card, fewest=10),
    *(_Detector(what, test, fewest=10) for what, test in NATIONAL_IDS.items()),
    _Detector("US social security numbers", re.compile(r"(?!000|666|9)\d{9}").fullmatch, named=_NAMED_SSN),
    _Detector(_IP, _is_ip),
    _Detector("phone numbers", _is_phone, share=0.8),
    _Detector("phone numbers", _ANY_PHONE.fullmatch, share=0.8, named=_NAMED_PHONE),
    _Detector(
        "names of persons",
        _is_person,
        share=0.8,
        named=_PERSON_NAME,
        kinds=(Kind.TEXT, Kind.CATEGORICAL, Kind.ID),
    ),
    _Detector(
        "names of persons",
        _is_known_person,
        share=0.3,
        named=_NAME,
        kinds=(Kind.TEXT, Kind.CATEGORICAL, Kind.ID),
    ),
    _Detector("texts with e-mail addresses", _EMAIL.search, share=0.02, kinds=(Kind.TEXT,)),
    _Detector(
        "texts with phone numbers",
        lambda value: bool(_NORTH_AMERICAN.search(value)),
        share=0.02,
        kinds=(Kind.TEXT,),
    ),
)

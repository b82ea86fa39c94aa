"""What the names of columns say of a split: entities, blocks, moments, how far a target looks ahead, how wide a gap is.

Knows names alone: no values, no tables.
"""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = [
    "CALENDAR",
    "COUNTED",
    "gap_seconds",
    "is_block_name",
    "is_date_of_life",
    "is_entity_name",
    "is_event_time_name",
    "is_id_name",
    "looks_ahead",
    "with_gap",
    "words_of",
]

_ENTITIES = frozenset(
    [
        "account",
        "athlete",
        "block",
        "card",
        "case",
        "client",
        "customer",
        "cust",
        "device",
        "donor",
        "driver",
        "employee",
        "household",
        "individual",
        "machine",
        "member",
        "participant",
        "passenger",
        "patient",
        "person",
        "player",
        "respondent",
        "session",
        "student",
        "subject",
        "unit",
        "user",
        "vehicle",
        "visitor",
        "worker",
    ]
)
_KEYS = frozenset(["id", "ids", "key", "nbr", "no", "nr", "num", "number", "uuid", "guid", "code", "hash"])
_EVENTS = frozenset(
    [
        "admission",
        "booking",
        "checkin",
        "created",
        "event",
        "invoice",
        "log",
        "logged",
        "measured",
        "measurement",
        "observation",
        "observed",
        "order",
        "ordered",
        "payment",
        "pickup",
        "posted",
        "purchase",
        "reading",
        "recorded",
        "request",
        "sale",
        "sales",
        "sold",
        "start",
        "started",
        "transaction",
        "trip",
        "visit",
    ]
)
_MOMENTS = frozenset(["at", "date", "datetime", "day", "on", "time", "timestamp", "ts"])
_MOMENTS_ALONE = frozenset(["date", "datetime", "ds", "time", "timestamp", "ts"])
COUNTED = _MOMENTS_ALONE | {"day", "days", "hour", "minute", "month", "period", "step", "t", "week", "year"}
# The parts of a date that tables give a column each, by what they may be called, the longest first.
CALENDAR = (("year", "yr"), ("month", "mnth", "mon"), ("day",), ("hour", "hr"), ("minute",))
# Where rows come from together, and new rows come from others.
_BLOCKS = frozenset(
    [
        "batch",
        "block",
        "family",
        "flock",
        "herd",
        "household",
        "image",
        "litter",
        "paddock",
        "patch",
        "plate",
        "plot",
        "recording",
        "scene",
        "site",
        "slide",
        "speaker",
        "tile",
        "transect",
        "video",
    ]
)
_IDS = frozenset(["id", "ids", "uuid", "guid", "hash", "key"])
_LIFE = frozenset(
    [
        "birth",
        "birthday",
        "born",
        "dob",
        "deadline",
        "due",
        "expires",
        "expiration",
        "expiry",
        "maturity",
        "matures",
        "until",
        "valid",
    ]
)
_AHEAD = frozenset(
    ["ahead", "coming", "following", "forward", "future", "in", "lead", "next", "upcoming", "will", "within"]
)
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 7 * 86_400.0),
    **dict.fromkeys(("m", "mo", "month", "months"), 31 * 86_400.0),
    **dict.fromkeys(("q", "quarter", "quarters"), 92 * 86_400.0),
    **dict.fromkeys(("y", "yr", "year", "years"), 366 * 86_400.0),
}
_GAP = re.compile(r"(.+?)\s+gap\s+(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """Return the words of a column's name, in small letters.

    Examples
    --------
    >>> words_of("customerId"), words_of("next_30d")
    (['customer', 'id'], ['next', '30d'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]


def is_entity_name(name: str) -> bool:
    """Whether a column's name says that it names a person or thing with several rows.

    Examples
    --------
    >>> [is_entity_name(name) for name in ("customer_id", "PatientID", "userid", "id", "num_users", "zone_id")]
    [True, True, True, True, False, False]
    """
    words = words_of(name)
    if words == ["id"]:
        return True  # where it repeats, it names no row but what the rows are about
    if len(words) == 1:
        return words[0] in _ENTITIES or (words[0].endswith("id") and words[0][:-2] in _ENTITIES)
    return len(words) > 1 and words[-1] in _KEYS and words[-2] in _ENTITIES


def is_event_time_name(name: str) -> bool:
    """Whether a column's name says when the row happened.

    Examples
    --------
    >>> [is_event_time_name(name) for name in ("timestamp", "date_time", "createdAt", "birth_date", "expiry")]
    [True, True, True, False, False]
    """
    words = words_of(name)
    if len(words) == 1:
        return words[0] in _MOMENTS_ALONE
    if words and set(words) <= _MOMENTS_ALONE:
        return True
    return len(words) > 1 and words[-1] in _MOMENTS and (words[-2] in _EVENTS or words[-2] == "time")


def is_id_name(name: str) -> bool:
    """Whether a column's name says that it holds the id of something.

    Examples
    --------
    >>> [is_id_name(name) for name in ("playerID", "sample_id", "unitid", "idea", "zone")]
    [True, True, True, False, False]
    """
    words = words_of(name)
    return bool(words) and (
        words[-1] in _IDS or is_entity_name(name) or bool(re.fullmatch(r"[a-z]{3,}id", words[-1]))
    )


def is_block_name(name: str) -> bool:
    """Whether a column's name says that rows were made together: a batch, a plot, a picture.

    Examples
    --------
    >>> [is_block_name(name) for name in ("batch", "plot_id", "Household", "region")]
    [True, True, True, False]
    """
    words = words_of(name)
    return bool(words) and (
        words[-1] in _BLOCKS or (len(words) > 1 and words[-1] in _KEYS and words[-2] in _BLOCKS)
    )


def is_date_of_life(name: str) -> bool:
    """Whether a column's name says a date that is not when the row happened: a birth, an expiry.

    Examples
    --------
    >>> [is_date_of_life(name) for name in ("birth_date", "DOB", "opened")]
    [True, True, False]
    """
    return not _LIFE.isdisjoint(words_of(name))


def looks_ahead(name: str) -> tuple[float, str] | None:
    """Return how many seconds the target looks ahead by its name, and that in words; None if it says nothing.

    Examples
    --------
    >>> looks_ahead("churn_next_30d"), looks_ahead("sales_next_week")
    ((2592000.0, '30 d'), (604800.0, '1 week'))
    >>> looks_ahead("calls_30d") is None
    True
    """
    words = words_of(name)
    if _AHEAD.isdisjoint(words):
        return None
    joined = " ".join(re.sub(r"(?<=[0-9])(?=[a-z])|(?<=[a-z])(?=[0-9])", " ", word) for word in words).split()
    for number, unit in pairwise(joined):
        if number.isdigit() and unit in _SECONDS:
            return float(number) * _SECONDS[unit], f"{number} {unit}"
    for word, unit in pairwise(joined):
        if word in {"next", "following", "coming", "upcoming"} and len(unit) > 2 and unit in _SECONDS:
            return _SECONDS[unit], f"1 {unit}"
    return None


def with_gap(text: str) -> tuple[str, float, str] | None:
    """Return the column, the number and the unit of ``"COLUMN gap 7d"``; None if `text` names no gap.

    Examples
    --------
    >>> with_gap("day gap 7d"), with_gap("day")
    (('day', 7.0, 'd'), None)
    """
    match = _GAP.fullmatch(text.strip())
    return None if match is None else (match[1], float(match[2]), match[3].lower())


def gap_seconds(unit: str) -> float | None:
    """Return the seconds of a unit of time, None if it is none.

    Examples
    --------
    >>> gap_seconds("h"), gap_seconds("parsec")
    (3600.0, None)
    """
    return _SECONDS.get(unit)

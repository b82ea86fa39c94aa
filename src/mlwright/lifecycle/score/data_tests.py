"""The seven tests of features and data."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from mlwright.core.errors import RecordError
from mlwright.core.kinds import CHECKS
from mlwright.core.types import Record
from mlwright.data.schema import Column, Kind
from mlwright.lifecycle.score.rehearsal import ADDED
from mlwright.lifecycle.score.scorecard import Outcome, State, Test, listed
from mlwright.lifecycle.score.subject import Subject
from mlwright.serving.masking import Mask

__all__ = ["DATA_TESTS"]

_WRONG = {Kind.NUMERIC: "no number", Kind.BOOLEAN: "no truth value", Kind.DATETIME: "no date"}
_CALLS = 200


def _schema(subject: Subject) -> Outcome:
    predictor = subject.predictor
    record = _answered(subject)
    unheard = [
        column.name
        for column in predictor.schema.features
        if column.name in record and not _is_noticed(subject, record, column)
    ]
    n_asked = sum(column.name in record for column in predictor.schema.features)
    source = str(subject.version.path / "manifest.json")
    if not unheard:
        said = f"A wrong value was refused or warned of in each of the {n_asked} columns that the schema describes."
        return Outcome(State.AUTOMATIC, said, source)
    said = f"A wrong value was refused or warned of in {n_asked - len(unheard)} of {n_asked} columns, but not in {listed(unheard)}."
    return Outcome(
        State.MANUAL, said, source, "Say what these columns may hold (`data.kinds`), or leave them out."
    )


def _answered(subject: Subject) -> Record:
    """Return a golden record that a client could send."""
    for golden in subject.predictor.golden:
        if not _warnings(subject, golden["record"]):
            return dict(golden["record"])
    return dict(subject.predictor.golden[0]["record"])


def _warnings(subject: Subject, record: Record) -> list[Any] | None:
    """Return the warnings of an answer; None if the record is refused."""
    try:
        return subject.predictor.predict_one(record)["warnings"]
    except RecordError:
        return None


def _is_noticed(subject: Subject, record: Record, column: Column) -> bool:
    wrong = _WRONG.get(column.kind, {"not": "a text"} if column.kind is Kind.TEXT else "never seen before")
    before, after = _warnings(subject, record), _warnings(subject, record | {column.name: wrong})
    return after is None or (before is not None and len(after) > len(before))


def _beneficial(subject: Subject) -> Outcome:
    found = subject.evaluation.get("importance") or []
    source = subject.artifact("evaluation.json")
    if not found:
        return Outcome(State.NONE, "The columns' worth was not measured.", source, "Keep rows for a test.")
    useless = [item["column"] for item in found if item["high"] <= 0]
    helping = sum(item["low"] > 0 for item in found)
    said = f"Each of {len(found)} columns was shuffled on untouched rows: {helping} surely help"
    if not useless:
        return Outcome(State.AUTOMATIC, f"{said}, none surely does not.", source)
    return Outcome(
        State.MANUAL,
        f"{said}, {len(useless)} do not: {listed(useless)}.",
        source,
        "Leave these out (`data.ignore`) and compare the two versions.",
    )


def _cost(subject: Subject) -> Outcome:
    predictor, rows = subject.predictor, subject.rows
    took: list[float] = []
    for number in range(_CALLS + len(rows[:50])):
        record = rows[number % len(rows)]
        start = time.perf_counter()
        try:
            predictor.predict_one(record)
        except RecordError:  # your own test rows may miss what training never missed
            continue
        took.append(time.perf_counter() - start)
    if not took:
        return Outcome(State.NONE, "No untouched record could be predicted as a client would send it.")
    median = statistics.median(took) * 1e6
    dear, most = _dearest(subject)
    budget = subject.project.latency
    said = (
        f"A record takes {median:.0f} microseconds from a dict (budget {budget:,.0f}); of its columns {dear!r} takes most "
        f"to encode, {most:.1f} microseconds."
    )
    again = f"mlwright score {subject.selector}"
    if median <= budget:
        return Outcome(State.AUTOMATIC, said, again)
    return Outcome(State.MANUAL, said, again, "Raise `task.latency` if that is fast enough, or leave it out.")


def _dearest(subject: Subject) -> tuple[str, float]:
    """Return the column whose transforms take the longest for a record, and how many microseconds."""
    cells = subject.predictor.reader.cells(subject.rows[0])
    spent: dict[str, float] = {}
    for plan in subject.plans.values():
        for transform in plan.transforms:
            given = [cells.get(name) for name in transform.inputs]
            start = time.perf_counter()
            for _ in range(_CALLS):
                transform.row(*given)
            name = transform.inputs[0]
            spent[name] = spent.get(name, 0.0) + (time.perf_counter() - start) / _CALLS * 1e6
    return max(spent.items(), key=lambda item: item[1], default=("none", 0.0))


def _requirements(subject: Subject) -> Outcome:
    project = subject.project
    declared = {
        "banned columns": list(project.checks_ban),
        "left out": list(project.data_ignore),
        "personal": list(project.data_pii),
    }
    named = {word: names for word, names in declared.items() if names}
    contract = subject.folder / "contract.toml"
    broken = sorted(set(project.checks_ban) & set(subject.features))
    if broken:
        return Outcome(State.NONE, f"The model reads banned columns: {listed(broken)}.")
    said = f"{len(CHECKS)} checks ran on the training table before the search and found {len(subject.plan['findings'])} things"
    source = subject.artifact("plan.json")
    if named or contract.is_file():
        words = [f"{word}: {listed(names)}" for word, names in named.items()]
        words += [f"a contract in {contract}"] if contract.is_file() else []
        return Outcome(State.AUTOMATIC, f"{said}. Of its own the project demands {'; '.join(words)}.", source)
    return Outcome(
        State.MANUAL,
        f"{said}. The project demands nothing of its own.",
        source,
        "Say what models may not read: `checks.ban` or `data.ignore`, or write a contract (`mlwright contract`).",
    )


def _privacy(subject: Subject) -> Outcome:
    schema = subject.predictor.schema
    personal = [column.name for column in schema.columns if column.pii]
    searched = "pii" in CHECKS
    mask = Mask(schema)
    kept = [name for name in personal if _is_logged(mask, name)]
    if kept:
        return Outcome(State.NONE, f"The log would hold values of personal columns: {listed(kept)}.")
    told = (
        f"{len(personal)} columns are personal ({listed(personal)}); a record with made-up values was masked before the log"
        if personal
        else "No column is personal"
    )
    if searched:
        said = f"All columns were searched for personal values. {told}."
        return Outcome(State.AUTOMATIC, said, subject.artifact("plan.json"))
    return Outcome(State.MANUAL, f"{told}, as the project says.", better="Name personal columns: `data.pii`.")


def _is_logged(mask: Mask, name: str) -> bool:
    import msgspec

    secret = "made up for this test"  # noqa: S105 - no secret
    return secret.encode() in mask.record(msgspec.json.encode({name: secret}))


def _new_features(subject: Subject) -> Outcome:
    told = subject.rehearsal
    again = f"mlwright score {subject.selector}"
    if told.added:
        said = (
            f"A column that was added to {told.rows:,} rows of the snapshot was read, checked, encoded, learned from and "
            f"served without a line of code, in a rehearsal of {told.seconds:.0f} s."
        )
        return Outcome(State.AUTOMATIC, said, again)
    return Outcome(
        State.NONE, f"The rehearsal left the added column '{ADDED}' out.", again, "See the findings."
    )


def _tested_code(subject: Subject) -> Outcome:
    predictor = subject.predictor
    columns = subject.untouched.columns()
    batch = predictor.matrices(columns)
    compared = 0
    for index, record in enumerate(_and_odd(subject)):
        rows = predictor.rows(record)
        if index < len(subject.rows):
            same = all(np.array_equal(rows[v], batch[v][index], equal_nan=True) for v in batch)
        else:
            cells = predictor.reader.cells(record)
            same = all(
                np.array_equal(rows[view], plan.row(cells), equal_nan=True)
                and rows[view].shape == (len(plan.tags),)
                for view, plan in subject.plans.items()
            )
        if not same:
            return Outcome(State.NONE, f"The features of record {index} differ between batch and row path.")
        compared += 1
    kinds = {transform.kind for plan in subject.plans.values() for transform in plan.transforms}
    said = (
        f"The {len(kinds)} kinds of transforms of this model gave equal bits on the batch and the row path for "
        f"{len(subject.rows):,} untouched rows, and took {compared - len(subject.rows)} odd records."
    )
    return Outcome(State.AUTOMATIC, said, f"mlwright verify {subject.version.path}")


def _and_odd(subject: Subject) -> list[Record]:
    """Return the untouched records, and odd ones: nothing known, a value of another type, extremes."""
    first = subject.rows[0]
    odd: list[Record] = [{}]
    for value in (None, "", "never seen before", -1e300, 1e300, True):
        odd += [first | {name: value} for name in list(first)[:50]]
    return [*subject.rows, *odd]


DATA_TESTS = (
    Test("data", 1, "Feature expectations are captured in a schema", _schema),
    Test("data", 2, "All features are beneficial", _beneficial),
    Test("data", 3, "No feature's cost is too much", _cost),
    Test("data", 4, "Features adhere to meta-level requirements", _requirements),
    Test("data", 5, "The data pipeline has appropriate privacy controls", _privacy),
    Test("data", 6, "New features can be added quickly", _new_features, slow=True),
    Test("data", 7, "All input feature code is tested", _tested_code),
)

"""The seven tests of monitoring. Nothing watches by itself yet, so most of them can be run by hand only, and say so."""

from __future__ import annotations

import math
import statistics
import time

import msgspec
import numpy as np

from mlwright.core.errors import RecordError
from mlwright.core.types import Record
from mlwright.data.schema import Kind
from mlwright.lifecycle.score.scorecard import Outcome, State, Test, listed
from mlwright.lifecycle.score.subject import Subject
from mlwright.serving.answers import difference
from mlwright.tracking.lineage import lock_hash

__all__ = ["MONITORING_TESTS"]

_MOST_LOGGED = 500
_CALLS = 300
_DAY = 86_400.0


def _dependencies(subject: Subject) -> Outcome:
    before = set(subject.plan["lineage"]["packages"])
    now = set(lock_hash()[1])
    changed = sorted(line.partition("==")[0] for line in before ^ now)
    told = f"have changed since: {listed(sorted(set(changed)))}" if changed else "are the same now"
    said = f"The run wrote down the {len(before)} packages that results depend on; they {told}. Nobody is told unless they ask."
    return Outcome(
        State.MANUAL,
        said,
        f"mlwright reproduce {subject.selector}",
        "Let a schedule ask, and send what it says.",
    )


def _invariants(subject: Subject) -> Outcome:
    """Ask with values outside of what training saw; each must be warned of or refused."""
    asked = heard = 0
    for column in subject.predictor.schema.features:
        far: object
        if column.kind is Kind.NUMERIC and column.high is not None:
            far = 10.0 * abs(column.high) + 1e6
        elif column.kind is Kind.CATEGORICAL and column.levels:
            far = "never seen before"
        else:
            continue
        record = dict(subject.predictor.golden[0]["record"]) | {column.name: far}
        asked += 1
        try:
            told = subject.predictor.predict_one(record)["warnings"]
        except RecordError:
            heard += 1
            continue
        heard += any(warning["field"] == column.name for warning in told)
    if not asked:
        return Outcome(State.NONE, "No column has a range or levels to hold requests to.")
    said = (
        f"Values outside of what training saw were warned of or refused in {heard} of {asked} columns, and /metrics counts such "
        "warnings. No alarm compares the counts with what is usual."
    )
    state = State.MANUAL if heard == asked else State.NONE
    return Outcome(state, said, f"mlwright serve {subject.version.name}", "An alarm on the rate of warnings.")


def _skew(subject: Subject) -> Outcome:
    """Predict logged requests again by the batch path of the bundle."""
    log = subject.logged
    rows = log.slice(max(0, log.num_rows - _MOST_LOGGED)).to_pylist()
    better = "Let a schedule compare the log with the bundle."
    if not rows:
        said = (
            f"Features and predictions of {len(subject.predictor.golden)} golden records agree between training and serving at each "
            "load, and those of all untouched rows did before registration. No request has been logged yet."
        )
        return Outcome(State.MANUAL, said, f"mlwright verify {subject.version.path}", better)
    masked = {column.name for column in subject.predictor.schema.columns if column.pii}
    compared = differing = 0
    for row in rows:
        record = msgspec.json.decode(row["record"])
        if row["sha256"] != subject.predictor.sha256 or masked & set(record):
            continue
        compared += 1
        (answer,) = subject.predictor.predict_many([record])
        differing += difference(msgspec.json.decode(row["prediction"]), answer) is not None
    said = f"{compared:,} logged requests were predicted again from the log; {differing} differ."
    state = State.MANUAL if compared and not differing else State.NONE
    return Outcome(state, said, str(subject.store.log / subject.version.name), better)


def _stale(subject: Subject) -> Outcome:
    if subject.started is None:
        return Outcome(State.NONE, "When it was trained is not known.")
    days = (time.time() - subject.started) / _DAY
    said = f"The version was trained {days:.1f} days ago. No alarm says when that is too long."
    return Outcome(
        State.MANUAL,
        said,
        f"mlwright models --store {subject.store.root}",
        "An alarm on the age of the champion.",
    )


def _stable(subject: Subject) -> Outcome:
    """Ask with extremes: every number that comes back must be finite, and probabilities must sum to 1."""
    predictor = subject.predictor
    asked = 0
    for record in _extremes(subject):
        outputs = np.asarray(predictor.raw_one(record))
        asked += 1
        whole = predictor.task.n_outputs == 1 or abs(float(outputs.sum()) - 1.0) < 1e-6
        in_range = not predictor.task.kind.has_classes or bool(((outputs >= 0) & (outputs <= 1)).all())
        if not (np.isfinite(outputs).all() and whole and in_range):
            said = f"An extreme record gave {outputs.tolist()[:5]}."
            return Outcome(State.NONE, said, better="Leave the column out that makes it so.")
    said = (
        f"{asked} records of extremes (nothing known, 1e300, -1e300, 5e-324, values never seen) gave finite numbers only. In "
        "training a trial whose predictions are not finite is not used. No alarm watches predictions over time."
    )
    return Outcome(
        State.MANUAL, said, f"mlwright score {subject.selector}", "An alarm on what predictions look like."
    )


def _extremes(subject: Subject) -> list[Record]:
    names = list(subject.features)
    first = subject.rows[0]
    made: list[Record] = [{}]
    for value in (1e300, -1e300, 5e-324, "never seen before"):
        made.append(dict.fromkeys(names, value))
        made += [first | {name: value} for name in names[:50]]
    return made


def _performance(subject: Subject) -> Outcome:
    took = []
    record = dict(subject.predictor.golden[0]["record"])
    for _ in range(_CALLS):
        start = time.perf_counter()
        subject.predictor.raw_one(record)
        took.append(time.perf_counter() - start)
    median = statistics.median(took) * 1e6
    logged = subject.logged
    told = ""
    if logged.num_rows:
        typical = statistics.median(logged.column("latency_us").to_pylist())
        told = f" The {logged.num_rows:,} logged answers took {typical:,.0f} microseconds (median)."
    said = (
        f"A record takes {median:.0f} microseconds now, by the long way.{told} /metrics has a histogram of latencies by route. "
        "No alarm compares versions."
    )
    return Outcome(
        State.MANUAL if math.isfinite(median) else State.NONE,
        said,
        f"mlwright serve {subject.version.name}",
        "An alarm on the latency of a new version.",
    )


def _quality(subject: Subject) -> Outcome:
    said = f"{subject.logged.num_rows:,} predictions are logged, and outcomes cannot be brought to them yet."
    return Outcome(
        State.NONE, said, str(subject.store.log), "Outcomes joined to predictions, and an alarm on the score."
    )


MONITORING_TESTS = (
    Test("monitoring", 1, "Dependency changes result in notification", _dependencies),
    Test("monitoring", 2, "Data invariants hold for inputs", _invariants),
    Test("monitoring", 3, "Training and serving are not skewed", _skew),
    Test("monitoring", 4, "Models are not too stale", _stale),
    Test("monitoring", 5, "The model is numerically stable", _stable),
    Test("monitoring", 6, "Computing performance has not regressed", _performance),
    Test("monitoring", 7, "Prediction quality has not regressed on served data", _quality),
)

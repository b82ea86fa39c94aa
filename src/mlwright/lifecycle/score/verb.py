"""Score: run the 28 tests of the ML Test Score on a registered version."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from mlwright.core.errors import MlwrightError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.files import canonical_json
from mlwright.evaluate.score_section import filled
from mlwright.lifecycle.score.data_tests import DATA_TESTS
from mlwright.lifecycle.score.infrastructure_tests import INFRASTRUCTURE_TESTS
from mlwright.lifecycle.score.model_tests import MODEL_TESTS
from mlwright.lifecycle.score.monitoring_tests import MONITORING_TESTS
from mlwright.lifecycle.score.scorecard import Outcome, Scorecard, Scored, State, Test
from mlwright.lifecycle.score.subject import Subject
from mlwright.tracking.registry import resolve
from mlwright.tracking.store import find_store

__all__ = ["TESTS", "score"]

TESTS = (*DATA_TESTS, *MODEL_TESTS, *INFRASTRUCTURE_TESTS, *MONITORING_TESTS)


def score(
    model: str, *, quick: bool = False, store: str | Path | None = None, listener: Listener = silent
) -> Scorecard:
    """Run the 28 tests of Breck et al. on a registered version, and keep what they said with its run.

    Nothing is taken on trust: each test runs now, on the bundle, the snapshot, the registry and the project as they
    are, or says that it was not run and counts nothing. The run's ``report.html`` shows the result from then on.

    Parameters
    ----------
    model : str
        ``"churn"`` (its champion), ``"churn@challenger"`` or ``"churn/3"``.
    quick : bool, default=False
        Leave out what trains something: the replay, the rehearsal and the fits. They count nothing then.

    Returns
    -------
    Scorecard
        `Scorecard.score` is the least of the four sections' sums, from 0 to 7.

    Raises
    ------
    UsageError
        If there is no such version, or its task has no target.

    References
    ----------
    E. Breck, S. Cai, E. Nielsen, M. Salib and D. Sculley, "The ML Test Score: A Rubric for ML Production Readiness and
    Technical Debt Reduction", IEEE Big Data (2017).
    """
    opened = find_store(named=store)
    subject = Subject(opened, resolve(opened, model), listener)
    if not subject.predictor.task.kind.needs_target:
        raise UsageError(
            "the ML Test Score is for models with a target",
            got=str(subject.predictor.task.kind),
            allowed="binary, multiclass or regression",
        )
    tests = []
    for number, test in enumerate(TESTS, 1):
        listener(Event("progress", f"test {number} of {len(TESTS)}: {test.title}", {"tests": number}))
        tests.append(Scored(test.section, test.number, test.title, _outcome(test, subject, quick=quick)))
    version = subject.version
    made = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    card = Scorecard(
        version.name, version.version, version.run_id, subject.predictor.sha256, made, tuple(tests)
    )
    _keep(subject, card)
    return card


def _outcome(test: Test, subject: Subject, *, quick: bool) -> Outcome:
    if quick and test.slow:
        return Outcome(
            State.NONE, "Not run: it trains something.", better=f"mlwright score {subject.version.name}"
        )
    try:
        return test.look(subject)
    except MlwrightError as error:  # a test that fails is a result, and its words are the evidence
        return Outcome(State.NONE, f"It failed: {error}")


def _keep(subject: Subject, card: Scorecard) -> None:
    """Put the scorecard with the run's files, and into the run's report."""
    bundled = subject.version.path / "report.html"
    documents = {"score.json": canonical_json(card.to_json())}
    if bundled.is_file():
        documents["report.html"] = filled(bundled.read_text(encoding="utf-8"), card.to_json()).encode()
    subject.tracker.log_documents(subject.version.run_id, documents)

"""The seven tests of infrastructure."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mlwright import bundle
from mlwright.core import kinds
from mlwright.core.errors import BundleError, UsageError
from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.target import target_values
from mlwright.data.values import take
from mlwright.features.recipes import build
from mlwright.lifecycle.explain import explain
from mlwright.lifecycle.gate import against_champion
from mlwright.lifecycle.prepared import evenly
from mlwright.lifecycle.reproduce import reproduce
from mlwright.lifecycle.score.scorecard import Outcome, State, Test
from mlwright.lifecycle.score.subject import Subject
from mlwright.metrics import of
from mlwright.metrics.intervals import paired_interval
from mlwright.models.base import FitContext
from mlwright.serving.predictor import Predictor
from mlwright.serving.service import is_canary

__all__ = ["INFRASTRUCTURE_TESTS"]

_FITTED = 400
_FEW, _MORE = 3, 30  # iterations
_KEYS, _SHARE = 10_000, 0.1


def _reproducible(subject: Subject) -> Outcome:
    sha256 = subject.predictor.sha256
    place = subject.store.root / "reproduced" / sha256
    again = f"mlwright reproduce {subject.selector}"
    if not (place / "manifest.json").is_file():
        done = reproduce(subject.version.run_id, store=subject.store.root, listener=subject.listener)
        place, found = done.bundle, done.sha256
        changed = done.changed_packages
    else:
        found, changed = bundle.read(place).sha256, []
    if found == sha256:
        said = f"The recorded trials, fitted again on the kept snapshot, gave the same bundle: sha256 {sha256[:16]}."
        return Outcome(State.AUTOMATIC, said, str(place))
    said = f"Fitted again it is another bundle: {found[:16]} and not {sha256[:16]}."
    better = f"Packages have changed: {'; '.join(changed)}." if changed else "Report it: it should not be."
    return Outcome(State.NONE, said, again, better)


def _unit_tested(subject: Subject) -> Outcome:
    """Fit each of the model's learners anew on some rows: it must learn, and come back from its state as it was."""
    trials = {trial["number"]: trial for trial in subject.plan["trials"]}
    members = _members(subject, trials)
    learned = []
    for trial in members:
        first, last, same = _learns(subject, trial)
        if not same:
            return Outcome(State.NONE, f"A {trial['model']} read from its state predicts otherwise.")
        if not last < first:
            said = f"A {trial['model']} of trial {trial['number']} did not learn from {_FITTED} rows: its loss is {last:.4g} after {first:.4g}."
            return Outcome(State.NONE, said)
        learned.append(trial["model"])
    said = (
        f"Each of the {len(learned)} configurations of this model ({', '.join(dict.fromkeys(learned))}) was fitted on up to "
        f"{_FITTED} training rows: its loss on them falls, and from its stored state it predicts the same bits."
    )
    return Outcome(State.AUTOMATIC, said, f"mlwright score {subject.selector}")


def _members(subject: Subject, trials: dict[int, Any]) -> list[Any]:
    """Return the trials that the model is blended of; where they are not told, all that their learners had."""
    kept = {(m.model.kind, repr(sorted(m.model.params.items()))) for m in subject.ensemble.members}
    found = [t for t in trials.values() if (t["model"], repr(sorted(t["params"].items()))) in kept]
    return found or [t for t in trials.values() if t["model"] in {kind for kind, _ in kept}]


def _learns(subject: Subject, trial: Any) -> tuple[float, float, bool]:
    """Return the loss of little or no learning, that of more, and whether the state gives the same predictions."""
    prepared, task = subject.past.prepared, subject.predictor.task
    rows = prepared.split.train[evenly(len(prepared.split.train), _FITTED)]
    y = target_values(prepared.table, task)[rows]
    columns = take(prepared.table.columns(), rows)
    plan = build(prepared.table.schema, trial["view"], n_rows=len(rows), task=task)
    n_classes = len(task.labels) if task.kind.has_classes else 0
    X = plan.fit_batch(columns, y, n_classes=n_classes, seed=0)
    target = np.log1p(y) if trial["link"] == "log" else y
    learner = kinds.load(kinds.MODELS, trial["model"], family="model")

    def fitted(kind: Any, params: Any, n_iterations: int | None) -> Any:
        context = FitContext(task=task, categorical=plan.categorical, n_iterations=n_iterations, seed=0)
        return kind(**params).fit(X, target, context)

    dummy = kinds.load(kinds.MODELS, "dummy", family="model")
    few = fitted(learner, trial["params"], _FEW) if learner.grows else fitted(dummy, {}, None)
    more = fitted(learner, trial["params"], _MORE if learner.grows else None)
    back = learner.from_state(more.state())
    same = np.array_equal(back.predict(X), more.predict(X))
    return _loss(few.predict(X), target, task), _loss(more.predict(X), target, task), same


def _loss(predicted: Floats, y: Floats, task: Any) -> float:
    """Return the mean squared distance from the truth: of probabilities for classes."""
    predicted = np.asarray(predicted)
    if task.n_outputs > 1:
        return float(np.mean((predicted - np.eye(task.n_outputs)[y.astype(int)]) ** 2))
    return float(np.mean((predicted[:, 0] - y) ** 2))


def _integration(subject: Subject) -> Outcome:
    told = subject.rehearsal
    said = (
        f"The whole way ran on {told.rows:,} rows of the snapshot in {told.seconds:.0f} s: read, checked, split, searched, packaged, "
        f"{told.proven:,} rows proven equal on three paths, registered, and a record predicted ({told.served})."
    )
    return Outcome(State.AUTOMATIC, said, f"mlwright score {subject.selector}")


def _validated(subject: Subject) -> Outcome:
    """Ask the gate about a challenger that is the champion with its predictions mixed up: it must refuse."""
    task, y, predicted = subject.predictor.task, subject.truth, subject.predicted
    mixed = predicted[generator(0, "score", "gate").permutation(len(predicted))]
    metric = of(task)
    difference = paired_interval(metric, y, mixed, predicted, seed=0)
    verdict = against_champion(
        difference, margin=subject.project.gate_margin, metric=task.metric, n_rows=len(y)
    )
    if verdict.passed:
        said = "The gate let a challenger through whose predictions were mixed up."
        return Outcome(State.NONE, said, better="Lower `gate.margin`, or keep more rows for the test.")
    baseline = _first_gate(subject)
    said = (
        f"It was let through by the gate ({baseline}). Asked now about a challenger with mixed-up predictions on {len(y):,} "
        f"untouched rows the gate refused: {verdict.reason}"
    )
    return Outcome(State.AUTOMATIC, f"{said}.", subject.artifact("evaluation.json"))


def _first_gate(subject: Subject) -> str:
    """Return in short how the version stood against the dummy."""
    dummy = subject.evaluation["baselines"].get("dummy")
    if dummy is None:
        return "no baseline was there"
    return f"ahead of the dummy by {dummy['difference']['low']:.4g} at least"


def _debuggable(subject: Subject) -> Outcome:
    for golden in subject.predictor.golden:
        try:
            told = explain(subject.version.path, golden["record"])
        except UsageError as error:
            return Outcome(State.MANUAL, f"A prediction's features and parts can be traced, but {error}.")
        first = next(iter(told.whole.of(told.label)["contributions"].items()))
        said = (
            f"A prediction was taken apart: features by view, each model's part, and what each column adds to the whole "
            f"answer ('{first[0]}' {first[1]:+.3g}), which sums to it within 1e-6; members that explain their own margins "
            f"exactly have {told.share:.0%} of the blend."
        )
        return Outcome(State.AUTOMATIC, said, f"mlwright explain {subject.selector} record.json")
    return Outcome(State.NONE, "The bundle holds no record to take apart.")


def _canaried(subject: Subject) -> Outcome:
    refused = _is_refused_when_damaged(subject)
    if not refused:
        return Outcome(State.NONE, "A damaged bundle was loaded.", better="Report it: it should not be.")
    share = sum(is_canary(b"%d" % key, _SHARE) for key in range(_KEYS)) / _KEYS
    said = (
        f"A copy of the bundle with one damaged byte was refused; {len(subject.predictor.golden)} golden records are replayed "
        f"before a version serves; asked to give a challenger {_SHARE:.0%} of {_KEYS:,} ids, the service gave it {share:.1%}, always the same ones"
    )
    project = _now(subject)
    if project.serve_shadow is not None or project.serve_canary > 0:
        how = (
            "in the shadow"
            if project.serve_shadow is not None
            else f"with {project.serve_canary:.0%} of requests"
        )
        return Outcome(
            State.AUTOMATIC,
            f"{said}. The project tries challengers {how}.",
            f"mlwright serve {subject.version.name}",
        )
    better = 'Try challengers on real requests: shadow = "challenger" or canary = 0.1 under [serve].'
    return Outcome(State.MANUAL, f"{said}. The project tries no challenger on real requests.", better=better)


def _now(subject: Subject) -> Any:
    """Return the project as its file says now, since serving goes by that; as the run had it where there is none."""
    from mlwright.lifecycle.project import FILE, load_project

    return load_project(subject.folder) if (subject.folder / FILE).is_file() else subject.project


def _is_refused_when_damaged(subject: Subject) -> bool:
    with tempfile.TemporaryDirectory(dir=subject.store.tmp) as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(subject.version.path, copy)
        largest = max((copy / "models").rglob("*"), key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 1
        largest.write_bytes(bytes(content))
        try:
            Predictor.load(copy)
        except BundleError:
            return True
    return False


def _rolled_back(subject: Subject) -> Outcome:
    told = subject.rehearsal
    first, second = told.versions
    again = f"mlwright rollback {subject.version.name}"
    if told.aliases == (first, second, first):
        said = (
            f"In a rehearsal version {second} was promoted over version {first} and rolled back; version {first} was loaded by its "
            "alias and answered. A running server follows the alias."
        )
        return Outcome(State.AUTOMATIC, said, again)
    return Outcome(State.NONE, f"In a rehearsal the champions were {told.aliases}.", again)


INFRASTRUCTURE_TESTS = (
    Test("infrastructure", 1, "Training is reproducible", _reproducible, slow=True),
    Test("infrastructure", 2, "Model specs are unit tested", _unit_tested, slow=True),
    Test("infrastructure", 3, "The ML pipeline is integration tested", _integration, slow=True),
    Test("infrastructure", 4, "Model quality is validated before serving", _validated),
    Test("infrastructure", 5, "The model is debuggable", _debuggable),
    Test("infrastructure", 6, "Models are canaried before serving", _canaried),
    Test("infrastructure", 7, "Serving models can be rolled back", _rolled_back, slow=True),
)

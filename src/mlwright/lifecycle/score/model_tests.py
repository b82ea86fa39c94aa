"""The seven tests of model development."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np

from mlwright.data.fingerprint import row_hashes
from mlwright.data.target import target_values
from mlwright.data.values import columns
from mlwright.lifecycle.measure import resampled_units
from mlwright.lifecycle.project import FILE
from mlwright.lifecycle.recorded import recorded
from mlwright.lifecycle.score.scorecard import Outcome, State, Test, listed
from mlwright.lifecycle.score.subject import Subject
from mlwright.metrics import get, of
from mlwright.metrics.intervals import paired_interval
from mlwright.serving.predictor import Predictor
from mlwright.tracking.registry import resolve

__all__ = ["MODEL_TESTS"]

_BASELINES = ("dummy", "linear")
_FEWEST_TRIALS = 5
_FEWEST_ROWS = 30
_SLIGHT = 0.01  # of the way from the dummy to the model: a simple model that is so much better is no better


def _specification(subject: Subject) -> Outcome:
    """Look whether the settings of the run are those of a file under version control."""
    plan = subject.artifact("plan.json")
    recorded_at = subject.plan["lineage"].get("git_commit")
    better = f"Keep {FILE} in a repository and run from a clean checkout."
    if recorded_at is None:
        said = "The run wrote its settings down, but not from a repository."
        return Outcome(State.MANUAL, said, plan, better)
    commit = recorded_at.removesuffix("-dirty")
    kept = subject.git("show", f"{commit}:./{FILE}")
    if kept is None:
        said = f"The run was made at commit {commit[:10]}, which holds no {FILE} of this project."
        return Outcome(State.MANUAL, said, plan, better)
    other = _differences(tomllib.loads(kept), subject.plan["project"])
    if other:
        said = f"The settings of the run are not those of {FILE} at commit {commit[:10]}: {listed(other)}."
        return Outcome(State.MANUAL, said, plan, better)
    said = (
        f"The run's settings are those of {FILE} at commit {commit[:10]}, and its plan is kept with the run. Who reviewed "
        "the file is for its repository to say."
    )
    return Outcome(State.AUTOMATIC, said, str(subject.folder / FILE))


def _differences(tree: dict[str, Any], used: dict[str, Any]) -> list[str]:
    """Return the keys of a project file that a run was not made by."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return sorted(key for key, value in flat.items() if used.get(key) != value)


def _online(subject: Subject) -> Outcome:
    rows = subject.logged.num_rows
    said = f"The log holds {rows:,} predictions of this version, and no outcome of any of them."
    return Outcome(
        State.NONE, said, str(subject.store.log), "Bring outcomes to the logged predictions and compare."
    )


def _tuned(subject: Subject) -> Outcome:
    trials = [trial for trial in subject.plan["trials"] if trial["model"] not in _BASELINES]
    varied = {
        model: len({repr(sorted(t["params"].items())) for t in trials if t["model"] == model})
        for model in {trial["model"] for trial in trials}
    }
    searched = sorted(model for model, n in varied.items() if n > 1)
    source = subject.artifact("trials.json")
    said = (
        f"{len(trials)} configurations of {len(varied)} learners were compared on {subject.plan['split']['n_folds']} "
        f"folds; hyperparameters varied for {', '.join(searched) or 'none'}."
    )
    if len(trials) >= _FEWEST_TRIALS and searched:
        return Outcome(State.AUTOMATIC, said, source)
    state = State.MANUAL if trials else State.NONE
    return Outcome(state, said, source, "Give the search more time: `task.budget`.")


def _staleness(subject: Subject) -> Outcome:
    """Compare the version with one that is older, on rows that neither was trained on."""
    older = _older(subject)
    better = "Retrain on newer data: the two versions are then compared on the newest rows."
    if older is None:
        return Outcome(State.NONE, "There is no version of older data to compare with.", better=better)
    past = recorded(subject.tracker, subject.store, older.run_id)
    rows = subject.past.prepared.evaluated
    if rows is None:
        return Outcome(State.NONE, "No rows were kept to compare versions on.", better="Keep some.")
    seen = np.isin(row_hashes(rows), past.pinned.train_hashes)
    rows = rows.take(np.flatnonzero(~seen))
    if rows.n_rows < _FEWEST_ROWS or past.prepared.task.labels != subject.predictor.task.labels:
        return Outcome(
            State.NONE, f"Version {older.version} cannot be compared on these rows.", better=better
        )
    before = Predictor.load(older.path)
    task = subject.predictor.task
    difference = paired_interval(
        of(task),
        target_values(rows, task),
        np.asarray(subject.predictor.raw_columns(rows.columns())),
        np.asarray(before.raw_columns(columns(rows.arrow, before.schema))),
        seed=0,
        **resampled_units(rows, subject.past.prepared.split),
    )
    said = (
        f"On the same {rows.n_rows:,} untouched rows version {older.version}, of older data, has a {get(task.metric).title} "
        f"that is {difference.estimate:.4g} worse (95 % interval {difference.low:.4g} to {difference.high:.4g})."
    )
    return Outcome(State.AUTOMATIC, said, f"mlwright runs {subject.version.name}")


def _older(subject: Subject) -> Any:
    """Return the newest earlier version that was trained on other data, or None."""
    from mlwright.tracking.registry import load_plan, models

    data = subject.plan["lineage"]["data"]
    for model in models(subject.store):
        if model.name != subject.version.name:
            continue
        for version in model.versions:
            if version.version >= subject.version.version or not version.run_id:
                continue
            if load_plan(subject.store, version.run_id)["lineage"]["data"] != data:
                return resolve(subject.store, f"{model.name}/{version.version}")
    return None


def _simpler(subject: Subject) -> Outcome:
    baseline = subject.evaluation["baselines"].get("linear")
    source = subject.artifact("evaluation.json")
    if baseline is None:
        return Outcome(State.NONE, "No simple model was fitted.", source)
    gain = baseline["difference"]
    title = get(subject.predictor.task.metric).title
    said = (
        f"On {subject.evaluation['n_rows']:,} untouched rows its {title} is {gain['estimate']:.4g} better than that of a "
        f"linear model (95 % interval {gain['low']:.4g} to {gain['high']:.4g})"
    )
    if gain["low"] > 0:
        return Outcome(State.AUTOMATIC, f"{said}: the simple one is not as good.", source)
    dummy = subject.evaluation["baselines"].get("dummy")
    learned = (
        0.0
        if dummy is None
        else abs(
            subject.evaluation["scores"][subject.predictor.task.metric]["estimate"]
            - dummy["score"]["estimate"]
        )
    )
    if gain["estimate"] > 0 and gain["low"] > -_SLIGHT * learned:
        said += f": the simple one is not better by {_SLIGHT:.0%} of what there is to learn ({_SLIGHT * learned:.4g})."
        return Outcome(State.AUTOMATIC, said, source)
    if gain["high"] > 0:
        return Outcome(
            State.MANUAL,
            f"{said}: it may be as good.",
            source,
            "More rows would tell; or take the simple one.",
        )
    word = "better" if gain["low"] < 0 else "as good"
    return Outcome(State.NONE, f"{said}: the simple one is {word}.", source, "Take the simple one.")


def _slices(subject: Subject) -> Outcome:
    told = subject.parts.get("slices")
    if told is None:
        return Outcome(State.NONE, "No slices were looked at.")
    source = subject.artifact("parts.json")
    found = told.get("found", [])
    tried = told.get("n_tried", 0)
    if not tried:
        return Outcome(State.NONE, "There were too few untouched rows to look at slices.", source)
    compared = f"{tried:,} slices of the untouched rows were compared with the rest"
    unknown = [part["where"] for part in found if part["surprising"]]
    if not unknown:
        harder = [part["where"] for part in found]
        told_so = (
            f"harder, as its own probabilities tell, are {listed(harder)}" if harder else "none is worse"
        )
        return Outcome(State.AUTOMATIC, f"{compared}: {told_so}.", source)
    said = f"{compared}; it does not know that it is worse where {listed(unknown)}."
    return Outcome(State.MANUAL, said, source, "Gather more such rows, or let people decide about them.")


def _inclusion(subject: Subject) -> Outcome:
    """Say whether groups were compared: the paper asks for the test, and what it finds is for people to weigh."""
    told = subject.parts.get("fairness")
    if not told:
        return Outcome(
            State.NONE,
            "No groups of people are named to compare.",
            better='Name the columns: groups = ["sex"] under [fairness].',
        )
    source = subject.artifact("parts.json")
    flagged = [column for column, part in told.items() if part["verdict"] == "flagged"]
    said = f"Rates and errors were compared over the groups of {listed(list(told))}"
    unknown = [column for column, part in told.items() if part["verdict"] == "not enough rows"]
    if len(unknown) == len(told):
        return Outcome(State.MANUAL, f"{said}, which have too few rows to judge.", source, "Keep more rows.")
    if flagged:
        better = "Decide about what is flagged: the report's section on fairness has the figures."
        return Outcome(State.AUTOMATIC, f"{said}: flagged for {listed(flagged)}.", source, better)
    return Outcome(State.AUTOMATIC, f"{said}: none is flagged.", source)


MODEL_TESTS = (
    Test("model", 1, "Model specs are reviewed and submitted", _specification),
    Test("model", 2, "Offline and online metrics correlate", _online),
    Test("model", 3, "All hyperparameters have been tuned", _tuned),
    Test("model", 4, "The impact of model staleness is known", _staleness),
    Test("model", 5, "A simpler model is not better", _simpler),
    Test("model", 6, "Model quality is sufficient on important data slices", _slices),
    Test("model", 7, "The model is tested for considerations of inclusion", _inclusion),
)

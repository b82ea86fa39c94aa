"""The ML Test Score: every test is run, says its evidence, and fails where what it looks for is not there."""

import json
import shutil
from dataclasses import replace

import pytest
from commands import command

from mlwright.core.errors import UsageError
from mlwright.core.events import silent
from mlwright.core.files import read_json
from mlwright.lifecycle.score import Outcome, Scorecard, Scored, State, score
from mlwright.lifecycle.score.data_tests import DATA_TESTS
from mlwright.lifecycle.score.infrastructure_tests import INFRASTRUCTURE_TESTS
from mlwright.lifecycle.score.model_tests import MODEL_TESTS
from mlwright.lifecycle.score.monitoring_tests import MONITORING_TESTS
from mlwright.lifecycle.score.scorecard import SECTIONS
from mlwright.lifecycle.score.subject import Subject
from mlwright.lifecycle.score.verb import TESTS
from mlwright.tracking.registry import artifact_path, resolve
from mlwright.tracking.store import find_store


def look(tests, number, subject):
    """Run one test by its number."""
    (test,) = [each for each in tests if each.number == number]
    return test.look(subject)


@pytest.fixture
def subject(copied):
    store = find_store(named=copied.folder / ".mlwright")
    return Subject(store, resolve(store, "churn"), silent)


def card(*points):
    """A scorecard whose sections hold tests of these states."""
    tests = [
        Scored(section, number, "a test", Outcome(state, "seen"))
        for section, states in zip(SECTIONS, points, strict=True)
        for number, state in enumerate(states, 1)
    ]
    return Scorecard("churn", 1, "r", "s", "2026-01-01T00:00:00+00:00", tuple(tests))


def test_the_score_is_the_least_sum():
    full, part = [State.AUTOMATIC] * 7, [State.MANUAL] * 3 + [State.NONE] * 4
    made = card(full, full, part, [*part[:2], *full[:5]])
    assert made.sections == {"data": 7.0, "model": 7.0, "infrastructure": 1.5, "monitoring": 6.0}
    assert made.score == 1.5
    assert made.to_json()["score"] == 1.5


def test_there_are_seven_tests_a_section():
    assert [(test.section, test.number) for test in TESTS] == [
        (section, number) for section in SECTIONS for number in range(1, 8)
    ]


@pytest.fixture(scope="module")
def scored(made, tmp_path_factory):
    """The whole of it, once, in a process of its own: the printed object and the folder."""
    folder = tmp_path_factory.mktemp("scored") / "moved"
    shutil.copytree(made.folder, folder)
    return json.loads(command("score", "churn", "--json", folder=folder).stdout), folder


def test_every_test_was_run_and_says_what_it_saw(scored):
    told, _ = scored
    by = {(t["section"], t["number"]): t for t in told["tests"]}
    assert len(by) == 28
    assert all(t["evidence"] and t["points"] in (0, 0.5, 1) for t in by.values())
    assert not [t for t in by.values() if "Not run" in t["evidence"] or "It failed" in t["evidence"]]
    assert told["sections"] == {
        section: sum(t["points"] for t in by.values() if t["section"] == section) for section in SECTIONS
    }
    assert told["score"] == min(told["sections"].values())
    # What trains: the replay gave the recorded hash, the rehearsal came to its end with the column that was added.
    for place in (("infrastructure", n) for n in (1, 2, 3, 7)):
        assert by[place]["points"] == 1, by[place]
    assert told["sha256"][:16] in by["infrastructure", 1]["evidence"]
    assert by["data", 6]["points"] == 1
    # What is not there yet is not claimed.
    assert by["monitoring", 7]["points"] == 0
    assert by["model", 2]["points"] == 0
    assert by["model", 1]["points"] == 0.5  # no project file, no repository


def test_the_scorecard_is_kept_and_shown(scored):
    told, folder = scored
    store = find_store(named=folder / ".mlwright")
    kept = read_json(artifact_path(store, told["run_id"], "score.json"))
    assert kept == {key: value for key, value in told.items() if key != "report"}
    path = json.loads(command("report", "churn", "--json", folder=folder).stdout)["report"]
    assert path == told["report"]
    report = artifact_path(store, told["run_id"], "report.html").read_text()
    assert f'<strong data-figure="score">{told["score"]:g}</strong>' in report
    assert all(test["title"].split(" are ")[0].replace("'", "&#x27;") in report for test in told["tests"])
    # The bundle's own report is hashed and stays as it was.
    assert command("verify", resolve(store, "churn").path, folder=folder).returncode == 0


def test_a_rehearsal_leaves_the_registry_alone(scored):
    _, folder = scored
    models = json.loads(command("models", "--json", folder=folder).stdout)
    assert [(model["name"], len(model["versions"])) for model in models] == [("churn", 1)]


def test_quick_counts_nothing_for_what_it_leaves_out(copied):
    made = score("churn", quick=True, store=copied.folder / ".mlwright")
    left_out = [test for test in made.tests if "Not run" in test.outcome.evidence]
    assert {(t.section, t.number) for t in left_out} == {(t.section, t.number) for t in TESTS if t.slow}
    assert all(test.outcome.state is State.NONE for test in left_out)


def test_a_column_that_takes_anything_is_named(subject):
    assert look(DATA_TESTS, 1, subject).state is State.AUTOMATIC
    predictor = subject.predictor
    told = predictor.predict_one
    # As if nobody ever warned of an unknown contract.
    predictor.predict_one = lambda record: {
        **told(record | {"contract": "monthly"}),
        "warnings": [w for w in told(record)["warnings"] if w["field"] != "contract"],
    }
    outcome = look(DATA_TESTS, 1, subject)
    assert outcome.state is State.MANUAL
    assert "'contract'" in outcome.evidence


def test_a_useless_column_is_named(subject):
    subject.evaluation["importance"] = [
        {"column": "tenure", "mean": 0.2, "low": 0.1, "high": 0.3},
        {"column": "paperless", "mean": -0.01, "low": -0.02, "high": 0.0},
    ]
    outcome = look(DATA_TESTS, 2, subject)
    assert outcome.state is State.MANUAL
    assert "'paperless'" in outcome.evidence
    assert "tenure" not in outcome.evidence


def test_a_model_that_is_too_slow_is_no_full_point(subject):
    assert look(DATA_TESTS, 3, subject).state is not State.NONE
    subject.project = replace(subject.project, task_latency="1us")
    assert look(DATA_TESTS, 3, subject).state is State.MANUAL


def test_banned_columns_that_are_read_are_found(subject):
    subject.project = replace(subject.project, checks_ban=("contract",))
    assert look(DATA_TESTS, 4, subject).state is State.NONE


def test_features_that_differ_are_found(subject):
    assert look(DATA_TESTS, 7, subject).state is State.AUTOMATIC
    rows = subject.predictor.rows
    subject.predictor.rows = lambda record: {view: row + 1e-9 for view, row in rows(record).items()}
    assert look(DATA_TESTS, 7, subject).state is State.NONE


def test_a_simple_model_that_is_as_good_is_no_point(subject):
    gain = subject.evaluation["baselines"]["linear"]["difference"]
    slight = subject.evaluation["scores"]["roc_auc"]["estimate"] - 0.5
    cases = (
        (0.1, 0.2, "automatic"),
        (-0.009 * slight, 0.1, "automatic"),
        (-0.011 * slight, 0.1, "manual"),
        (-0.2, -0.1, "none"),
    )
    for low, high, state in cases:
        gain |= {"low": low, "estimate": (low + high) / 2, "high": high}
        assert look(MODEL_TESTS, 5, subject).state == state


def test_slices_and_groups_count_as_they_were_found(subject):
    assert look(MODEL_TESTS, 6, subject).state is State.AUTOMATIC  # the fixture's run found none
    subject.parts["slices"]["found"] = [{"where": "contract = monthly", "surprising": False}]
    assert look(MODEL_TESTS, 6, subject).state is State.AUTOMATIC  # its own probabilities say so
    subject.parts["slices"]["found"][0]["surprising"] = True
    outcome = look(MODEL_TESTS, 6, subject)
    assert (outcome.state, "contract = monthly" in outcome.evidence) == (State.MANUAL, True)
    assert look(MODEL_TESTS, 7, subject).state is State.NONE
    subject.parts["fairness"] = {"sex": {"verdict": "not flagged"}}
    assert look(MODEL_TESTS, 7, subject).state is State.AUTOMATIC
    subject.parts["fairness"] |= {"age": {"verdict": "flagged"}}
    outcome = look(MODEL_TESTS, 7, subject)
    assert (outcome.state, "flagged for 'age'" in outcome.evidence) == (State.AUTOMATIC, True)
    subject.parts["fairness"] = {"sex": {"verdict": "not enough rows"}}
    assert look(MODEL_TESTS, 7, subject).state is State.MANUAL


def test_settings_are_held_against_the_repository(subject, tmp_path):
    def git(*arguments):
        names = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        assert subject.git(*names, *arguments) is not None

    subject.plan["folder"] = str(tmp_path)
    (tmp_path / "mlwright.toml").write_text('name = "churn"\n[task]\ntarget = "churned"\ntrials = 5\n')
    assert look(MODEL_TESTS, 1, subject).state is State.MANUAL
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a project")
    subject.plan["lineage"]["git_commit"] = subject.git("rev-parse", "HEAD").strip()
    assert look(MODEL_TESTS, 1, subject).state is State.AUTOMATIC
    subject.plan["project"]["task.trials"] = 7
    outcome = look(MODEL_TESTS, 1, subject)
    assert outcome.state is State.MANUAL
    assert "'task.trials'" in outcome.evidence


def test_a_gate_that_lets_anything_through_is_found(subject):
    assert look(INFRASTRUCTURE_TESTS, 4, subject).state is State.AUTOMATIC
    subject.project = replace(subject.project, gate_margin=1.0)
    assert look(INFRASTRUCTURE_TESTS, 4, subject).state is State.NONE


def test_a_prediction_is_taken_apart_even_where_no_member_explains_itself(subject, monkeypatch):
    outcome = look(INFRASTRUCTURE_TESTS, 5, subject)
    assert outcome.state is State.AUTOMATIC
    monkeypatch.setattr("mlwright.lifecycle.explain.contributed", lambda *_: None)  # as if all were nets
    without = look(INFRASTRUCTURE_TESTS, 5, subject)
    assert without.state is State.AUTOMATIC
    assert "0% of the blend" in without.evidence
    assert "0% of the blend" not in outcome.evidence.replace("100% of the blend", "")


def test_another_bundle_is_not_reproduced(subject, copied):
    command("reproduce", "churn/1", folder=copied.folder)
    assert look(INFRASTRUCTURE_TESTS, 1, subject).state is State.AUTOMATIC
    reproduced = next((copied.folder / ".mlwright" / "reproduced").iterdir())
    subject.predictor.sha256 = "0" * 64
    reproduced.rename(reproduced.parent / ("0" * 64))
    assert look(INFRASTRUCTURE_TESTS, 1, subject).state is State.NONE


def test_numbers_that_are_not_finite_are_found(subject):
    assert look(MONITORING_TESTS, 5, subject).state is State.MANUAL
    raw = subject.predictor.raw_one
    subject.predictor.raw_one = lambda record: raw(record) if record else [float("nan")]
    assert look(MONITORING_TESTS, 5, subject).state is State.NONE


def test_a_logged_answer_that_is_not_given_again_is_found(subject):
    import pyarrow as pa

    golden = subject.predictor.golden[0]
    row = {
        "model": "churn",
        "version": "1",
        "sha256": subject.predictor.sha256,
        "record": json.dumps(golden["record"]),
        "prediction": json.dumps(golden["prediction"]),
        "latency_us": 9,
    }
    subject.logged = pa.Table.from_pylist([row])
    assert "1 logged requests" in look(MONITORING_TESTS, 3, subject).evidence
    assert look(MONITORING_TESTS, 3, subject).state is State.MANUAL
    other = {**golden["prediction"], "probability": {"No": 0.5, "Yes": 0.5}}
    subject.logged = pa.Table.from_pylist([row | {"prediction": json.dumps(other)}])
    assert look(MONITORING_TESTS, 3, subject).state is State.NONE


def test_a_model_that_is_not_there_is_an_error(copied):
    with pytest.raises(UsageError, match="chrun"):
        score("chrun", store=copied.folder / ".mlwright")

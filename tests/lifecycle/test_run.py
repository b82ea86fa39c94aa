"""From a table to a registered version that answers, and everything that can be asked of it afterwards."""

import csv
import json
import shutil
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pyarrow as pa
import pytest
from commands import command
from sklearn.metrics import roc_auc_score

import mlwright
from customers import rows, write

KEYS = {
    "run_id",
    "model",
    "version",
    "bundle",
    "report",
    "task",
    "metric",
    "test_score",
    "test_interval",
    "baselines",
    "split",
    "findings",
    "seconds",
    "trials",
}


def test_json_is_one_object_with_what_is_promised(made):
    printed = made.printed
    assert set(printed) >= KEYS
    assert printed["version"] == 1
    assert printed["alias"] == "champion"
    assert printed["task"]["labels"] == ["No", "Yes"]
    assert printed["split"]["kind"] == "stratified"
    assert set(printed["baselines"]) == {"dummy", "linear"}
    low, high = printed["test_interval"]
    assert low < printed["test_score"] < high
    assert printed["proven_rows"] == printed["split"]["n_test"] == 120


def test_the_score_is_what_scikit_learn_says_on_the_untouched_rows(made):
    """The oracle recomputes the test score from the snapshot, the recorded rows and the bundle."""
    from mlwright.lifecycle.recorded import recorded
    from mlwright.tracking.store import find_store
    from mlwright.tracking.tracker import Tracker

    store = find_store(named=made.folder / ".mlwright")
    past = recorded(Tracker.prepare(store).result(), store, made.printed["run_id"])
    assert not set(past.prepared.split.train) & set(past.prepared.split.test)
    test = past.prepared.evaluated.arrow
    answers = mlwright.load(made.printed["bundle"]).predict(test)
    truth = np.array(test.column("churned").to_pylist()) == "Yes"
    score = roc_auc_score(truth, answers.column("probability_Yes").to_numpy())
    assert score == pytest.approx(made.printed["test_score"], abs=1e-12)


def test_the_model_answers_records_and_tables_alike(made):
    model = mlwright.load("churn", store=made.folder / ".mlwright")
    asked = [
        {k: (v if v != "" else None) for k, v in row.items() if k != "churned"} for row in rows(50, seed=3)
    ]
    one_by_one = [model.predict_one(record) for record in asked]
    table = model.predict(pa.Table.from_pylist(asked))
    for answer, together in zip(one_by_one, table.to_pylist(), strict=True):
        assert answer["prediction"] == together["prediction"]
        assert answer["probability"]["Yes"] == pytest.approx(together["probability_Yes"], abs=1e-9)
    truth = [row["churned"] == "Yes" for row in rows(50, seed=3)]
    assert roc_auc_score(truth, [a["probability"]["Yes"] for a in one_by_one]) > 0.7


def test_verify_proves_a_bundle_anywhere_and_sees_a_flipped_byte(made, tmp_path):
    shutil.copytree(made.printed["bundle"], tmp_path / "bundle")
    told = json.loads(command("verify", "bundle", "--json", folder=tmp_path).stdout)
    assert told["sha256"] == made.printed["sha256"]
    part = tmp_path / "bundle" / "plan.json"
    part.write_bytes(part.read_bytes().replace(b"tenure", b"tenurf", 1))
    failed = command("verify", "bundle", folder=tmp_path, check=False)
    assert failed.returncode == 1
    assert "plan.json" in failed.stderr


def test_reproduce_gives_the_same_hash_twice_in_other_folders(made, tmp_path):
    store = made.folder / ".mlwright"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = command(
            "reproduce", made.printed["run_id"], "--store", store, "--json", folder=tmp_path / name
        )
        told = json.loads(done.stdout)
        assert told["sha256"] == made.printed["sha256"]
        assert told["equal"] is True
        assert mlwright.verify(told["bundle"])["sha256"] == made.printed["sha256"]


def test_a_copied_store_works_where_it_lies(copied):
    shutil.rmtree(copied.folder / "customers.csv", ignore_errors=True)
    told = json.loads(command("models", "--json", folder=copied.folder).stdout)
    assert [model["name"] for model in told] == ["churn"]
    path = command("report", "churn", folder=copied.folder).stdout.strip()
    assert path.startswith(str(copied.folder))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_predict_writes_a_file_beside_its_rows(copied, ending):
    new = write(copied.folder / "new.csv", n=300, seed=5)
    out = copied.folder / f"out.{ending}"
    told = json.loads(command("predict", "churn", new, "-o", out, "--json", folder=copied.folder).stdout)
    assert told["rows"] == 300
    table = mlwright.read(out)
    assert table.num_rows == 300
    assert table.column("customer_id").to_pylist() == [row["customer_id"] for row in rows(300, seed=5)]
    model = mlwright.load(copied.printed["bundle"])
    with new.open(newline="") as file:
        first = next(csv.DictReader(file))
    first = {k: v or None for k, v in first.items() if k != "churned"}
    expected = model.predict_one(first)["probability"]["Yes"]
    assert float(table.column("probability_Yes")[0].as_py()) == pytest.approx(expected, abs=1e-9)


def test_mlflow_reads_everything_and_its_pyfunc_predicts(copied):
    script = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, pandas as pd
from mlflow import MlflowClient
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1] + "/mlflow.db")
client = MlflowClient()
version = client.get_model_version_by_alias("churn", "champion")
run = client.get_run(version.run_id)
frame = pd.read_csv(sys.argv[2]).head(20)
answers = mlflow.pyfunc.load_model("models:/churn@champion").predict(frame)
print(json.dumps({"metrics": run.data.metrics, "params": run.data.params, "status": run.info.status,
    "trials": len(client.get_metric_history(version.run_id, "trial_roc_auc") or client.get_metric_history(version.run_id, "roc_auc")),
    "artifacts": [a.path for a in client.list_artifacts(version.run_id)], "yes": answers["probability_Yes"].tolist()}))
"""
    store = copied.folder / ".mlwright"
    mlwright.load("churn", store=store)
    command("runs", folder=copied.folder)
    # Opening for tracking puts the paths right after the copy; `promote` of what serves is refused but opens it.
    command("rollback", "churn", folder=copied.folder, check=False)
    done = subprocess.run(
        [sys.executable, "-c", script, str(store), str(copied.source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "FINISHED"
    assert told["metrics"]["test_roc_auc"] == pytest.approx(copied.printed["test_score"])
    assert told["params"]["data.fingerprint"]
    assert told["params"]["task.target"] == "churned"
    assert {"plan.json", "report.html", "card.md", "model"} <= set(told["artifacts"])
    model = mlwright.load(copied.printed["bundle"])
    import pandas as pd

    expected = model.predict(pd.read_csv(copied.source).head(20))["probability_Yes"].tolist()
    assert told["yes"] == pytest.approx(expected, abs=1e-12)


def test_serve_answers_over_http(copied):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlwright", "serve", "churn", "--port", str(port)],
        cwd=copied.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert f":{port}" in server.stdout.readline()
        record = {k: (v if v != "" else None) for k, v in rows(1, seed=9)[0].items() if k != "churned"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict",
            json.dumps(record).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.loads(response.read())
        expected = mlwright.load(copied.printed["bundle"]).predict_one(record)
        assert answer["prediction"] == expected["prediction"]
        assert answer["probability"] == pytest.approx(expected["probability"])
        assert (answer["model"], str(answer["version"])) == ("churn", "1")
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stdout.close()
    from mlwright.serving import read_log

    logged = read_log(copied.folder / ".mlwright" / "log").to_pylist()
    assert [entry["prediction_id"] for entry in logged] == [answer["prediction_id"]]


def test_retrain_keeps_the_champion_unless_the_challenger_is_better(copied):
    """The same source again cannot be shown to be better; ten times the rows of a truer world can."""
    same = command("retrain", "churn", "--json", "--budget", "15s", folder=copied.folder, check=False)
    told = json.loads(same.stdout)
    assert same.returncode == 3
    assert (told["alias"], told["version"], told["gate"]["passed"]) == ("challenger", 2, False)
    refused = command("promote", "churn", "--json", folder=copied.folder, check=False)
    assert refused.returncode == 3
    assert json.loads(refused.stdout)["gate"]["passed"] is False
    forced = json.loads(command("promote", "churn", "--force", "--json", folder=copied.folder).stdout)
    assert (forced["before"], forced["champion"]) == (1, 2)
    back = json.loads(command("rollback", "churn", "--json", folder=copied.folder).stdout)
    assert (back["before"], back["champion"]) == (2, 1)
    # In the new world the contract means the opposite: the old champion is wrong there.
    swap = {"monthly": "two years", "two years": "monthly", "one year": "one year"}
    new = write(copied.folder / "new.csv", n=3000, seed=8, contract=lambda row: swap[row["contract"]])
    better = command("retrain", "churn", new, "--json", "--budget", "15s", folder=copied.folder)
    told = json.loads(better.stdout)
    assert (told["alias"], told["version"]) == ("champion", 3)
    assert told["gate"]["difference"]["low"] > 0


def test_the_champions_test_rows_stay_test_rows(copied):
    """Retraining on the same source compares on exactly the rows that the first run kept aside."""
    from mlwright.lifecycle.recorded import recorded
    from mlwright.lifecycle.retrain import retrain
    from mlwright.tracking.store import find_store
    from mlwright.tracking.tracker import Tracker

    store = find_store(named=copied.folder / ".mlwright")
    result = retrain("churn", copied.source, budget="5s", store=store.root)
    tracker = Tracker.prepare(store).result()
    first = recorded(tracker, store, copied.printed["run_id"]).prepared
    second = recorded(tracker, store, result.run_id).prepared

    def kept(prepared):
        return set(prepared.evaluated.arrow.column("customer_id").to_pylist())

    assert kept(first) == kept(second)


def test_own_test_rows_and_no_holdout(tmp_path):
    source, test = write(tmp_path / "a.csv", n=300), write(tmp_path / "b.csv", n=200, seed=4)
    result = mlwright.run(source, "churned", budget=30, trials=4, test=test, store=tmp_path / "s")
    assert (result.split["n_train"], result.split["n_test"]) == (300, 200)
    none = mlwright.run(
        mlwright.read(source), "churned", budget=30, trials=4, holdout=0.0, store=tmp_path / "s"
    )
    assert none.basis == "cross-validation"
    assert none.split["n_test"] == 0
    assert mlwright.reproduce(none.run_id, store=tmp_path / "s").equal
    assert mlwright.reproduce(result.run_id, store=tmp_path / "s").equal


def test_serve_keeps_to_the_projects_settings(copied, monkeypatch):
    """[serve] of the project that made the model counts, a flag goes before it, and a folder means its project."""
    from mlwright.cli import main
    from mlwright.serving import server

    asked = []
    monkeypatch.setattr(server, "serve", lambda bundle, **settings: asked.append((bundle, settings)))
    monkeypatch.setenv("MLWRIGHT_STORE", str(copied.folder / ".mlwright"))
    folder = copied.folder / "project"
    folder.mkdir()
    (folder / "mlwright.toml").write_text('name = "churn"\n[serve]\nport = 9123\nlog = false\n')
    assert main(["serve", "churn"]) == 0
    assert main(["serve", str(folder)]) == 0
    assert main(["serve", str(folder), "--port", "9124"]) == 0
    assert [(s["port"], s["log_directory"] is None) for _, s in asked] == [
        (8000, False),
        (9123, True),
        (9124, True),
    ]
    assert len({bundle for bundle, _ in asked}) == 1

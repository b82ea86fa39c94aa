"""Two runs side by side: the scores are those that scikit-learn gives on the rows that neither was trained on."""

import csv
import json
from pathlib import Path

import pytest
from commands import command
from sklearn.metrics import log_loss, roc_auc_score

import mlwright
from mlwright.bundle.arrays import decode


@pytest.fixture
def second(copied):
    """The folder, the run that is there, and one more that may not see the contract."""
    done = command(
        "run", copied.source, "--target", "churned", "--budget", "60s", "--trials", "2", "--name", "churn",
        "--ignore", "contract", "--json", folder=copied.folder,
    )  # fmt: skip
    return copied, json.loads(done.stdout)


def test_two_versions_are_compared_on_the_same_rows(second):
    copied, made = second
    done = command("report", "churn/1", "--compare", made["run_id"][:12], "--json", folder=copied.folder)
    told = json.loads(done.stdout)

    store = copied.folder / ".mlwright"
    where = next(store.rglob(f"{made['run_id']}/artifacts/split.safetensors"))
    tested = decode(where.read_bytes(), "split.safetensors")["test"]
    with copied.source.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = [int(rows[i]["churned"] == "Yes") for i in tested]
    predictors = [mlwright.load(f"churn/{version}", store=store) for version in (1, made["version"])]
    given = [
        [p.predict_one({k: v or None for k, v in rows[i].items() if k != "churned"}) for i in tested]
        for p in predictors
    ]
    chances = [[answer["probability"]["Yes"] for answer in each] for each in given]
    assert told["n_rows"] == len(tested)
    for metric, oracle, sign in (("roc_auc", roc_auc_score, 1), ("log_loss", log_loss, -1)):
        found = told["differences"][metric]
        one, two = (oracle(truth, each) for each in chances)
        assert found["first"]["estimate"] == pytest.approx(one, abs=1e-9)
        assert found["second"]["estimate"] == pytest.approx(two, abs=1e-9)
        assert found["gain"]["estimate"] == pytest.approx(sign * (one - two), abs=1e-9)
    gain = told["differences"]["roc_auc"]["gain"]
    assert told["verdict"] == ("better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "level")

    settings = {change["what"]: (change["first"], change["second"]) for change in told["changed"]["settings"]}
    assert settings["data.ignore"] == ("", "contract")
    assert settings["task.trials"] == ("5", "2")
    columns = {change["what"]: (change["first"], change["second"]) for change in told["changed"]["columns"]}
    assert columns == {"contract": ("categorical, feature", "categorical, ignored")}
    assert told["changed"]["packages"] == []
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert Path(told["report"]).is_relative_to(store)
    assert "churn/1" in page
    assert "<script" not in page


def test_a_comparison_says_what_it_cannot_do(copied):
    folder = copied.folder
    same = command("report", "churn", "--compare", "churn/1", folder=folder, check=False)
    assert same.returncode == 2
    assert "the same run" in same.stderr
    lonely = command("report", "churn", "-o", "x.html", folder=folder, check=False)
    assert lonely.returncode == 2
    assert "--compare" in lonely.stderr
    unknown = command("report", "churn", "--compare", "nothing", folder=folder, check=False)
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr

"""What a newcomer does wrong: one clear message, the right exit code, no traceback, and nothing left behind."""

import csv
import ctypes
import json
import random
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from customers import rows, write
from mlwright.cli import main

RUN = ("run", "d.csv", "--target", "churned", "--trials", "4", "--budget", "9s")


def table(n=120, name="d.csv", separator=",", drop=(), **changes):
    """Return a function that writes customers with some columns made anew by functions of index and row."""

    def put():
        made = rows(n)
        for index, row in enumerate(made):
            for column, change in changes.items():
                row[column] = change(index, row)
            for column in drop:
                del row[column]
        with Path(name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(made[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(made)

    return put


def file(content, name="d.csv"):
    """Return a function that writes text or bytes."""
    data = content.encode() if isinstance(content, str) else content
    return lambda: Path(name).write_bytes(data)


def workbook():
    with zipfile.ZipFile("d.csv", "w") as book:
        book.writestr("xl/workbook.xml", "<x/>")


def project(text):
    def put():
        Path("p").mkdir()
        Path("p/mlwright.toml").write_text(text)

    return put


def both(*functions):
    return lambda: [function() for function in functions]


def blank(_index, _row):
    return ""


def folder():
    Path("d").mkdir()


def no_tables():
    sqlite3.connect("d.db").execute("VACUUM").connection.close()


LEAK = {"tenure": lambda i, row: (5 if row["churned"] == "Yes" else 1) + (i % 100) / 100}
HALF_TEXT = {"charges": lambda i, row: "abc" if i % 3 else row["tenure"] + 0.5}
TABLE = table()
WRONG = {
    # the ten of a newcomer that fail
    "wrong target name": (TABLE, ("run", "d.csv", "--target", "chruned"), 2, ["unknown target", "'chruned'", "mean 'churned'"]),
    "one class": (table(churned=lambda i, r: "Yes"), RUN, 1, ["'churned' has one class only", "'Yes'", "another target"]),
    "empty file": (file(""), RUN, 1, ["the file is empty", "d.csv"]),
    "every feature missing": (table(**dict.fromkeys(["customer_id", "tenure", "contract", "charges", "paperless", "signed"], blank)), RUN, 1, ["no column is left to learn from", "all 120 values are missing"]),
    "target missing": (table(churned=blank), RUN, 1, ["the target 'churned' is missing in all 120 rows"]),
    "three rows": (table(3), RUN, 1, ["only 3 rows", "10 rows or more"]),
    "copy of the target": (table(tenure=lambda i, row: row["churned"]), RUN, 1, ["'tenure' is a copy of the target 'churned'", "--ignore tenure"]),
    "mixed types in a target of numbers": (table(**HALF_TEXT), ("run", "d.csv", "--target", "charges", "--kind", "regression"), 1, ["80 values of the target 'charges' are no numbers", "'abc'"]),
    "wrong path": (TABLE, ("run", "dd.csv", "--target", "churned"), 1, ["no such file", "'dd.csv'", "did you mean 'd.csv'"]),
    "endless path": (TABLE, ("run", "x" * 300 + ".csv", "--target", "churned"), 1, ["File name too long", "xxx"]),
    "wrong separator": (table(separator="~"), RUN, 1, ["one column only", "holds separators", "semicolon, tab"]),
    "a directory": (folder, ("run", "d", "--target", "churned"), 2, ["a directory without mlwright.toml", "'d/*.csv'", "mlwright init"]),
    # twenty and more of somebody who is tired
    "blank lines": (file("\n\n\n"), RUN, 1, ["the file is empty"]),
    "target of NaN": (table(churned=lambda i, r: "NaN"), RUN, 1, ["missing in all 120 rows"]),
    "header only": (file("a,churned\n"), RUN, 1, ["a header and no rows"]),
    "only the target": (file("churned\n" + "Yes\nNo\n" * 50), RUN, 1, ["no column is left to learn from"]),
    "uneven lines": (file("a,churned\n1,Yes\n1,2,3\n"), RUN, 1, ["line 3", "3 fields, the header has 2"]),
    "bytes": (file(random.Random(0).randbytes(5000)), RUN, 1, ["binary data and not text"]),
    "a picture": (file(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9), RUN, 1, ["binary data and not text"]),
    "a workbook": (workbook, RUN, 1, ["Excel workbook", "save the sheet as CSV"]),
    "a web page": (file("<html><body>Not found</body></html>\n"), RUN, 1, ["a web page"]),
    "a cut Parquet file": (file(b"PAR1" + b"x" * 99, "d.parquet"), ("run", "d.parquet", "--target", "a"), 1, ["damaged or cut short"]),
    "a cut gzip file": (file(b"\x1f\x8b\x08\x00abc", "d.csv.gz"), ("run", "d.csv.gz", "--target", "a"), 1, ["damaged or cut short"]),
    "broken JSON": (file("{'a': 1}\n", "d.json"), ("run", "d.json", "--target", "a"), 1, ["d.json", "JSON"]),
    "a first line without end": (file("x" * 2_999_999 + ",churned\n1,2\n"), RUN, 1, ["more than 2,097,152 characters"]),
    "an address of the web": (TABLE, ("run", "https://example.com/x.csv", "--target", "churned"), 2, ["not read", "download the data"]),
    "no target": (TABLE, ("run", "d.csv"), 2, ["which column should be predicted", "churned", "--target COLUMN"]),
    "target is a date": (TABLE, ("run", "d.csv", "--target", "signed"), 1, ["'signed' is a date"]),
    "target is an identifier": (TABLE, ("run", "d.csv", "--target", "customer_id"), 1, ["120 classes in 120 rows"]),
    "negative budget": (TABLE, (*RUN[:-1], "-5s"), 2, ["budget", "'-5s'", "60s, 5m or 1h"]),
    "no budget": (TABLE, (*RUN[:-1], "0"), 2, ["budget is out of range"]),
    "budget in words": (TABLE, (*RUN[:-1], "fast"), 2, ["budget is not a duration", "'fast'"]),
    "unknown group": (TABLE, (*RUN, "--split", "group:nope"), 1, ["'nope', which the table does not have", "tenure"]),
    "unknown split": (TABLE, (*RUN, "--split", "stratify"), 2, ["unknown split", "did you mean 'stratified'"]),
    "unknown time": (TABLE, (*RUN, "--time", "sigend"), 2, ["'sigend'", "did you mean 'signed'"]),
    "unknown ignored column": (TABLE, (*RUN, "--ignore", "tenur"), 2, ["'tenur'", "did you mean 'tenure'"]),
    "holdout": (TABLE, (*RUN, "--holdout", "2"), 2, ["holdout", "2.0", "from 0.0 to 0.9"]),
    "holdout in words": (TABLE, (*RUN, "--holdout", "half"), 2, ["--holdout", "'half'", "mlwright run --help"]),
    "seed": (TABLE, (*RUN, "--seed", "-1"), 2, ["seed", "-1"]),
    "name": (TABLE, (*RUN, "--name", "My Model!"), 2, ["name", "lower-case letters"]),
    "unknown kind": (TABLE, (*RUN, "--kind", "clusters"), 2, ["unknown kind", "'clusters'", "regression"]),
    "kind that does not fit": (TABLE, ("run", "d.csv", "--target", "contract", "--kind", "binary"), 2, ["3 classes", "--kind multiclass"]),
    "unknown metric": (TABLE, (*RUN, "--metric", "auc"), 2, ["unknown metric", "'auc'", "did you mean 'pr_auc' or 'roc_auc'"]),
    "metric that does not fit": (TABLE, (*RUN, "--metric", "rmse"), 2, ["'rmse'", "binary", "roc_auc"]),
    "unknown flag": (TABLE, (*RUN, "--targt", "x"), 2, ["no flag --targt", "did you mean --target"]),
    "one word too many": (TABLE, (*RUN, "more"), 2, ["'more'", "mlwright run --help"]),
    "unknown command": (TABLE, ("rnu",), 2, ["unknown command", "did you mean `mlwright run`"]),
    "a command of others": (TABLE, ("train", "d.csv"), 2, ["'train'", "did you mean `mlwright run`"]),
    "a file as command": (TABLE, ("d.csv",), 2, ["mlwright run d.csv --target COLUMN"]),
    "run of nothing": (TABLE, ("run",), 2, ["nothing to train on", "mlwright run customers.csv", "mlwright init"]),
    "predict without output": (TABLE, ("predict", "churn", "d.csv"), 2, ["-o/--output", "mlwright predict --help"]),
    "a query for a file": (TABLE, (*RUN, "--query", "select 1"), 2, ["for a database only"]),
    "test table without columns": (both(TABLE, table(name="t.csv", drop=("tenure",))), (*RUN, "--test", "t.csv"), 1, ["test table lacks columns", "tenure"]),
    "no test table": (TABLE, (*RUN, "--test", "t.csv"), 1, ["no such file", "'t.csv'"]),
    "database without tables": (no_tables, ("run", "sqlite:///d.db", "--target", "a"), 1, ["holds no table"]),
    "no database": (TABLE, ("run", "sqlite:///dd.db", "--target", "a"), 1, ["no such database file"]),
    "no database file": (TABLE, ("run", "sqlite:///d.csv", "--target", "a"), 1, ["sqlite:///d.csv did not answer", "not a database"]),
    "a closed database": (TABLE, ("run", "postgresql://me:secret@127.0.0.1:1/x", "--target", "a"), 1, ["did not answer", "me:***@"]),
    "broken project": (project("name = ["), ("run", "p"), 2, ["p/mlwright.toml is not TOML"]),
    "unknown key": (project("[task]\ntarge = 'x'"), ("run", "p"), 2, ["unknown key", "did you mean 'task.target'"]),
    "project without data": (project("[task]\ntarget = 'x'"), ("run", "p"), 2, ["no data"]),
    "project of a missing file": (project("[data]\nsource = 'x.csv'"), ("run", "p"), 1, ["no such file", "x.csv"]),
    "store is a file": (TABLE, (*RUN, "--store", "d.csv"), 1, ["is a file and no store", "--store"]),
    "store is foreign": (both(TABLE, folder, file("", "d/x")), (*RUN, "--store", "d"), 1, ["is no store of mlwright"]),
    "no bundle": (TABLE, ("verify", "nope"), 1, ["no bundle here", "'nope'"]),
    "a folder as bundle": (folder, ("verify", "d"), 1, ["no manifest.json"]),
    "a file as bundle": (TABLE, ("verify", "d.csv"), 1, ["a bundle is a directory"]),
    "serve a folder": (folder, ("serve", "./d"), 1, ["no manifest.json"]),
    "serve without a store": (TABLE, ("serve", "churn"), 1, ["no store found", "mlwright run"]),
    "models without a store": (TABLE, ("models",), 1, ["no store found", "--store"]),
    "a second project": (file("", "mlwright.toml"), ("init",), 2, ["a project is there already"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLWRIGHT_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def here():
    return {str(path) for path in Path().rglob("*")}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_gets_one_clear_message(case, capsys):
    prepare, arguments, code, words = WRONG[case]
    prepare()
    before = here()

    assert main([*arguments]) == code
    out, err = capsys.readouterr()
    (complaint,) = [line for line in err.splitlines() if line.startswith("mlwright: ")]
    assert err.endswith(complaint + "\n")
    for word in words:
        assert word in complaint
    assert "Traceback" not in err
    assert "internal error" not in err
    assert "secret" not in err
    assert out == ""
    assert here() == before

    assert main([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert out.count("\n") == 1
    assert told["exit_code"] == code
    assert f"mlwright: {told['error']['message']}" == complaint
    assert err == complaint + "\n"


def trained(capsys, *arguments):
    """Run a training that must do, and return its JSON."""
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert "error" not in told, err
    assert code == (3 if told["gate"]["passed"] is False else 0)
    assert err == ""
    return told


def test_a_column_without_values_and_an_accepted_code_that_nothing_has_are_findings_and_no_errors(capsys):
    table(charges=blank)()
    told = trained(capsys, *RUN, "--accept", "leak:charged")
    (finding,) = [f for f in told["findings"] if "charges" in f["columns"]]
    assert finding["check"] == "constant"
    assert finding["severity"] == "info"
    assert "charges" in finding["what"]
    (unused,) = [f for f in told["findings"] if f["check"] == "accept"]
    assert "leak:charged" in unused["what"]


def test_a_column_of_mixed_types_is_a_finding_and_no_error(capsys):
    table(400, charges=lambda i, row: "unknown!" if i % 50 == 7 else row["tenure"] + i / 1000)()
    told = trained(capsys, *RUN)
    (finding,) = [f for f in told["findings"] if f["check"] == "mixed_types"]
    assert finding["columns"] == ["charges"]
    assert finding["severity"] == "warn"
    assert "8 values" in finding["what"]
    assert "unknown!" in finding["what"]


def test_two_columns_of_one_name_are_told_apart_and_noted(capsys):
    lines = "".join(f"{i % 10},{i * 7 % 13},{'Yes' if i % 3 else 'No'}\n" for i in range(120))
    Path("d.csv").write_text(f"a,a,churned\n{lines}")
    told = trained(capsys, *RUN)
    assert any("'a'" in note and "'a_2'" in note for note in told["notes"])


def test_a_banned_column_stops_the_run_and_the_json_says_why(capsys):
    TABLE()
    assert main([*RUN, "--ban", "contract", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 3
    assert told["error"]["type"] == "RefusedError"
    (stopped,) = [f for f in told["findings"] if f["severity"] == "stop"]
    assert (stopped["code"], stopped["columns"]) == ("banned:contract", ["contract"])
    assert "--accept banned:contract" in told["error"]["message"]
    assert here() == {"d.csv"}


def test_a_leak_stops_the_run_until_it_is_accepted_by_its_code(capsys):
    table(600, **LEAK)()
    assert main([*RUN, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    (stopped,) = [f for f in told["findings"] if f["severity"] == "stop"]
    assert stopped["code"] == "leak:tenure"
    assert here() == {"d.csv"}
    assert main([*RUN]) == 3
    err = capsys.readouterr().err
    assert "stop: 'tenure'" in err
    assert "--accept leak:tenure" in err

    assert main([*RUN, "--accept", "leak:tenure"]) == 0
    out, err = capsys.readouterr()
    assert "accepted: 'tenure'" in err
    assert "accepted: 'tenure'" in out


def _without_the_rights_of_root():
    """Take from a child of root what lets root read every file; others have it not."""
    library = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        library.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_a_file_that_may_not_be_read(tmp_path):
    write("d.csv", n=20).chmod(0)
    done = subprocess.run(
        [sys.executable, "-m", "mlwright", *RUN, "--json"],
        preexec_fn=_without_the_rights_of_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert "d.csv" in told["error"]["message"]
    assert "ermission" in told["error"]["message"]
    assert "internal error" not in told["error"]["message"]
    assert "Traceback" not in done.stderr
    assert here() == {"d.csv"}

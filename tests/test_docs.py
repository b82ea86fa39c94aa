"""The code in README and docs runs: Python as it stands, commands through the command line's own function.

What is changed: budgets and trials are cut, so that the whole takes seconds. What is not run says so in the document, by a comment
``<!-- not run: why -->`` before the block; its commands must still be ones that the command line understands. Other
comments: ``<!-- exit codes: 0, 3 -->`` where more than 0 is right, ``<!-- status: 422 -->`` where curl is refused.
"""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mlwright.cli import main
from mlwright.cli.main import parser
from mlwright.data.contract_file import CONTRACT, read_contract
from mlwright.lifecycle.project import load_project

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
] + sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- ([\w ]+): (.*) -->")
BUDGET, TRIALS = "4s", "4"


@dataclass(frozen=True)
class Block:
    """One fenced block and the comments before it."""

    line: int
    language: str
    text: str
    marks: dict[str, str]


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = [
        Block(text.count("\n", 0, m.start(2)) + 1, m[2], m[3], dict(COMMENT.findall(m[1])))
        for m in BLOCK.finditer(text)
    ]
    assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(found), "a fence is not closed"
    return found


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a shell block."""
    joined = re.sub(r"\\\n", " ", text)
    found: list[list[str]] = []
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        groups = [list(group) for is_and, group in groupby(words, "&&".__eq__) if not is_and]
        found += groups
    return found


def write_customers(path: Path, n_rows: int = 500) -> None:
    """Write a small table whose target its columns tell in part."""
    draw = random.Random(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["tenure", "plan", "monthly_charges", "support_calls", "churned"])
        for index in range(n_rows):
            tenure, calls = draw.randrange(72), draw.randrange(6)
            plan = ("month", "year", "two years")[index % 3]
            leaning = calls - tenure / 12 + 2 * (plan == "month") + draw.gauss(0, 1.5)
            charges = round(draw.uniform(20, 120), 2)
            rows.writerow([tenure, plan, charges, calls, "Yes" if leaning > 1 else "No"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with customers.csv and a store in which `customers` is registered; documents get copies."""
    folder = tmp_path_factory.mktemp("trained")
    write_customers(folder / "customers.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLWRIGHT_STORE", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert (
            main(["run", "customers.csv", "--target", "churned", "--budget", BUDGET, "--trials", TRIALS]) == 0
        )
    return folder


def run_command(words: list[str], marks: dict[str, str]) -> None:
    if words[1] in ("run", "retrain"):
        if "--budget" in words:
            words[words.index("--budget") + 1] = BUDGET
        else:
            words = [*words, "--budget", BUDGET]
    if words[1] == "run" and "--trials" not in words:  # a retraining keeps to the project's
        words = [*words, "--trials", TRIALS]
    allowed = [int(code) for code in marks.get("exit codes", "0").split(",")]
    assert main(words[1:]) in allowed, words


def run_curl(words: list[str], marks: dict[str, str]) -> dict | list:
    """Ask the service without a network and return its answer."""
    import mlwright
    from mlwright.serving.endpoint import Endpoint

    urls = [urlsplit(word) for word in words if word.startswith("http://127.0.0.1:8000")]
    assert len(urls) == 1
    body = words[words.index("-d") + 1].encode() if "-d" in words else b""
    endpoint = Endpoint(mlwright.load("customers"), name="customers", version="1")
    method = "POST" if body else "GET"
    assert endpoint.route(method, urls[0].path) is None
    response = endpoint.respond(urls[0].path, body, query=urls[0].query)
    assert response.status == int(marks.get("status", 200)), response.body
    return json.loads(response.body)


def shape(tree: object) -> object:
    """Return a JSON tree with its values taken away; lists count by their first item."""
    if isinstance(tree, dict):
        return {key: shape(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [shape(item) for item in tree]
    return "number" if isinstance(tree, (int, float)) and not isinstance(tree, bool) else type(tree).__name__


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_run(path, trained, tmp_path, monkeypatch):
    found = blocks(path)
    if any(block.language in ("sh", "python") and "not run" not in block.marks for block in found):
        shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLWRIGHT_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names: dict[str, object] = {"__name__": "document"}
    answer: dict | list | None = None
    for block in found:
        if block.language == "python":
            text = block.text.replace('budget="60s"', f'budget="{BUDGET}", trials={TRIALS}')
            text = text.replace("budget_s=60", f"budget_s=4, n_trials={TRIALS}")
            exec(compile("\n" * block.line + text, str(path), "exec"), names)
        elif block.language == "json":
            told = json.loads(block.text)
            if answer is not None:
                assert shape(told) == shape(answer)
                answer = None
        elif block.language == "toml":
            file = tmp_path / block.marks.get("file", "mlwright.toml")
            file.write_text(block.text)
            tomllib.loads(block.text)
            read_contract(file) if file.name == CONTRACT else load_project(tmp_path)
            file.unlink()
        elif block.language == "sh":
            for words in commands(block.text):
                assert words[0] in ("mlwright", "curl") or "not run" in block.marks, words
                if words[0] == "mlwright":
                    parser().parse_args(words[1:])
                if "not run" in block.marks:
                    continue
                if words[0] == "curl":
                    answer = run_curl(words, block.marks)
                else:
                    run_command(words, block.marks)
        else:
            assert block.language == "text", f"line {block.line}: a block of '{block.language}' is not tested"


def test_what_is_not_run_is_little():
    skipped = [block for path in DOCUMENTS for block in blocks(path) if "not run" in block.marks]
    reasons = {block.marks["not run"] for block in skipped}
    assert all(block.language == "sh" for block in skipped)
    assert reasons == {
        "installs packages",
        "installs packages; CI runs both",
        "blocks until it is stopped",
        "the path is an example",
        "names a file of yours",
        "needs two versions",
        "takes minutes",
    }


def test_examples_say_commands_that_are_there():
    for path in ROOT.glob("examples/*/README.md"):
        for line in re.findall(r"^ {4}(mlwright .*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            parser().parse_args(shlex.split(line)[1:])

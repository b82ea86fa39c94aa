"""kill -9 at any moment of a run, then the same run again: it goes on, ends well, and the registry shows one version."""

import json
import subprocess
import sys
import textwrap

import pytest
from commands import command

from customers import write

# Each is where the process kills itself: a callable's place, on which call, and before or after its work.
MOMENTS = {
    "in the first trial": ("mlwright.search.fitter:Fitter.trial", 1, "before"),
    "after two trials": ("mlwright.search.journal:Journal.add", 2, "after"),
    "before the refit": ("mlwright.search.fitter:Fitter.refit", 1, "before"),
    "after the proof": ("mlwright.lifecycle.run:_prove", 1, "after"),
    "in the registration": ("mlwright.tracking.registration:_create_model", 1, "before"),
    "after the registration": ("mlwright.tracking.beside:Beside.register", 1, "after"),
    "before the journal ends": ("mlwright.search.journal:Journal.finish", 1, "before"),
    "before the alias": ("mlwright.tracking.beside:Beside.promote", 1, "before"),
}

SCRIPT = textwrap.dedent(
    """
    import importlib, os, signal, sys
    place, call, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if "registration" in place:
        import mlflow  # then it runs in this process, and not in one beside
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, seen = getattr(owner, last), []
    def deadly(*arguments, **options):
        seen.append(1)
        if when == "before" and len(seen) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if when == "after" and len(seen) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, last, deadly)
    from mlwright.cli import main
    sys.exit(main(["run", "customers.csv", "--target", "churned", "--name", "churn", "--budget", "60s", "--trials", "4", "--json"]))
    """
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_and_ends_well(moment, tmp_path):
    write(tmp_path / "customers.csv", n=300)
    place, call, when = MOMENTS[moment]
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, place, str(call), when],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    shown = command("models", "--json", folder=tmp_path, check=False)
    registered = json.loads(shown.stdout) if shown.returncode == 0 else []
    for model in registered:  # whatever the registry shows is whole
        for version in model["versions"]:
            done = command(
                "predict", f"churn/{version['version']}", "customers.csv", "-o", "out.csv", folder=tmp_path
            )
            assert done.returncode == 0
    finished = 0
    journals = list((tmp_path / ".mlwright" / "journal").glob("*.jsonl"))
    if journals:
        finished = sum(b'"fold_scores"' in line for line in journals[0].read_bytes().splitlines())

    again = command(
        "run",
        "customers.csv",
        "--target",
        "churned",
        "--name",
        "churn",
        "--budget",
        "60s",
        "--trials",
        "4",
        folder=tmp_path,
    )
    assert (f"going on from {finished} finished trials" in again.stderr) == (finished > 0)
    (model,) = json.loads(command("models", "--json", folder=tmp_path).stdout)
    versions = model["versions"]
    assert len(versions) == 1
    assert any("champion" in version["aliases"] for version in versions)
    assert not list((tmp_path / ".mlwright" / "journal").glob("*.jsonl"))
    assert not list((tmp_path / ".mlwright" / "tmp").glob("*bundle*"))
    for version in versions:
        command("predict", f"churn/{version['version']}", "customers.csv", "-o", "out.csv", folder=tmp_path)

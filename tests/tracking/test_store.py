"""Where a store is found, made and refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlwright.core.errors import StoreError
from mlwright.tracking.store import Store, find_store, open_store


def test_the_nearest_store_upwards_is_found(tmp_path: Path) -> None:
    outer = open_store(tmp_path, create=True)
    inner_folder = tmp_path / "a" / "b"
    inner_folder.mkdir(parents=True)
    assert find_store(inner_folder) == outer
    (tmp_path / "a" / ".mlwright").mkdir()
    inner = open_store(tmp_path / "a", create=True)  # an empty folder of that name becomes a store
    assert inner.root == tmp_path / "a" / ".mlwright"
    assert find_store(inner_folder) == inner


def test_the_current_folder_is_where_the_search_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_store(tmp_path, create=True)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert find_store() == made


def test_the_flag_goes_before_the_variable_and_the_variable_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, by_variable, by_flag = (
        open_store(tmp_path / name, create=True) for name in ("near", "var", "flag")
    )
    monkeypatch.chdir(tmp_path / "near")
    assert find_store() == near
    monkeypatch.setenv("MLWRIGHT_STORE", str(by_variable.root))
    assert find_store() == by_variable
    assert find_store(named=by_flag.root) == by_flag
    assert find_store(named=str(tmp_path / "flag")) == by_flag  # the folder that holds it will do


def test_no_store_is_an_error_that_names_the_folder_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no store found from .* upwards.*mlwright run.*--store") as caught:
        find_store(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="no store found at"):
        find_store(named=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (None, "it has no store.json"),
        ("{", "cannot be read"),
        ('{"format": 2, "root": "/x"}', "format that this mlwright does not read: got 2"),
        ('{"format": 1}', "format"),
        ("[1]", "format"),
    ],
)
def test_a_foreign_store_is_refused(tmp_path: Path, marker: str | None, said: str) -> None:
    place = tmp_path / ".mlwright"
    place.mkdir()
    (place / "other").touch()
    if marker is not None:
        (place / "store.json").write_text(marker)
    for create in (False, True):
        with pytest.raises(StoreError, match=said):
            open_store(tmp_path, create=create)
    assert sorted(p.name for p in place.iterdir()) == sorted(
        {"other"} | ({"store.json"} if marker else set())
    )


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / ".mlwright").write_text("")
    with pytest.raises(StoreError, match="is a file and no store"):
        open_store(tmp_path, create=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be made at"):
        open_store(tmp_path, create=True)


def test_the_layout_is_made_whole(tmp_path: Path) -> None:
    made = open_store(tmp_path, create=True)
    assert sorted(p.name for p in made.root.iterdir()) == [
        "artifacts", "journal", "log", "snapshots", "store.json", "tmp",
    ]  # fmt: skip
    assert {made.artifacts, made.journal, made.log, made.snapshots, made.tmp} <= set(made.root.iterdir())
    assert json.loads((made.root / "store.json").read_bytes()) == {"format": 1, "root": str(made.root)}
    assert [p.name for p in tmp_path.iterdir()] == [".mlwright"]  # nothing of the making is left
    assert made.root.stat().st_mode & 0o777 == 0o755


def test_many_processes_may_make_it_at_once(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\nfrom mlwright.tracking.store import open_store\n"
        "sys.stdin.read()\nprint(open_store(pathlib.Path(sys.argv[1]), create=True).root)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
    told = set()
    for racer in racers:
        assert racer.stdout is not None
        told.add(racer.stdout.read().strip())
        racer.stdout.close()
        assert racer.wait() == 0
    assert told == {str(tmp_path / ".mlwright")}
    assert [p.name for p in tmp_path.iterdir()] == [".mlwright"]


def test_making_it_second_keeps_the_first_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_store(tmp_path, create=True)
    (first.journal / "study.jsonl").write_text("trial")
    answers = iter([False])  # as seen by a process that looked just before the first one was done
    real = Path.exists
    monkeypatch.setattr(
        Path,
        "exists",
        lambda path, **kw: next(answers, True) if path == first.root else real(path, **kw),
    )
    assert open_store(named=first.root, create=True) == first
    monkeypatch.undo()
    assert (first.journal / "study.jsonl").read_text() == "trial"
    assert [p.name for p in tmp_path.iterdir()] == [".mlwright"]


def test_a_store_is_local_unless_mlflow_is_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_store(tmp_path / "a %41#?", create=True)
    assert made.is_local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.local_uri)
    assert made.is_local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    assert not made.is_local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert not made.is_local
    assert made.tracking_uri == "http://localhost:5000"


def test_addresses_become_paths_and_follow_a_moved_store(tmp_path: Path) -> None:
    here = tmp_path / "new place"
    moved = Store(here, Path("/old"))
    assert moved.local_path("/old/artifacts/x") == here / "artifacts" / "x"
    assert moved.local_path("file:///old/artifacts/a%20b") == here / "artifacts" / "a b"
    assert moved.local_path("/older/x") == Path("/older/x")
    assert moved.local_path("s3://bucket/x") is None
    assert moved.local_path("file://another-host/x") is None


def test_a_lock_keeps_others_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    made = open_store(tmp_path, create=True)
    script = (
        "import sys, os, signal, pathlib\nfrom mlwright.tracking.store import find_store\n"
        "with find_store(named=sys.argv[1]).locked('x'):\n"
        "    print('held', flush=True)\n    sys.stdin.readline()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(made.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        import fcntl

        with (made.tmp / "x.lock").open("wb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with made.locked("another"):
            holder.stdin.write("die\n")
            holder.stdin.flush()
        with made.locked("x"):
            assert holder.wait() == -9


def test_opening_and_reading_load_no_mlflow(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom mlwright.tracking import registry, tracker\nfrom mlwright.tracking.store import open_store\n"
        "import pathlib\nstore = open_store(pathlib.Path(sys.argv[1]), create=True)\n"
        "assert registry.models(store) == [] == registry.runs(store)\n"
        "print(sorted({'mlflow', 'sqlalchemy', 'pandas', 'duckdb', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_copy_is_a_store_of_its_own(tmp_path: Path) -> None:
    made = open_store(tmp_path / "one", create=True)
    copied = shutil.copytree(made.root, tmp_path / "two" / ".mlwright")
    found = find_store(tmp_path / "two")
    assert (found.root, found.recorded_root) == (copied, made.root)
    assert found.at_home() == find_store(tmp_path / "two") == Store(copied, copied)
    assert find_store(tmp_path / "one") == made

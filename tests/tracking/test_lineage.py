"""Commits against git itself; versions against the installed metadata."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import pytest

from mlwright.tracking.lineage import git_commit, lock_hash


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_commit_is_named_and_a_change_makes_it_dirty(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    _git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) is None  # nothing is committed yet
    (tmp_path / "a").write_text("1")
    _git(tmp_path, "add", "a")
    _git(tmp_path, "commit", "-q", "-m", "first")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("no matter")
    (tmp_path / "below").mkdir()
    assert git_commit(tmp_path) == git_commit(tmp_path / "below") == commit
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_no_git_and_no_folder_are_no_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_commit(tmp_path / "nowhere") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_a_git_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path, timeout=0.2) is None


def test_the_lock_is_the_installed_versions() -> None:
    digest, lock = lock_hash()
    named = dict(line.split("==") for line in lock)
    assert named.pop("python") == platform.python_version()
    assert named == {name: importlib.metadata.version(name) for name in named}
    assert {"numpy", "lightgbm", "scikit-learn", "mlwright"} <= named.keys()
    assert digest == hashlib.sha256("\n".join(sorted(lock)).encode()).hexdigest()


def test_another_version_is_another_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lock_hash()
    monkeypatch.setattr(
        "mlwright.tracking.lineage.version",
        lambda name: "0" if name == "numpy" else importlib.metadata.version(name),
    )
    after = lock_hash()
    assert after[0] != before[0]
    assert set(after[1]) - set(before[1]) == {"numpy==0"}

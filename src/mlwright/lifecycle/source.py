"""Source: whatever a user names (a project, a file, a glob, a database, a table in memory), as a project to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlwright.core.errors import DataError, ProjectError, UsageError
from mlwright.core.events import Event, Listener
from mlwright.lifecycle.project import FILE, Project, load_project, slug

__all__ = ["project_of", "provide"]


def project_of(source: Any, *, base: Project | None = None) -> Project:
    """Return the project that `source` stands for.

    Parameters
    ----------
    source : str, Path or table
        A folder with ``mlwright.toml`` or that file; else a data source.
    base : Project, optional
        Settings for a plain data source.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.name == FILE or (path.is_dir() and (path / FILE).is_file()):
            return load_project(path)
        if path.is_dir():
            raise UsageError(
                f"a directory without {FILE} is no project",
                got=str(source),
                fix=f"name a data file, a glob such as '{source}/*.csv', or write a project with `mlwright init {source}`",
            )
        project = base or Project()
        text = str(source)
        name = project.name or slug("database" if "://" in text else path.name.split(".")[0])
        return project.having(name=name, data_source=text)
    project = base or Project()
    if source is None:
        if project.data_source is None:
            raise UsageError("no data: name a source")
        return project
    return project.having(name=project.name or slug(project.task_target or "model"), data_source=source)


def provide(project: Project, listener: Listener) -> None:
    """Write the project's raw table by its own ``prepare`` script if the source is a file that is not there yet.

    Raises
    ------
    DataError
        If the script fails or does not write the source; its last lines stand in the message.
    """
    source = project.source
    if (
        not project.data_prepare
        or project.folder is None
        or not isinstance(source, str)
        or Path(source).exists()
    ):
        return
    script = project.folder / project.data_prepare
    if not script.is_file():
        raise ProjectError("data.prepare names a file that is not there", got=str(script))
    listener(Event("step", f"preparing: {script.name} writes {project.data_source}"))
    done = subprocess.run(  # noqa: S603 - the user's own script, named in the user's own project
        [sys.executable, script.name], cwd=project.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise DataError(
            f"{script} failed: {last[0]}",
            got=f"exit code {done.returncode}",
            fix=f"run it by hand: python {script}",
        )
    if not Path(source).exists():
        raise DataError(
            f"{script} did not write the source",
            got=source,
            fix="let it write the file that data.source names",
        )

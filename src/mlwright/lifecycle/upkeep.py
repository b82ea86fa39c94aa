"""Upkeep: look at the machine and the store, and remove what nothing points to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwright.core.errors import MlwrightError, UsageError
from mlwright.core.files import read_json
from mlwright.execution import cores
from mlwright.lifecycle.project import FILE, slug
from mlwright.serving.log_reading import compact_log
from mlwright.tracking.registry import models, runs
from mlwright.tracking.store import find_store

__all__ = ["Garbage", "doctor", "gc", "init"]

_PACKAGES = (
    "catboost",
    "duckdb",
    "lightgbm",
    "mlflow-skinny",
    "mlwright",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "uvloop",
)
_LEAST_FREE_GIB = 2.0
_KEPT_SECONDS = 7 * 86400.0  # finished journals and reproduced bundles

_TEMPLATE = """\
# A project of mlwright. Everything has a default but the source and the target; docs/project.md explains each key.
name = "{name}"

[data]
source = "{source}"          # a file, a glob, or a database URL such as "postgresql://user@host/base"
# query = "select * from customers"   # for a database: a table's name or a SELECT
# time = "signup_date"        # the column that orders the rows: the split goes by it
# group = "customer_id"       # rows of one group never stand on both sides of the split
# ignore = ["internal_note"]  # columns that no model may see
# kinds = {{ zip = "categorical" }}   # where the inferred kind is not what you mean

[task]
target = "{target}"
# metric = "roc_auc"          # inferred from the target
budget = "60s"
# split = "auto"              # shuffled | random | stratified | group:COLUMN | time:COLUMN
# holdout = 0.2               # the share of rows that no search ever sees
# seed = 0

[checks]
# accept = ["leak:duration"]  # findings that stop a run, accepted by their code
# ban = ["gender"]            # columns that must not be there

[gate]
# margin = 0.0                # how much worse a challenger may be, in the metric's units

[serve]
# port = 8000
"""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that nothing points to."""

    path: Path
    size: int
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {"path": str(self.path), "bytes": self.size, "why": self.why}


def init(folder: str | Path = ".", *, source: str = "data.csv", target: str = "target") -> Path:
    """Write a commented ``mlwright.toml``; never over one that is there."""
    path = Path(folder) / FILE
    if path.exists():
        raise UsageError("a project is there already", got=str(path), fix="edit it, or name another folder")
    if Path(folder).is_file():
        raise UsageError("a project is a folder, not a file", got=str(folder))
    path.parent.mkdir(parents=True, exist_ok=True)
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in (source, target)]
    name = slug(path.resolve().parent.name)
    path.write_text(_TEMPLATE.format(name=name, source=quoted[0], target=quoted[1]), encoding="utf-8")
    return path


def doctor(*, store: str | Path | None = None) -> dict[str, Any]:
    """Return what one would ask first when something is wrong: versions, cores, memory, disk, store.

    ``problems`` lists what should be mended; it is empty if all is well.
    """
    problems = []
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
            problems.append(f"{name} is not installed: pip install {name}")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < _LEAST_FREE_GIB:
        problems.append(f"only {free:.1f} GiB of disk are free here")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    told: dict[str, Any] = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": versions,
        "cores": cores(),
        "memory_gib": round(memory, 1),
        "disk_free_gib": round(free, 1),
        "store": None,
        "models": 0,
        "runs": 0,
    }
    try:
        opened = find_store(named=store)
        told |= {"store": str(opened.root), "tracking": opened.tracking_uri}
        told |= {"models": len(models(opened)), "runs": len(runs(opened))}
    except MlwrightError as error:
        told["store_note"] = str(error)
    return told | {"problems": problems}


def gc(*, dry_run: bool, store: str | Path | None = None) -> list[Garbage]:
    """Remove what nothing points to, or only list it.

    Unfinished work of a day ago, journals of finished studies and reproduced bundles after a week, and snapshots
    that no run names. Runs, versions and their bundles are never touched. Finished files of the prediction log are made
    into Parquet, which takes a fifth of the room.
    """
    opened = find_store(named=store)
    day_ago, week_ago = time.time() - 86400.0, time.time() - _KEPT_SECONDS
    found = [
        _garbage(path, "left by a process that ended")
        for path in opened.tmp.glob("*")
        if path.suffix != ".lock" and path.stat().st_mtime < day_ago
    ]
    found += [
        _garbage(p, "journal of a finished study")
        for p in opened.journal.glob("*.done")
        if p.stat().st_mtime < week_ago
    ]
    found += [
        _garbage(p, "reproduced bundle")
        for p in (opened.root / "reproduced").glob("*")
        if p.stat().st_mtime < week_ago
    ]
    named = {
        fingerprint
        for plan in opened.artifacts.rglob("plan.json")
        if isinstance(lineage := read_json(plan).get("lineage"), dict)
        for fingerprint in (lineage.get("data"), lineage.get("test"))
    }
    unfinished = any(path.suffix == ".jsonl" for path in opened.journal.glob("*"))
    if opened.is_local and not unfinished:  # elsewhere other machines may name them; an unfinished study will
        found += [
            _garbage(path, "snapshot that no run names")
            for path in opened.snapshots.glob("*")
            if path.name.partition(".")[0] not in named
        ]
    if not dry_run:
        for garbage in found:
            if garbage.path.is_dir():
                shutil.rmtree(garbage.path)
            else:
                garbage.path.unlink()
        compact_log(opened.log)
    return found


def _garbage(path: Path, why: str) -> Garbage:
    size = (
        sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        if path.is_dir()
        else path.stat().st_size
    )
    return Garbage(path, size, why)

"""Reproduce: replay a run's recorded trials on its kept snapshot, without a clock, and compare the hash."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlwright import bundle
from mlwright.core.clock import Deadline
from mlwright.core.events import Event, Listener, silent
from mlwright.lifecycle.build import build
from mlwright.lifecycle.recorded import recorded
from mlwright.lifecycle.without_target import build_unlabelled
from mlwright.tracking.lineage import lock_hash
from mlwright.tracking.store import find_store
from mlwright.tracking.tracker import Tracker

__all__ = ["Reproduction", "reproduce"]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a replay gave.

    Parameters
    ----------
    run_id : str
        The run that was replayed.
    bundle : Path
        The new bundle; its folder is named by its hash.
    sha256, recorded : str
        The new bundle's hash, and the recorded one's.
    equal : bool
        Whether they are the same.
    changed_packages : list of str
        Packages of another version than then ("numpy 2.0.0 -> 2.1.0"): the first thing to look at if not equal.
    """

    run_id: str
    bundle: Path
    sha256: str
    recorded: str
    equal: bool
    changed_packages: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {name: getattr(self, name) for name in self.__slots__} | {"bundle": str(self.bundle)}


def reproduce(run_id: str, *, store: str | Path | None = None, listener: Listener = silent) -> Reproduction:
    """Make a run's bundle again.

    Parameters
    ----------
    run_id : str
        MLflow's run id, as ``mlwright runs`` shows it (a unique beginning will do), or ``name@alias``, ``name/version``.
    """
    opened = find_store(named=store)
    tracker = Tracker.prepare(opened).result()
    past = recorded(tracker, opened, tracker.find_run_id(run_id))
    if past.prepared.task.kind.needs_target:
        listener(Event("note", f"replaying {len(past.trials)} trials of run {past.run_id}"))
        contents = build(
            past.prepared,
            past.project,
            Deadline(np.inf),
            lineage=past.lineage,
            replay=past.trials,
            choices=past.choices,
            listener=listener,
        ).contents
    else:
        contents = build_unlabelled(
            past.prepared, past.project, lineage=past.lineage, listener=listener
        ).contents
    with tempfile.TemporaryDirectory(dir=opened.tmp) as folder:
        temporary = Path(folder) / "bundle"
        sha256 = bundle.write(contents, temporary)
        place = opened.root / "reproduced" / sha256
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            temporary.rename(place)
    before = _versions(past.lineage["packages"])
    now = _versions(lock_hash()[1])
    changed = [
        f"{n} {before.get(n, '-')} -> {now.get(n, '-')}"
        for n in sorted(before | now)
        if before.get(n) != now.get(n)
    ]
    return Reproduction(past.run_id, place, sha256, past.sha256, sha256 == past.sha256, changed)


def _versions(lines: Iterable[str]) -> dict[str, str]:
    """Return versions by name of lines such as ``numpy==2.0.0``."""
    return {name: version for name, _, version in (line.partition("==") for line in lines)}

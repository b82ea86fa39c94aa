"""Contract: write what training data hold as a file, to be edited and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwright.core.errors import UsageError
from mlwright.core.events import silent
from mlwright.core.files import canonical_json
from mlwright.core.types import Json
from mlwright.data.contract import Contract
from mlwright.data.contract_file import CONTRACT, as_toml, json_schema, read_contract
from mlwright.data.contract_learn import learn
from mlwright.data.read import read_noted
from mlwright.data.schema import Schema
from mlwright.data.snapshot import load
from mlwright.data.table import Table
from mlwright.lifecycle.project import FILE
from mlwright.lifecycle.source import project_of, provide
from mlwright.lifecycle.understand import raw_schema
from mlwright.tracking.registry import find_run_id, load_plan, models, resolve
from mlwright.tracking.store import find_store

__all__ = ["FORMATS", "Written", "contract"]

FORMATS = ("toml", "json-schema")
_NAMES = {"toml": CONTRACT, "json-schema": "contract.schema.json"}


@dataclass(frozen=True, slots=True)
class Written:
    """A contract that was written.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Whose contract it is.
    n_rows : int
        The rows that it was learned from; 0 if it was read from a file.
    contract : Contract
        What it says.
    """

    path: Path
    name: str
    n_rows: int
    contract: Contract

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            "path": str(self.path),
            "name": self.name,
            "rows": self.n_rows,
            "contract": self.contract.to_json(),
        }


def contract(
    source: Any,
    *,
    output: str | Path | None = None,
    form: str = "toml",
    force: bool = False,
    target: str | None = None,
    store: str | Path | None = None,
) -> Written:
    """Learn a contract from training data and write it; or write a contract's file as JSON Schema.

    Parameters
    ----------
    source : str or Path
        A project's folder or a table as `run` takes it; a ``contract.toml``; else a registered model or a run, whose
        training table is read back from the store.
    output : str or Path, optional
        The file; by default ``contract.toml`` beside the project's ``mlwright.toml``, else here
        (``contract.schema.json`` for JSON Schema).
    form : {"toml", "json-schema"}
        What to write.
    force : bool, default=False
        Whether a file that is there is replaced.
    target : str, optional
        For a plain table: the column to predict, which no record needs.

    Raises
    ------
    UsageError
        If `form` is another, the file is there already, or no such model, run or table is.
    """
    if form not in FORMATS:
        raise UsageError("unknown format", got=form, allowed=FORMATS)
    name, folder, told, n_rows = _contract_of(source, target, store)
    path = Path(output) if output is not None else folder / _NAMES[form]
    if path.exists() and not force:
        raise UsageError(
            "the file is there already", got=str(path), fix="name another with -o, or replace it with --force"
        )
    text = (
        as_toml(told, name=name, n_rows=n_rows)
        if form == "toml"
        else canonical_json(json_schema(told, name=name)).decode() + "\n"
    )
    path.write_text(text, encoding="utf-8")
    return Written(path, name, n_rows, told)


def _contract_of(
    source: Any, target: str | None, store: str | Path | None
) -> tuple[str, Path, Contract, int]:
    """Return whose contract it is, where its file belongs, what it says, and of how many rows."""
    text = str(source)
    path = Path(text)
    if path.suffix == ".toml" and path.name != FILE:
        return path.resolve().parent.name, path.parent, read_contract(path), 0
    is_project = path.name == FILE or (path / FILE).is_file()
    if is_project or path.exists() or "://" in text or "*" in text:
        project = project_of(source).having(task_target=target)
        provide(project, silent)
        raw = read_noted(project.source, query=project.data_query).table
        table = Table(raw, raw_schema(raw, project))
        return project.name, project.folder or Path(), learn(table), table.n_rows
    opened = find_store(named=store)
    is_model = any(model.name == text for model in models(opened))
    plan = load_plan(opened, resolve(opened, text).run_id if is_model else find_run_id(opened, text))
    table = Table(load(opened.snapshots, plan["lineage"]["data"]).arrow, Schema.from_json(plan["schema"]))
    folder = Path(plan["folder"])
    place = folder if (folder / FILE).is_file() else Path()
    return str(plan["project"]["name"]), place, learn(table), table.n_rows

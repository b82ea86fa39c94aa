"""Understand: a raw table's schema with the roles that a project gives, and its checks. The same for all tasks."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from mlwright.core.errors import RefusedError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.data.checks.base import CheckContext
from mlwright.data.checks.run import refused, run_checks
from mlwright.data.contract import Contract
from mlwright.data.contract_file import CONTRACT, read_contract
from mlwright.data.findings import Finding
from mlwright.data.infer import infer
from mlwright.data.personal import personal_columns
from mlwright.data.schema import Kind, Role, Schema
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.lifecycle.project import FILE, Project
from mlwright.lifecycle.task import roles_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["checked", "contract_of", "raw_schema", "without_group"]


def checked(
    context: CheckContext, project: Project, *, refuse: bool = True, listener: Listener = silent
) -> list[Finding]:
    """Run the checks, and tell what they found.

    Raises
    ------
    RefusedError
        If one says stop, the project does not accept it, and `refuse` is set.
    """
    findings = run_checks(context, project.checks_accept)
    for finding in findings:
        accepted = finding.code in project.accepts
        listener(Event("finding", finding.what, finding.to_json() | {"accepted": accepted}))
    stopped = refused(findings, project.accepts)
    if stopped and refuse:
        raise RefusedError(
            f"{stopped[0].code}: {stopped[0].what.rstrip('.')}",
            details={"findings": [finding.to_json() for finding in findings]},
            fix=f'{stopped[0].advice} To accept it: `--accept {stopped[0].code}`, or accept = ["{stopped[0].code}"] under [checks]',
        )
    return findings


def contract_of(project: Project) -> Contract | None:
    """Return the contract that the project names, or that lies beside its ``mlwright.toml``; None if there is none."""
    folder = project.folder
    if project.data_contract is not None:
        return read_contract((folder or Path()) / project.data_contract)
    if folder is None or not (folder / FILE).is_file() or not (folder / CONTRACT).is_file():
        return None
    return read_contract(folder / CONTRACT)


def without_group(table: Table, split: Split) -> Table:
    """Give the column that groups are split by the role of one: a model could only learn the groups by heart."""
    if split.kind != "group" or split.column is None:
        return table
    schema = table.schema.with_role(split.column, Role.GROUP)
    return table.with_schema(schema) if schema.features else table


def raw_schema(raw: pa.Table, project: Project) -> Schema:
    """Return what the columns are, with the roles and kinds that the project gives."""
    roles = roles_of(project)
    for name in [*roles, *project.data_pii, *project.data_kinds]:
        if name not in raw.column_names:
            near = difflib.get_close_matches(name, raw.column_names, n=1, cutoff=0.5)
            raise UsageError(
                "a column is named that the data does not have",
                got=name,
                allowed=raw.column_names[:50],
                fix=f"did you mean '{near[0]}'?" if near else "name one of the columns",
            )
    kinds = {name: Kind(kind) for name, kind in project.data_kinds.items()}
    schema = infer(raw, target=project.task_target, roles=roles, kinds=kinds)
    found = [name for name in personal_columns(raw, schema) if f"pii:{name}" not in project.accepts]
    return schema.marked([*project.data_pii, *found])

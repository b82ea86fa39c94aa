"""Documents: what the service says of itself: the schema and the docs page; `mlwright.serving.openapi` has the third.

All are made from the bundle's own schema, so they cannot say anything that the service does not do.
"""

from __future__ import annotations

import base64
import hashlib
import html
import shlex
from importlib import resources
from typing import Any

import msgspec

from mlwright.core.errors import RecordError
from mlwright.core.types import Json, Record
from mlwright.data.schema import Column, Kind, TaskKind
from mlwright.serving.answers import called, label_key
from mlwright.serving.options import Option, offered
from mlwright.serving.predictor import Predictor

__all__ = ["docs_page", "example", "ignored", "schema_document", "script_hash", "training"]


def example(predictor: Predictor) -> tuple[Record, Json | None]:
    """Return a record that the service accepts, and its recorded answer: a golden one, else one from the schema."""
    names = [column.name for column in predictor.reader.columns]
    for row in predictor.golden:
        record = {name: row["record"][name] for name in names if name in row["record"]}
        try:
            predictor.reader.read(record)
        except RecordError:
            continue
        return record, row["prediction"]
    return {column.name: _typical(column) for column in predictor.reader.columns}, None


def _typical(column: Column) -> Any:
    if column.kind is Kind.NUMERIC:
        return column.low if column.low is not None else 0
    if column.kind is Kind.BOOLEAN:
        return True
    if column.kind is Kind.DATETIME:
        return "2026-01-01T00:00:00"
    return column.levels[0] if column.levels else "text"


def schema_document(predictor: Predictor, *, name: str, version: str) -> Json:
    """Return what goes in and what comes out."""
    task = predictor.task
    output: Json = {
        "name": task.target if task.kind.needs_target else str(task.kind),
        "kind": "numeric" if task.kind is TaskKind.REGRESSION else "categorical",
    }
    if called(task):
        output["labels"] = called(task)
    if task.kind in (TaskKind.BINARY, TaskKind.ANOMALY):
        output["threshold"] = task.cut
    return {
        "model": name,
        "version": version,
        "task": str(task.kind),
        "input": [
            {
                "name": column.name,
                "kind": str(column.kind),
                "type": column.dtype,
                "required": column.required,
                "levels": None if column.levels is None else list(column.levels),
                "low": column.low,
                "high": column.high,
                "format": column.format,
            }
            for column in predictor.reader.columns
        ],
        "ignored": ignored(predictor),
        "options": [
            {"name": option.name, "key": option.key, "about": option.about, "records": option.most}
            for option in offered(predictor)
        ],
        "output": output,
    }


def ignored(predictor: Predictor) -> list[str]:
    """Return the fields that may stand in a record and are not used."""
    read = {column.name for column in predictor.reader.columns}
    return [name for name in predictor.schema.names if name not in read]


def training(column: Column) -> str:
    """Say in a few words what training saw in a column."""
    if column.levels:
        shown = ", ".join(level if len(level) <= 60 else level[:57] + "..." for level in column.levels[:12])
        return shown + (f" and {len(column.levels) - 12} more" if len(column.levels) > 12 else "")
    if column.kind is Kind.NUMERIC and column.low is not None and column.high is not None:
        return f"{column.low:.12g} to {column.high:.12g}"
    return column.why or str(column.kind)


def docs_page(predictor: Predictor, *, name: str, version: str) -> str:
    """Return the docs page: one HTML file without any outside asset."""
    task = predictor.task
    record, answer = example(predictor)
    columns = predictor.reader.columns
    what = f"{task.target}: {_listed(task.labels)}"
    if task.kind is TaskKind.REGRESSION:
        what = f"the number {task.target}"
    elif task.kind is TaskKind.ANOMALY:
        what = f"how unusual a record is: a score from 0 to 1, an anomaly from {task.cut:g} on"
    elif task.kind is TaskKind.CLUSTER:
        what = f"the group of a record: {_listed(task.labels)}"
    facts = {
        "Version": version,
        "Task": str(task.kind),
        "Fields": str(len(columns)),
        "Bundle": predictor.sha256[:12] or "in memory",
    }
    # A shell command on one line, so that it can be copied as it is.
    body = shlex.quote(msgspec.json.encode(record).decode())
    filled = {
        "name": html.escape(name),
        "sentence": html.escape(f"Predicts {what}, from one record or a list of them."),
        "facts": "".join(f"<span>{key} <b>{html.escape(value)}</b></span>" for key, value in facts.items()),
        "example": html.escape(_pretty(record)),
        "answer": html.escape("Press Predict." if answer is None else _pretty(answer)),
        "options": "".join(_checkbox(option) for option in offered(predictor)),
        "fields": "\n".join(_line(column) for column in columns),
        "curl": html.escape(
            f"curl -s http://localhost:8000/predict -H 'content-type: application/json' -d {body}"
        ),
    }
    page = _template()
    parts = page.split("{{")
    # Filled in one pass, so that a column called "{{name}}" stays what it is.
    return parts[0] + "".join(filled[key] + rest for key, _, rest in (p.partition("}}") for p in parts[1:]))


def script_hash() -> str:
    """Return the docs page's script as a source of a content security policy."""
    script = _template().partition("<script>")[2].partition("</script>")[0]
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def _template() -> str:
    return resources.files("mlwright.serving").joinpath("docs.html").read_text("utf-8")


def _pretty(tree: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()


def _listed(labels: tuple[Any, ...]) -> str:
    keys = [label_key(label) for label in labels]
    if not keys:
        return "a number"
    if len(keys) > 8:
        return f"one of {len(keys)} classes"
    return " or ".join([", ".join(keys[:-1]), keys[-1]])


def _checkbox(option: Option) -> str:
    name, about = html.escape(option.name), html.escape(option.about)
    return f'<label class="option"><input type="checkbox" data-option="{name}">{name}: {about}</label>'


def _line(column: Column) -> str:
    cells = (column.name, str(column.kind), "yes" if column.required else "no", training(column))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"

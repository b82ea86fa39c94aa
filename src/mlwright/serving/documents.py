"""Documents: what the service says of itself. The schema, the OpenAPI 3.1 description and the docs page.

All three are made from the bundle's own schema, so they cannot say anything that the service does not do.
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
from mlwright.serving.answers import label_key
from mlwright.serving.predictor import Predictor
from mlwright.serving.validation import MAX_CHARACTERS

__all__ = ["docs_page", "example", "openapi", "schema_document", "script_hash"]


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
        "name": task.target,
        "kind": "numeric" if task.kind is TaskKind.REGRESSION else "categorical",
    }
    if task.labels:
        output["labels"] = list(task.labels)
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
        "ignored": _ignored(predictor),
        "output": output,
    }


def _ignored(predictor: Predictor) -> list[str]:
    read = {column.name for column in predictor.reader.columns}
    return [name for name in predictor.schema.names if name not in read]


def _field(column: Column) -> Json:
    """Return the JSON Schema of one field."""
    types = {
        Kind.NUMERIC: ["number", "string"],
        Kind.BOOLEAN: ["boolean", "integer", "string"],
        Kind.DATETIME: ["string", "number"] if column.format.get("epoch") is not None else ["string"],
    }.get(column.kind)
    if types is None:
        numbers = {
            "int": ["number", "boolean"],
            "float": ["number", "boolean"],
            "bool": ["boolean", "number"],
        }
        types = ["string", *numbers.get(column.dtype, [])]
    field: Json = {"type": types if column.required else [*types, "null"], "maxLength": MAX_CHARACTERS}
    field["description"] = _training(column)
    if column.levels:
        field["examples"] = list(column.levels[:20])
    return field


def _training(column: Column) -> str:
    if column.levels:
        shown = ", ".join(level if len(level) <= 60 else level[:57] + "..." for level in column.levels[:12])
        return shown + (f" and {len(column.levels) - 12} more" if len(column.levels) > 12 else "")
    if column.kind is Kind.NUMERIC and column.low is not None and column.high is not None:
        return f"{column.low:.12g} to {column.high:.12g}"
    return column.why or str(column.kind)


def _answer_schema(predictor: Predictor) -> Json:
    task = predictor.task
    properties: Json = {
        "prediction": {"enum": list(task.labels)} if task.labels else {"type": "number"},
        "warnings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "warning": {"type": "string"}, "got": {}},
                "required": ["field", "warning", "got"],
            },
        },
        "prediction_id": {"type": "string"},
        "model": {"type": "string"},
        "version": {"type": "string"},
    }
    if task.labels:
        keys = [label_key(label) for label in task.labels]
        chance = {"type": "number", "minimum": 0, "maximum": 1}
        properties["probability"] = {
            "type": "object",
            "properties": dict.fromkeys(keys, chance),
            "required": keys,
        }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def openapi(predictor: Predictor, *, name: str, version: str, has_token: bool = False) -> Json:
    """Return the OpenAPI 3.1 description."""
    record, _ = example(predictor)
    record_schema = {
        "type": "object",
        "properties": {column.name: _field(column) for column in predictor.reader.columns}
        | {other: {"description": "not used"} for other in _ignored(predictor)},
        "required": [column.name for column in predictor.reader.columns if column.required],
        "additionalProperties": False,
        "examples": [record],
    }
    either = [
        {"$ref": "#/components/schemas/Record"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
    ]
    answers = [
        {"$ref": "#/components/schemas/Answer"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
    ]
    failures = {
        "400": "the body is not JSON",
        "408": "the body came too slowly",
        "413": "the body is too large",
        "415": "the body is of another type",
        "422": "the record does not fit the schema",
    }
    if has_token:
        failures["401"] = "no token, or a wrong one"
    paths: Json = {
        "/predict": {
            "post": {
                "operationId": "predict",
                "summary": f"Predict {predictor.task.target}",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"anyOf": either}, "example": record}},
                },
                "responses": {
                    "200": _reply("one answer a record", {"anyOf": answers}),
                    **{
                        status: _reply(text, {"$ref": "#/components/schemas/Error"})
                        for status, text in failures.items()
                    },
                },
            }
        }
    }
    for path, text in (
        ("/health", "the process is alive"),
        ("/ready", "the bundle is loaded and verified"),
        ("/schema", "what goes in and what comes out"),
    ):
        replies = {"200": _reply(text, {"type": "object"})}
        if path == "/ready":
            replies["503"] = _reply("not yet", {"type": "object"})
        elif path == "/schema" and has_token:
            replies["401"] = _reply(failures["401"], {"$ref": "#/components/schemas/Error"})
        paths[path] = {"get": {"operationId": path[1:], "summary": text, "responses": replies}}
    components: Json = {
        "schemas": {"Record": record_schema, "Answer": _answer_schema(predictor), "Error": _ERROR}
    }
    description: Json = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version},
        "paths": paths,
        "components": components,
    }
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        paths["/predict"]["post"]["security"] = paths["/schema"]["get"]["security"] = [{"token": []}]
    return description


_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "problems": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "record": {"type": "integer"},
                            "field": {"type": "string"},
                            "problem": {"type": "string"},
                            "got": {},
                            "allowed": {},
                        },
                        "required": ["field", "problem", "got", "allowed"],
                    },
                },
            },
            "required": ["message"],
        }
    },
    "required": ["error"],
}


def _reply(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def docs_page(predictor: Predictor, *, name: str, version: str) -> str:
    """Return the docs page: one HTML file without any outside asset."""
    task = predictor.task
    record, answer = example(predictor)
    columns = predictor.reader.columns
    what = (
        f"the number {task.target}"
        if task.kind is TaskKind.REGRESSION
        else f"{task.target}: {_listed(task.labels)}"
    )
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
    if len(keys) > 8:
        return f"one of {len(keys)} classes"
    return " or ".join([", ".join(keys[:-1]), keys[-1]])


def _line(column: Column) -> str:
    cells = (column.name, str(column.kind), "yes" if column.required else "no", _training(column))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"

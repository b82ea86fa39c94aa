"""The OpenAPI 3.1 description of the service, made from the bundle's own schema and the table of routes."""

from __future__ import annotations

from typing import Any

from mlwright.core.types import Json
from mlwright.data.schema import Column, Kind, TaskKind
from mlwright.serving.answers import called, label_key
from mlwright.serving.documents import example, ignored, training
from mlwright.serving.options import offered
from mlwright.serving.predictor import Predictor
from mlwright.serving.routes import ARROW, CSV, OCTETS, ROUTES, Route
from mlwright.serving.validation import MAX_CHARACTERS

__all__ = ["openapi"]

_LEFT_OUT = frozenset({"/", "/docs", "/openapi.json"})  # pages, and this description itself
_FAILURES = {
    "400": "the body cannot be read",
    "403": "a page of another origin may not ask",
    "408": "the body came too slowly",
    "413": "the body is too large",
    "415": "the body is of another type",
    "421": "the request names another host",
    "422": "a record does not fit the schema",
    "429": "too many requests at once",
    "503": "stopped, or too slow, and without a fallback",
}
_ABOUT = {
    "/health": "the process is alive",
    "/invocations": "predictions as MLflow's clients ask for them",
    "/metrics": "what has been counted, for Prometheus",
    "/ping": "the bundle is loaded and verified, as MLflow asks",
    "/ready": "the bundle is loaded and verified",
    "/schema": "what goes in and what comes out",
    "/v2": "the server, by the Open Inference Protocol",
    "/v2/health/live": "the process is alive, by the Open Inference Protocol",
    "/v2/health/ready": "the bundle is loaded and verified, by the Open Inference Protocol",
    "/v2/models/{name}": "the model's tensors",
    "/v2/models/{name}/infer": "predictions by the Open Inference Protocol",
    "/v2/models/{name}/ready": "the model is loaded and verified",
    "/v2/models/{name}/versions/{version}": "the model's tensors",
    "/v2/models/{name}/versions/{version}/infer": "predictions by the Open Inference Protocol",
    "/v2/models/{name}/versions/{version}/ready": "the model is loaded and verified",
    "/version": "the version of mlwright",
}
_UNREADY = {"/ready": "503", "/v2/health/ready": "503", "/ping": "404"}


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
    field: Json = {"type": [*types, "null"], "maxLength": MAX_CHARACTERS}
    field["description"] = training(column)
    if column.levels:
        field["examples"] = list(column.levels[:20])
    return field


_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
_REASON: Json = {
    "type": "object",
    "properties": {
        "column": {"type": "string"},
        "got": {"type": ["string", "number", "boolean", "null"]},
        "share": _SHARE,
        "says": {"type": "string"},
    },
    "required": ["column", "got", "share", "says"],
}
_CUT = {
    TaskKind.BINARY: "from this probability on it is the second class",
    TaskKind.ANOMALY: "from this score on it is an anomaly",
}


def _answer_schema(predictor: Predictor) -> Json:
    task = predictor.task
    properties: Json = {
        "prediction": {"enum": called(task)} if called(task) else {"type": "number"},
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
    required = [*properties]
    properties["degraded"] = {"const": True, "description": "the fallback answered"}
    properties |= {option.key: option.schema(predictor) for option in offered(predictor)}
    if not task.kind.needs_target:
        required += ["score", "why"]
        properties |= {"score": _SHARE, "why": {"type": "array", "items": _REASON}}
    elif task.labels:
        keys = [label_key(label) for label in task.labels]
        required.append("probability")
        properties["probability"] = {
            "type": "object",
            "properties": dict.fromkeys(keys, _SHARE),
            "required": keys,
        }
    if task.kind in _CUT:
        required.append("threshold")
        properties["threshold"] = {"const": task.cut, "description": _CUT[task.kind]}
    return {"type": "object", "properties": properties, "required": sorted(required)}


def openapi(predictor: Predictor, *, name: str, version: str, has_token: bool = False) -> Json:
    """Return the OpenAPI 3.1 description."""
    record, _ = example(predictor)
    fields = {column.name: _field(column) for column in predictor.reader.columns}
    unused = {other: {"description": "not used"} for other in ignored(predictor)}
    required = [column.name for column in predictor.reader.columns if column.required]
    schemas: Json = {
        "Record": {
            "type": "object",
            "properties": fields | unused,
            "required": required,
            "additionalProperties": False,
            "examples": [record],
        },
        "Columns": {
            "type": "object",
            "properties": {
                key: {"type": "array", "items": items} for key, items in (fields | unused).items()
            },
            "required": required,
            "additionalProperties": False,
            "minProperties": 1,
        },
        "Answer": _answer_schema(predictor),
        "Error": _ERROR,
        "ProtocolError": _PROTOCOL_ERROR,
        "InferRequest": _INFER,
    }
    paths: Json = {}
    for route in ROUTES.values():
        if route.pattern not in _LEFT_OUT:
            paths[route.pattern] = {route.method.lower(): _operation(route, predictor, record, name, version)}
    components: Json = {"schemas": schemas}
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for pattern, operations in paths.items():
            for operation in operations.values():
                if ROUTES[pattern].permission != "public":
                    operation["security"] = [{"token": []}]
                    operation["responses"]["401"] = _reply("no token, or a wrong one", _ref("Error"))
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version},
        "paths": paths,
        "components": components,
    }


def _operation(route: Route, predictor: Predictor, record: Any, name: str, version: str) -> Json:
    pattern = route.pattern
    operation: Json = {"operationId": pattern.strip("/").replace("/", "_").replace("{", "").replace("}", "")}
    is_protocol = pattern.startswith("/v2")
    error = _ref("ProtocolError" if is_protocol else "Error")
    given = {"name": name, "version": version}
    parts = [part[1:-1] for part in pattern.split("/") if part[:1] == "{"]
    if parts:
        operation["parameters"] = [
            {
                "name": part,
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "example": given[part],
            }
            for part in parts
        ]
    if pattern == "/predict" and offered(predictor):
        operation["parameters"] = [
            {
                "name": option.name,
                "in": "query",
                "required": False,
                "schema": {"type": "boolean", "default": False},
                "description": option.about
                + ("" if option.most is None else f"; of at most {option.most} records at once"),
            }
            for option in offered(predictor)
        ]
    operation["summary"] = _ABOUT.get(pattern, f"Predict {predictor.task.target or predictor.task.kind}")
    if route.method == "GET":
        kind = "text/plain" if pattern in {"/metrics", "/version", "/ping"} else "application/json"
        schema = {"type": "string" if kind == "text/plain" else "object"}
        replies = {"200": _reply(operation["summary"], schema, kind)}
        if pattern in _UNREADY or pattern.endswith("/ready"):
            replies[_UNREADY.get(pattern, "503")] = _reply("not yet", schema, kind)
    else:
        replies = {"200": _answer_reply(pattern)}
        failed = (
            {"anyOf": [_ref("Error"), error]} if is_protocol else error
        )  # a server's own refusals come first
        replies |= {status: _reply(text, failed) for status, text in _FAILURES.items()}
        operation["requestBody"] = {"required": True, "content": _bodies(pattern, record)}
    if parts:
        replies["404"] = _reply("no such model", {"anyOf": [_ref("Error"), error]})
    return operation | {"responses": replies}


def _bodies(pattern: str, record: Any) -> Json:
    binary: Json = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    if pattern == "/predict":
        shapes = [_ref("Record"), {"type": "array", "items": _ref("Record")}, _ref("Columns")]
        return {"application/json": {"schema": {"anyOf": shapes}, "example": record}, ARROW.decode(): binary}
    if pattern == "/invocations":
        names = ("dataframe_split", "dataframe_records", "instances", "inputs")
        shapes = [{"type": "object", "properties": {n: {}}, "required": [n]} for n in names]
        example_ = {"dataframe_records": [record]}
        return {
            "application/json": {"schema": {"oneOf": shapes}, "example": example_},
            CSV.decode(): {"schema": {"type": "string"}},
        }
    return {"application/json": {"schema": _ref("InferRequest")}, OCTETS.decode(): binary}


def _answer_reply(pattern: str) -> Json:
    if pattern != "/predict":
        reply = _reply("predictions", {"type": "object"})
        if pattern != "/invocations":
            reply["content"][OCTETS.decode()] = {}
        return reply
    columns = {"type": "object", "properties": {"prediction": {"type": "array"}}, "required": ["prediction"]}
    shapes = [_ref("Answer"), {"type": "array", "items": _ref("Answer")}, columns]
    reply = _reply("one answer a record, or columns for columns", {"anyOf": shapes})
    reply["content"][ARROW.decode()] = {}
    return reply


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


_PROTOCOL_ERROR: Json = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
_INFER: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "datatype": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    "data": {"type": "array"},
                },
                "required": ["name", "datatype", "shape"],
            },
        },
    },
    "required": ["inputs"],
}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _reply(description: str, schema: Json, kind: str = "application/json") -> Json:
    return {"description": description, "content": {kind: {"schema": schema}}}

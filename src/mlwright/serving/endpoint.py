"""Endpoint: the service without a network. A request's method, path, headers and body in, a response out, in one call.

It knows the routes, the formats, the limits and what is counted and logged; it does not know ASGI, sockets or async. So
any server can stand before it, and a test needs none.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version as installed
from types import MappingProxyType
from typing import Any

import msgspec

from mlwright.core.errors import DataError, RecordError, UsageError
from mlwright.core.types import Json
from mlwright.serving import oip, spans
from mlwright.serving.answers import encoder, label_key
from mlwright.serving.columnar import Limits, Predictions
from mlwright.serving.documents import docs_page, schema_document, script_hash
from mlwright.serving.ids import id_bytes, new_id
from mlwright.serving.invocations import invoke, invoke_csv
from mlwright.serving.log import PredictionLog, folder_name
from mlwright.serving.masking import Mask
from mlwright.serving.openapi import openapi
from mlwright.serving.options import asked
from mlwright.serving.predicting import predict
from mlwright.serving.predictor import Predictor
from mlwright.serving.prometheus import CONTENT_TYPE, Metrics
from mlwright.serving.responses import JSON, NO_SNIFFING, Response, as_json, failure, malformed
from mlwright.serving.routes import CSV, ROUTES, match
from mlwright.serving.rowform import OddRecordError
from mlwright.serving.status import Status

__all__ = ["ROUTES", "Endpoint", "Limits", "Response", "failure", "new_id"]

_HTML = (b"content-type", b"text/html; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Of `Status`: what only ever grows, and what /ready says.
_COUNTED = tuple(
    f.name for f in fields(Status) if f.type == "int" and f.name not in {"worker", "connections", "waiting"}
)
_TOLD = ("swaps", "swap_faults", "last_fault", "stopped", "degraded")
_FEW = 8  # below so many records the row path is faster than the batch
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_seconds = time.perf_counter


def _nothing() -> None:
    """Do nothing."""


def _outcome(status: int) -> str:
    return "ok" if status < 400 else "refused" if status < 500 else "failed"


class Endpoint:
    """Answers requests for one predictor.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    name, version : str
        The model's name and version, repeated in every answer.
    log : PredictionLog, optional
        Where answers are recorded.
    limits : Limits, optional
        What one request may cost.
    has_token : bool, default=False
        Whether the description says that a bearer token is needed.
    metrics : Metrics, optional
        Where requests are counted; by default in this endpoint alone.
    status : Status, optional
        What the server counts; told by ``/ready`` and ``/metrics``.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        name: str,
        version: str,
        log: PredictionLog | None = None,
        limits: Limits | None = None,
        has_token: bool = False,
        metrics: Metrics | None = None,
        status: Status | None = None,
    ) -> None:
        folder_name(name)  # raises if it cannot be a folder of the log
        self.predictor = predictor
        self.name, self.version = name, version
        self.log = log
        self.limits = limits or Limits()
        self.status = status or Status()
        self.metrics = metrics or Metrics()
        if not self.metrics.is_watched:
            self.show()
        self.settled: Callable[[], None] = _nothing  # called once an answer is certain, before it is logged
        self._channel = None if log is None else log.channel(name, version, predictor.sha256)
        if log is not None:
            log.watch = self.sample
        self._mask = Mask(predictor.schema)
        self._tracer = spans.tracer()
        self._tail = {"model": name, "version": version}
        self._count()
        # A predictor of another class answers in a way of its own, so that it is asked for each answer.
        self._path = predictor.path if type(predictor) is Predictor else None
        self._encode_answer = encoder(predictor.task, name, version, self._class_counts)
        self._body_bytes = self.limits.body_bytes
        self._get = self._documents(has_token=has_token)

    def _count(self) -> None:
        """Lay out what is counted."""
        metrics, task = self.metrics, self.predictor.task
        self._observers: dict[tuple[str, str], Callable[[float], None]] = {}
        self._observe_predict = self._observer("/predict", "ok")
        classes = [label_key(label) for label in task.labels] or [""]
        self._class_counts = (
            metrics.values,
            [
                metrics.place("mlwright_predictions_total", model=self.name, **{"class": key})
                for key in classes
            ],
        )
        self._warning_places: dict[str, int] = {}

    def _documents(self, *, has_token: bool) -> dict[str, Callable[[], Response]]:
        about = {"name": self.name, "version": self.version}
        predictor = self.predictor
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src {script_hash()}; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page_headers = (_HTML, NO_SNIFFING, (b"content-security-policy", policy.encode()))
        model = as_json(oip.about_model(self))
        fixed = {
            "/": Response(307, ((b"location", b"docs"), (b"content-type", b"text/plain")), b""),
            "/docs": Response(200, page_headers, docs_page(predictor, **about).encode("utf-8", "replace")),
            "/health": Response(200, (JSON,), b'{"status":"alive"}'),
            "/openapi.json": as_json(openapi(predictor, **about, has_token=has_token)),
            "/schema": as_json(schema_document(predictor, **about)),
            "/v2": as_json(oip.about_server()),
            "/v2/health/live": Response(200, (JSON,), b'{"live":true}'),
            "/v2/models/{name}": model,
            "/v2/models/{name}/versions/{version}": model,
            "/version": Response(200, (_TEXT,), installed("mlwright").encode()),
        }
        get: dict[str, Callable[[], Response]] = {
            path: lambda response=response: response for path, response in fixed.items()
        }
        get["/ready"] = self._ready
        get["/metrics"] = self._metrics
        get["/ping"] = lambda: Response(200 if predictor.verified else 404, (_TEXT,), b"\n")
        get["/v2/health/ready"] = lambda: as_json({"ready": predictor.verified}, self._ready_status())
        is_ready = lambda: as_json({"name": self.name, "ready": predictor.verified}, self._ready_status())  # noqa: E731 - one of a table
        get["/v2/models/{name}/ready"] = get["/v2/models/{name}/versions/{version}/ready"] = is_ready
        return get

    # A request

    def route(self, method: str, path: str) -> Response | None:
        """Return None if the request is for a handler here, else the 404 or 405."""
        found = match(path)
        if found is None:
            return failure(404, "no such address", allowed=sorted(ROUTES))
        allowed = found[0].method
        if method == allowed or (method == "HEAD" and allowed == "GET"):
            return None
        allow = b"GET, HEAD" if allowed == "GET" else b"POST"
        message = f"{path[:200]} does not take {method[:20]}"
        return failure(405, message, ((b"allow", allow),), allowed=allow.decode().split(", "))

    def respond(
        self, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = _NO_HEADERS, query: str = ""
    ) -> Response:
        """Return the response of a route that `route` has let through. It never raises.

        Parameters
        ----------
        path : str
            Of the request, without its query.
        body : bytes
            All of it.
        headers : mapping of bytes to bytes
            By lower-case name; what no JSON body needs: content-type, accept, inference-header-content-length.
        query : str, default=""
            What a prediction is asked for besides; see `mlwright.serving.options`.
        """
        if self._tracer is not None:
            return spans.within(
                self._tracer,
                _pattern(path),
                headers,
                self._tail,
                lambda: self._answer(path, body, headers, query),
            )
        return self._answer(path, body, headers, query)

    def _answer(self, path: str, body: bytes, headers: Mapping[bytes, bytes], query: str) -> Response:
        started = _seconds()
        if path == "/predict" and not query and self._path is not None and len(body) <= self._body_bytes:
            # The hot path: one ordinary record.
            try:
                outputs = self._path.outputs(self._path.decode(body))
                id_ = id_bytes()
                answer = self._encode_answer(outputs, id_)
            except OddRecordError:
                pass
            except Exception as error:  # noqa: BLE001 - the last border, as below
                return self._failed(path, error)
            else:
                took = _seconds() - started
                if self._channel is not None:
                    self.settled()
                    record = body if self._mask.is_empty else self._mask.record(body)
                    self._channel.put(time.time_ns(), int(took * 1e6), record, answer)
                self._observe_predict(took)
                return Response(200, (JSON,), answer)
        try:
            response = self._handle(path, body, headers, query)
        except RecordError as error:
            response = self._error(path, 422, str(error), problems=error.problems)
        except (oip.TensorError, UsageError) as error:
            response = self._error(path, 400, str(error))
        except DataError as error:
            response = self._error(path, 422, str(error))
        except _NOT_JSON as error:
            response = malformed(body, error)
            if path.startswith("/v2"):
                response = self._error(path, 400, _decode(response.body)["error"]["message"])
        except Exception as error:  # noqa: BLE001 - the last border: the caller gets a 500, the operator the reason
            response = self._failed(path, error)
        self._observer(_pattern(path), _outcome(response.status))(_seconds() - started)
        return response

    def _handle(self, path: str, body: bytes, headers: Mapping[bytes, bytes], query: str) -> Response:
        if len(body) > self._body_bytes:
            return self._error(path, 413, f"the body is larger than {self._body_bytes:,} bytes")
        if path == "/predict":
            options = asked(path, query, self.predictor) if query else ()
            return predict(self, body, headers, options)
        if path == "/invocations":
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            return invoke_csv(self, body) if kind == CSV else invoke(self, _decode(body))
        found = match(path)
        if found is None:
            return failure(404, "no such address", allowed=sorted(ROUTES))
        route, parts = found
        if parts and (parts["name"] != self.name or parts.get("version", self.version) != self.version):
            got = "/".join(parts.values())[:200]
            served = f"{self.name}, version {self.version}"
            return self._error(path, 404, f"no such model: got {got!r}; allowed: {served}")
        if route.method == "POST":
            return oip.infer(self, body, headers)
        return self._get[route.pattern]()

    def _error(self, path: str, status: int, message: str, **more: Any) -> Response:
        """Return an error in the shape that the route's protocol has for it."""
        return (
            as_json({"error": message}, status)
            if path.startswith("/v2")
            else failure(status, message, **more)
        )

    def _failed(self, path: str, error: Exception) -> Response:
        line = {
            "level": "error",
            "event": "request failed",
            "path": _pattern(path),
            # An error's text may repeat what a record holds.
            "error": f"{type(error).__name__}: {error}" if self._mask.is_empty else type(error).__name__,
            "traceback": "Traceback:\n" + "".join(traceback.format_tb(error.__traceback__)),
        }
        sys.stderr.write(_encode(line).decode() + "\n")
        sys.stderr.flush()
        return self._error(path, 500, "the service failed on this request; its log says why")

    # Predictions

    def answer_ordinary(self, raws: Sequence[msgspec.Raw]) -> list[bytes] | None:
        """Return the whole answers of records that are all ordinary, counted and logged; None if one is not."""
        path, started = self._path, _seconds()
        if path is None or not raws:
            return None
        try:
            cells = [path.decode(raw) for raw in raws]
        except OddRecordError:
            return None
        several = len(raws) >= _FEW
        outputs = path.outputs_of_many(cells).tolist() if several else map(path.outputs, cells)
        answers = [self._encode_answer(values, id_bytes()) for values in outputs]
        self._log(raws, answers, started)
        return answers

    def predict_records(
        self, records: Sequence[Any], raws: Sequence[bytes | msgspec.Raw] | None = None
    ) -> list[Json]:
        """Return the whole answers of records, counted and logged; `raws` are their JSON, where it is at hand."""
        started = _seconds()
        answers = self.predictor.predict_many(records)
        if raws is None:
            raws = [b""] * len(answers) if self._channel is None else [_encode(record) for record in records]
        return [self._finish(answer, raw, started) for answer, raw in zip(answers, raws, strict=True)]

    def _finish(self, answer: Json, record: bytes | msgspec.Raw, started: float) -> Json:
        """Complete, count and log an answer."""
        answer["prediction_id"] = new_id()
        answer.update(self._tail)
        values, places = self._class_counts
        labels = self.predictor.task.labels
        values[places[labels.index(answer["prediction"]) if labels else 0]] += 1
        self._count_warnings(answer["warnings"])
        if self._channel is not None:
            logged = answer if self._mask.is_empty else self._mask.answer(answer)
            self._log([record], [_encode(logged)], started)
        return answer

    def _log(self, records: Sequence[bytes | msgspec.Raw], answers: Sequence[bytes], started: float) -> None:
        if self._channel is None:
            return
        self.settled()
        now, took = time.time_ns(), int((_seconds() - started) * 1e6)
        mask = self._mask
        for record, answer in zip(records, answers, strict=True):
            whole = bytes(record)
            self._channel.put(now, took, whole if mask.is_empty else mask.record(whole), answer)

    def note(self, values: Callable[[], Mapping[str, Any]], predictions: Predictions) -> list[str]:
        """Count and log predictions of columns, and return their ids; `values` gives the columns, if needed."""
        counts, places = self._class_counts
        codes = [0] * len(predictions) if predictions.codes is None else predictions.codes.tolist()
        for code in codes:
            counts[places[code]] += 1
        self._count_warnings(predictions.warnings)
        ids = [id_bytes() for _ in codes]
        if self._channel is not None:
            started = _seconds()
            columns = values()
            rows = zip(*map(_listed, columns.values()), strict=True)
            records = [_encode(dict(zip(columns, row, strict=True))) for row in rows] or [b"{}"] * len(ids)
            encode = encoder(self.predictor.task, self.name, self.version, None)
            answers = [encode(out, id_) for out, id_ in zip(predictions.outputs.tolist(), ids, strict=True)]
            self._log(records, answers, started)
        return [id_.decode() for id_ in ids]

    # What is said of itself

    def _observer(self, route: str, outcome: str) -> Callable[[float], None]:
        key = (route, outcome)
        found = self._observers.get(key)
        if found is None:
            found = self._observers[key] = self.metrics.histogram(route, outcome)
        return found

    def _count_warnings(self, warnings: Sequence[Json]) -> None:
        for warning in warnings:
            field = warning["field"]
            place = self._warning_places.get(field)
            if place is None:
                place = self.metrics.place("mlwright_warnings_total", model=self.name, field=field)
                self._warning_places[field] = place
            self.metrics.values[place] += warning.get("rows", 1)

    def sample(self) -> None:
        """Copy what others count into the metrics: the log's thread does it between writes, and each scrape."""
        told: dict[str, float] = {}
        if self.log is not None:
            told = {"log_written": self.log.written, "log_dropped": self.log.dropped}
        told |= {name: getattr(self.status, name) for name in _COUNTED}
        for name, value in told.items():
            self.metrics.values[self.metrics.place(f"mlwright_{name}_total")] = float(value)

    def _gauges(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Yield what this process has now."""
        sha256 = self.predictor.sha256
        yield "mlwright_model_info", {"model": self.name, "version": self.version, "sha256": sha256}, 1.0
        yield "mlwright_ready", {}, float(self.predictor.verified)
        yield "mlwright_stopped", {}, float(self.status.stopped)
        if self.log is not None:
            yield "mlwright_log_waiting_bytes", {}, float(self.log.waiting_bytes)

    def show(self) -> None:
        """Let the gauges of ``/metrics`` be this endpoint's; of those that count together, the live one's are told."""
        self.metrics.watch(self._gauges)

    def _metrics(self) -> Response:
        self.sample()
        return Response(200, ((b"content-type", CONTENT_TYPE),), self.metrics.text().encode())

    def _ready_status(self) -> int:
        return 200 if self.predictor.verified else 503

    def _ready(self) -> Response:
        predictor, log, status = self.predictor, self.log, self.status
        state = {
            "ready": predictor.verified,
            "model": self.name,
            "version": self.version,
            "sha256": predictor.sha256,
            "golden": len(predictor.golden) if predictor.verified else 0,
            "log": log is not None,
            "log_written": 0 if log is None else log.written,
            "log_dropped": 0 if log is None else log.dropped,
            "log_error": None if log is None else log.error,
            **{name: getattr(status, name) for name in _TOLD},
        }
        return as_json(state, self._ready_status())


def _listed(values: Any) -> Sequence[Any]:
    return values.tolist() if hasattr(values, "tolist") else values


def _pattern(path: str) -> str:
    """Return the route of a path, so that no client's word becomes a label."""
    found = match(path)
    return "none" if found is None else found[0].pattern

"""Spans: one for each request, where OpenTelemetry is installed and asked for. Nothing is imported otherwise.

OpenTelemetry is asked for by its own environment variables, such as ``OTEL_EXPORTER_OTLP_ENDPOINT``, or by a program
that has set a tracer provider up before it makes an `App`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from mlwright.serving.responses import Response

__all__ = ["tracer", "within"]

_ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


def tracer() -> Any | None:
    """Return OpenTelemetry's tracer, or None where it is absent, switched off or not asked for."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    is_asked = any(os.environ.get(name, "none") not in {"", "none"} for name in _ASKED_BY)
    if not is_asked and "opentelemetry.sdk.trace" not in sys.modules:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        return None
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    is_set = isinstance(trace.get_tracer_provider(), TracerProvider)
    if not is_set and not (is_asked and _export(TracerProvider, trace)):
        return None
    return trace.get_tracer("mlwright.serving")


def _export(kind: Any, trace: Any) -> bool:
    """Set a provider up that sends spans where OpenTelemetry's variables say; False without its exporter."""
    try:
        exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        return False
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = kind()
    provider.add_span_processor(BatchSpanProcessor(exporter.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True


def within(
    tracer: Any,
    route: str,
    headers: Mapping[bytes, bytes],
    model: Mapping[str, str],
    work: Callable[[], Response],
) -> Response:
    """Return what `work` gives, done within a span that continues the caller's trace."""
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, StatusCode

    carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()}
    attributes = {"http.route": route, **{f"mlwright.{key}": value for key, value in model.items()}}
    with tracer.start_as_current_span(
        route, context=extract(carrier), kind=SpanKind.SERVER, attributes=attributes
    ) as span:
        response = work()
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_status(StatusCode.ERROR)
        return response

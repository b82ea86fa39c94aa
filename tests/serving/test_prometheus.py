"""What is counted, read by Prometheus' own parser, and spans by OpenTelemetry's own exporter."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest
from prometheus_client.parser import text_string_to_metric_families
from real_predictors import BINARY, RECORD, REGRESSION, build, rows

from mlwright.serving import App, PredictionLog
from mlwright.serving import prometheus as prometheus_module
from mlwright.serving.prometheus import BOUNDS, Metrics

PREDICTOR = build(BINARY)


def samples(text):
    return {
        (sample.name, *sorted(f"{k}={v}" for k, v in sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client):
    reply = client.get("/metrics")
    assert reply.headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    return samples(reply.body.decode())


def test_requests_predictions_and_warnings_are_counted(tmp_path, client_of):
    app = App(PREDICTOR, version="3", log=PredictionLog(tmp_path, every=0.001))
    client = client_of(app)
    records = rows(30)
    answers = [client.predict(record).json() for record in records[:10]]
    answers += client.predict(records).json()
    columns = {name: [record[name] for record in records] for name in records[0]}
    decided = [a["prediction"] for a in answers] + client.predict(columns).json()["prediction"]
    odd = client.predict(RECORD | {"plan": "weekly", "age": 900}).json()
    decided.append(odd["prediction"])
    assert client.predict({"age": "x"}).status == 422
    client.get("/v2/models/telco")
    client.get("/v2/models/elsewhere")
    app.close()
    found = scrape(client)
    assert found["mlwright_requests_total", "outcome=ok", "route=/predict"] == 13
    assert found["mlwright_requests_total", "outcome=refused", "route=/predict"] == 1
    assert found["mlwright_requests_total", "outcome=ok", "route=/v2/models/{name}"] == 1
    assert found["mlwright_requests_total", "outcome=refused", "route=/v2/models/{name}"] == 1
    for label in ("no", "yes"):
        expected = decided.count(label)
        assert found["mlwright_predictions_total", f"class={label}", "model=telco"] == expected
    for field in ("plan", "age"):
        assert found["mlwright_warnings_total", f"field={field}", "model=telco"] == 1
    assert found["mlwright_log_written_total",] == len(decided)
    assert found["mlwright_log_dropped_total",] == 0
    assert found["mlwright_log_waiting_bytes",] == 0
    assert found["mlwright_model_info", "model=telco", f"sha256={'cd' * 32}", "version=3"] == 1
    assert found["mlwright_ready",] == 1
    assert found["mlwright_swap_faults_total",] == 0


def test_the_histogram_is_cumulative_and_exact():
    metrics = Metrics()
    observe = metrics.histogram("/predict", "ok")
    seconds = [1e-6, BOUNDS[0], 3e-5, 0.004, 0.004, 99.0]
    for each in seconds:
        observe(each)
    found = samples(metrics.text())
    labels = ("outcome=ok", "route=/predict")
    for bound in BOUNDS:
        name = prometheus_module._number(bound)
        key = ("mlwright_request_seconds_bucket", *sorted([*labels, f"le={name}"]))
        assert found[key] == sum(each <= bound for each in seconds)
    assert found["mlwright_request_seconds_bucket", "le=+Inf", *labels] == len(seconds)
    assert found["mlwright_request_seconds_count", *labels] == len(seconds)
    assert found["mlwright_request_seconds_sum", *labels] == pytest.approx(sum(seconds))


def test_labels_are_escaped():
    metrics = Metrics()
    odd = 'a "quoted" \\ back\nslash'
    metrics.values[metrics.place("mlwright_predictions_total", model="m", **{"class": odd})] += 2
    assert samples(metrics.text())["mlwright_predictions_total", f"class={odd}", "model=m"] == 2


def test_a_regression_counts_all(client_of):
    client = client_of(App(build(REGRESSION)))
    client.predict(RECORD)
    client.predict([RECORD] * 9)
    assert scrape(client)["mlwright_predictions_total", "class=", "model=telco"] == 10


def test_more_names_than_fit_are_shared_and_break_nothing():
    metrics = Metrics()
    for i in range(prometheus_module._CAPACITY + 100):
        metrics.values[metrics.place("mlwright_predictions_total", i=str(i))] += 1
    found = samples(metrics.text())
    assert 8_000 < len(found) < prometheus_module._CAPACITY
    assert set(found.values()) == {1.0}


WORKER = """
    import sys
    from mlwright.serving.prometheus import Metrics
    metrics = Metrics(sys.argv[1])
    for _ in range(5):
        metrics.histogram("/predict", "ok")(0.001)
    metrics.values[metrics.place("mlwright_predictions_total", model="m")] += int(sys.argv[2])
"""


def test_workers_are_added_up_also_when_they_are_gone(tmp_path):
    metrics = Metrics(tmp_path)
    metrics.histogram("/predict", "ok")(0.001)
    for number in ("3", "4"):
        subprocess.run([sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path), number], check=True)
    (tmp_path / "1-x.names").write_text("0 [torn")  # a worker that was killed as it began
    found = samples(metrics.text())
    assert found["mlwright_requests_total", "outcome=ok", "route=/predict"] == 11
    assert found["mlwright_predictions_total", "model=m"] == 7


# Spans

SPANS = """
    import json, sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    from serving_fakes import RECORD, Client, make
    from mlwright.serving import App
    app = App(make(), version="3")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = json.dumps(RECORD).encode()
    reply = Client(app).request("POST", "/predict", body, {"traceparent": parent})
    assert reply.status == 200
    app.close()
    (span,) = exporter.get_finished_spans()
    print(json.dumps([span.name, f"{span.context.trace_id:032x}", dict(span.attributes)]))
"""


def test_a_request_is_a_span_of_the_callers_trace():
    pytest.importorskip("opentelemetry.sdk")
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SPANS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    name, trace_id, attributes = json.loads(done.stdout)
    assert (name, trace_id) == ("/predict", "0af7651916cd43dd8448eb211c80319c")
    assert attributes["http.response.status_code"] == 200
    assert attributes["mlwright.version"] == "3"


def test_nothing_of_opentelemetry_is_loaded_unless_asked_for():
    from pathlib import Path

    code = (
        "import sys; from serving_fakes import make; from mlwright.serving import App; App(make()).close(); "
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert done.stdout.strip() == "[]"

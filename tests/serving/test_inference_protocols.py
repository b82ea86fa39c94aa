"""The Open Inference Protocol and MLflow's invocations, asked as their clients ask, and asked wrongly."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
import warnings

import numpy as np
import pytest
import uvicorn
from real_predictors import BINARY, MULTI, RECORD, REGRESSION, build, rows

from mlwright.serving import App

PREDICTORS = {str(task.kind): build(task) for task in (BINARY, MULTI, REGRESSION)}
PREDICTOR = PREDICTORS["binary"]
INFER = "/v2/models/telco/infer"


@pytest.fixture
def client(client_of):
    return client_of(App(PREDICTOR, version="3"))


def post(client, path, tree, **headers):
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    given = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return client.request("POST", path, body, given)


TYPES = {"age": "FP64", "spend": "FP64", "plan": "BYTES", "zone": "INT64", "flag": "BYTES", "senior": "BOOL"}
TYPES |= {"since": "BYTES", "note": "BYTES"}


def tensors(records, names=("age", "spend", "plan")):
    return [
        {"name": name, "datatype": TYPES[name], "shape": [len(records)], "data": [r[name] for r in records]}
        for name in names
    ]


def test_metadata(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/telco", "/v2/models/telco/versions/3"):
        tree = client.get(path).json()
        assert (tree["name"], tree["versions"]) == ("telco", ["3"])
        assert {i["name"]: i["datatype"] for i in tree["inputs"]}.items() >= {
            ("age", "FP64"),
            ("plan", "BYTES"),
            ("senior", "BOOL"),
        }
        names = ["prediction", "probability_no", "probability_yes", "prediction_id"]
        assert [o["name"] for o in tree["outputs"]] == names
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/telco/ready", "/v2/models/telco/versions/3/ready"):
        assert client.get(path).json() == {"name": "telco", "ready": True}
    for path in ("/v2/models/other", "/v2/models/telco/versions/4", "/v2/models/other/ready"):
        reply = client.get(path)
        assert (reply.status, type(reply.json()["error"])) == (404, str)
    assert client.request("POST", "/v2/models/other/infer", b"{}").status == 404


@pytest.mark.parametrize("kind", PREDICTORS)
def test_infer_as_json(client_of, kind):
    predictor = PREDICTORS[kind]
    client = client_of(App(predictor, version="3"))
    records = rows(9)
    expected = [predictor.predict_one({k: r[k] for k in ("age", "spend", "plan")}) for r in records]
    tree = post(client, INFER, {"id": "seven", "inputs": tensors(records)}).json()
    assert (tree["model_name"], tree["model_version"], tree["id"]) == ("telco", "3", "seven")
    outputs = {output["name"]: output for output in tree["outputs"]}
    assert all(output["shape"] == [9] for output in tree["outputs"])
    found = outputs["prediction"]["data"]
    assert (
        found == pytest.approx([a["prediction"] for a in expected])
        if kind == "regression"
        else found == [a["prediction"] for a in expected]
    )
    for label in predictor.task.labels:
        found = outputs[f"probability_{label}"]
        assert found["datatype"] == "FP64"
        assert found["data"] == pytest.approx([a["probability"][label] for a in expected], rel=1e-12)


def test_shapes_and_chosen_outputs(client):
    records = rows(3)
    request = {"inputs": tensors(records), "outputs": [{"name": "prediction"}]}
    flat = post(client, INFER, request).json()["outputs"]
    for tensor in request["inputs"]:
        tensor["shape"] = [3, 1]
        tensor["data"] = [[value] for value in tensor["data"]]
    assert post(client, "/v2/models/telco/versions/3/infer", request).json()["outputs"] == flat
    for tensor in request["inputs"]:
        tensor["data"] = [row[0] for row in tensor["data"]]
    assert post(client, INFER, request).json()["outputs"] == flat


def test_nan_and_empty_texts_are_missing(client):
    inputs = [
        {"name": "age", "datatype": "FP64", "shape": [1], "data": [40.0]},
        {"name": "plan", "datatype": "BYTES", "shape": [1], "data": ["year"]},
        {"name": "note", "datatype": "BYTES", "shape": [1], "data": [""]},
        {"name": "spend", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}},
    ]
    head = json.dumps({"inputs": inputs}).encode()
    body = head + struct.pack("<d", float("nan"))
    reply = post(client, INFER, body, inference_header_content_length=str(len(head)))
    expected = PREDICTOR.predict_one({"age": 40, "plan": "year"})["probability"]["yes"]
    assert reply.json()["outputs"][2]["data"] == [pytest.approx(expected, rel=1e-12)]


def changed(**change):
    return {"inputs": [tensors([RECORD])[0] | change, *tensors([RECORD])[1:]]}


@pytest.mark.parametrize(
    ("tree", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "not an inference request"),
        ({}, 400, "inputs"),
        ({"inputs": 5}, 400, "not an inference request"),
        (changed(shape=[2]), 400, "its shape says 2"),
        (changed(shape=[1, 2]), 400, "allowed: [n] or [n, 1]"),
        (changed(shape=[-1]), 400, "shape"),
        (changed(shape=[]), 400, "shape"),
        (changed(datatype="FP128"), 400, "unknown datatype"),
        (changed(data=5), 400, "data must be a list"),
        (changed(name="plan"), 400, "given twice"),
        (changed(parameters={"binary_data_size": 8}), 400, "beyond the body"),
        (changed(parameters={"binary_data_size": -8}), 400, "beyond the body"),
        (changed(data=["x"]), 422, "cannot be read as a number"),
        (changed(name="aged"), 422, "unknown field"),
        ({"inputs": tensors([RECORD]), "outputs": [{"name": "nothing"}]}, 400, "unknown output"),
    ],
)
def test_what_is_wrong_is_said(client, tree, status, message):
    reply = post(client, INFER, tree)
    assert reply.status == status, reply.body
    assert message in reply.json()["error"]


@pytest.mark.parametrize("length", ["x", "-1", "999999", "9" * 30])
def test_a_wrong_header_length(client, length):
    reply = post(client, INFER, {"inputs": []}, inference_header_content_length=length)
    assert reply.status == 400


@pytest.mark.parametrize("raw", [b"\x05\0\0\0year", b"\x05\0", b"\xff\xff\xff\xff", b"\x02\0\0\0\xff\xfe"])
def test_damaged_binary_texts(client, raw):
    tensor = {"name": "plan", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    reply = post(client, INFER, head + raw, inference_header_content_length=str(len(head)))
    assert reply.status == 400


# MLflow


def spelled(value):
    """Return a value as a text that training would have read the same."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def by_row(records):
    return [PREDICTOR.predict_one(record) for record in records]


@pytest.mark.parametrize("shape", ["dataframe_split", "dataframe_records", "instances", "inputs", "csv"])
def test_invocations(client, shape):
    records = rows(6)
    names = list(records[0])
    data = [[record[name] for name in names] for record in records]
    columns = {name: [record[name] for record in records] for name in names}
    if shape == "csv":
        lines = [names, *[[spelled(v) for v in row] for row in data]]
        body = "\n".join(",".join(line) for line in lines).encode()
        reply = client.request("POST", "/invocations", body, {"content-type": "text/csv"})
    else:
        trees = {
            "dataframe_split": {"columns": names, "data": data, "index": [5, 4, 3, 2, 1, 0]},
            "dataframe_records": records,
            "instances": records,
            "inputs": columns,
        }
        reply = post(client, "/invocations", {shape: trees[shape]})
    assert reply.status == 200, reply.body
    found = reply.json()["predictions"]
    expected = by_row(records)
    assert [row["prediction"] for row in found] == [answer["prediction"] for answer in expected]
    chances = [answer["probability"]["yes"] for answer in expected]
    assert [row["probability_yes"] for row in found] == pytest.approx(chances, rel=1e-12)


@pytest.mark.parametrize(
    ("tree", "status"),
    [
        (b"x", 400),
        ([], 400),
        ({}, 400),
        ({"instances": [], "inputs": []}, 400),
        ({"instances": 5}, 400),
        ({"instances": [5]}, 422),
        ({"dataframe_records": {"age": [1]}}, 400),
        ({"dataframe_split": {"columns": ["a"]}}, 400),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, 400),
        ({"dataframe_split": {"columns": ["age", "plan"], "data": [[1]]}}, 400),
        ({"dataframe_split": {"columns": [[], {}], "data": []}}, 400),
        ({"instances": [RECORD], "params": {"a": 1}}, 400),
        ({"inputs": {"age": [1], "plan": "year"}}, 422),
    ],
)
def test_invocations_that_do_not_fit(client, tree, status):
    reply = post(client, "/invocations", tree)
    assert reply.status == status, reply.body
    assert reply.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"\xff", b"", b'a,"b\nc', b"age,age\n1,2", b"age,plan\n1"])
def test_csv_that_does_not_fit(client, body):
    reply = client.request("POST", "/invocations", body, {"content-type": "text/csv"})
    assert reply.status in {400, 422}, reply.body


def test_ping_and_version(client):
    from importlib.metadata import version

    assert (client.get("/ping").status, client.get("/ping").body) == (200, b"\n")
    assert client.get("/version").body.decode() == version("mlwright")


# Their own clients


@contextlib.contextmanager
def served(app):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http="httptools", ws="none", log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client(binary):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own imports
        triton = pytest.importorskip("tritonclient.http")
    records = rows(7)
    expected = by_row(records)
    with served(App(PREDICTOR, version="3")) as address:
        client = triton.InferenceServerClient(address)
        try:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("telco", "3")
            assert client.get_server_metadata()["name"] == "mlwright"
            inputs = []
            for about in client.get_model_metadata("telco")["inputs"]:
                name, kind = about["name"], about["datatype"]
                values = [record[name] for record in records]
                if any(value is None for value in values) and kind not in {"FP64", "BYTES"}:
                    continue  # a tensor of integers or truth values has no missing value
                made = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}.get(kind, np.object_)
                array = np.array([v if kind != "BYTES" else None for v in values], dtype=made)
                if kind == "BYTES":
                    array = np.array([spelled(v) for v in values], dtype=np.object_)
                inputs.append(triton.InferInput(name, array.shape, kind))
                inputs[-1].set_data_from_numpy(array, binary_data=binary or kind == "FP64")
            outputs = [
                triton.InferRequestedOutput(name, binary_data=binary)
                for name in ("prediction", "probability_yes")
            ]
            sent = {tensor.name() for tensor in inputs}
            result = client.infer("telco", inputs, outputs=outputs, request_id="9")
            assert result.get_response()["id"] == "9"
            whole = client.infer("telco", inputs)  # all outputs, binary, as the client asks by default
            with pytest.raises(triton.InferenceServerException, match="unknown output"):
                client.infer("telco", inputs, outputs=[triton.InferRequestedOutput("other")])
            with pytest.raises(triton.InferenceServerException, match="no such model"):
                client.infer("other", inputs)
        finally:
            client.close()
    if sent == set(RECORD):
        chances = [answer["probability"]["yes"] for answer in expected]
    else:
        kept = [{k: v for k, v in record.items() if k in sent} for record in records]
        chances = [answer["probability"]["yes"] for answer in by_row(kept)]
    assert result.as_numpy("probability_yes").tolist() == pytest.approx(chances, rel=1e-12)
    assert whole.as_numpy("probability_yes").tolist() == pytest.approx(chances, rel=1e-12)
    decided = [d.decode() if isinstance(d, bytes) else d for d in result.as_numpy("prediction").tolist()]
    assert decided == ["yes" if chance >= 0.5 else "no" for chance in chances]


def test_mlflows_client():
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own imports
        scoring = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    records = rows(5)
    with served(App(PREDICTOR)) as address, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = scoring.ScoringServerClient("127.0.0.1", int(address.rpartition(":")[2]))
        client.wait_server_ready(timeout=10)
        found = client.invoke(
            pd.DataFrame(records).astype(object).where(pd.notna(pd.DataFrame(records)), None)
        )
        assert client.get_version()
    table = found.get_predictions()
    assert table["prediction"].tolist() == [answer["prediction"] for answer in by_row(records)]

"""The service on a real socket, in a process of its own; and what importing it loads."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving_fakes import RECORD, make

from mlwright.core.errors import UsageError
from mlwright.serving import read_log, serve

HERE = Path(__file__).parent
TOKEN = "0123456789abcdef0123"


def start(directory, *, host="127.0.0.1", port=0, token=None):
    environment = {k: v for k, v in os.environ.items() if k != "MLWRIGHT_TOKEN"}
    if token:
        environment["MLWRIGHT_TOKEN"] = token
    return subprocess.Popen(
        [sys.executable, str(HERE / "serve_fake.py"), str(directory), host, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture
def service(tmp_path):
    process = start(tmp_path)
    try:
        address = urlsplit(process.stdout.readline().strip())
        assert address.scheme == "http", process.stderr.read()
        yield process, address.hostname, address.port, tmp_path
    finally:
        process.kill()
        process.communicate()


@contextmanager
def connect(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def post(connection, value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    connection.request("POST", "/predict", body, {"content-type": "application/json"})
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


pytestmark = pytest.mark.enable_socket


def test_predictions_over_a_socket_and_a_graceful_stop(service):
    process, host, port, directory = service
    ids = []
    with connect(host, port) as connection:
        for i in range(50):
            status, answer = post(connection, {**RECORD, "age": 20 + i})
            assert status == 200
            assert answer["probability"] == make().predict_one({**RECORD, "age": 20 + i})["probability"]
            ids.append(answer["prediction_id"])
        assert post(connection, b"{")[0] == 400
        connection.request("GET", "/ready")
        reply = connection.getresponse()
        assert "server" not in {k.lower() for k, _ in reply.getheaders()}
        assert json.loads(reply.read())["ready"] is True
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out.split(), err) == (0, ["stopped"], "")
    assert sorted(read_log(directory)["prediction_id"].to_pylist()) == sorted(ids)


def test_the_log_is_whole_after_sigterm_under_load(service):
    process, host, port, directory = service
    answered: list[str] = []
    lock = threading.Lock()

    def load():
        try:
            with connect(host, port) as connection:
                while True:
                    status, answer = post(connection, [RECORD] * 3)
                    if status != 200:
                        return
                    with lock:
                        answered.extend(a["prediction_id"] for a in answer)
        except (OSError, http.client.HTTPException):
            return

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(answered) < 200:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    process.communicate(timeout=20)
    assert process.returncode == 0
    logged = read_log(directory)["prediction_id"].to_pylist()
    assert len(logged) == len(set(logged))
    assert set(answered) <= set(logged)


def test_the_log_is_readable_after_sigkill(service):
    process, host, port, directory = service
    with connect(host, port) as connection:
        first = [post(connection, RECORD)[1]["prediction_id"] for _ in range(20)]
        while True:  # until the first write is on disk
            connection.request("GET", "/ready")
            if json.loads(connection.getresponse().read())["log_written"] >= 20:
                break
            time.sleep(0.05)
        late = [post(connection, RECORD)[1]["prediction_id"] for _ in range(20)]
    process.kill()
    process.communicate()
    found = read_log(directory)["prediction_id"].to_pylist()
    assert len(found) == len(set(found))
    assert set(first) <= set(found) <= set(first) | set(late)


def test_a_taken_port_is_named_with_a_free_one(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, port=port)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"UsageError: port {port} of 127.0.0.1 is taken" in err
    free = int(err.partition("take port ")[2].partition(",")[0])
    with socket.socket() as other:
        other.bind(("127.0.0.1", free))


def test_an_outside_address_needs_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("MLWRIGHT_TOKEN", raising=False)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):
        with pytest.raises(UsageError, match="MLWRIGHT_TOKEN"):
            serve(tmp_path, host=host)


def test_with_a_token(tmp_path):
    process = start(tmp_path, host="0.0.0.0", token=TOKEN)
    try:
        port = urlsplit(process.stdout.readline().strip()).port
        with connect("127.0.0.1", port) as connection:
            assert post(connection, RECORD)[0] == 401
            headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
            connection.request("POST", "/predict", json.dumps(RECORD), headers)
            reply = connection.getresponse()
            assert (reply.status, bool(reply.read())) == (200, True)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "stopped\n")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("port", [-1, 65_536, True, "8000"])
def test_no_port(tmp_path, port, monkeypatch):
    monkeypatch.setattr("mlwright.serving.server.Predictor.load", lambda _: make())
    with pytest.raises(UsageError, match="port"):
        serve(tmp_path, port=port)


def test_importing_and_predicting_loads_nothing_heavy():
    code = (
        "import sys, json, mlwright.serving as s\n"
        "from serving_fakes import make, RECORD\n"
        "p = make(); p.verify_golden(); p.predict_one(RECORD); p.predict_many([RECORD] * 50)\n"
        "s.App(p).endpoint.respond('/predict', json.dumps(RECORD).encode())\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=HERE
    )
    loaded = set(done.stdout.split())
    heavy = "pyarrow duckdb sklearn scipy pandas polars mlflow sqlalchemy optuna lightgbm catboost ray uvicorn rich"
    assert loaded.isdisjoint(heavy.split())
    assert "numpy" in loaded

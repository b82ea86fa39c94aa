"""Several processes on one port: all answer, a dead one comes back, a stop loses nothing, a fault is said once."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving_fakes import RECORD, make
from wire_client import Raw, eventually, request

from mlwright.core.errors import StoreError, UsageError
from mlwright.serving import read_log, serve
from mlwright.serving.server import Options
from mlwright.serving.tokens import TOKEN_FILE, make_token, stored_hash
from mlwright.serving.workers import pause_before

HERE = Path(__file__).parent
BODY = json.dumps(RECORD).encode()
pytestmark = pytest.mark.enable_socket


@contextmanager
def serving(directory, *, host="127.0.0.1", port=0, **options):
    environment = {k: v for k, v in os.environ.items() if k != "MLWRIGHT_TOKEN"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "serve_fake.py"), str(directory), host, str(port), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def port_of(process):
    line = process.stdout.readline().strip()
    assert line.startswith("http"), line + process.stderr.read()
    return urlsplit(line).port


def children(pid):
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def test_workers_share_a_port_and_come_back(tmp_path):
    with serving(tmp_path, workers=2) as process:
        port = port_of(process)
        workers = children(process.pid)
        assert len(workers) == 2
        expected = make().predict_one(RECORD)["probability"]
        ids = set()
        for _ in range(30):
            with Raw(port) as client:
                for _ in range(2):
                    client.send(request(BODY))
                    reply = client.answer()
                    assert reply.json["probability"] == expected
                    ids.add(reply.json["prediction_id"])
        with Raw(port) as client:  # whichever worker is asked tells of all
            client.send(request(method="GET", path="/metrics"))
            counted = client.answer().body.decode()
        assert 'mlwright_requests_total{route="/predict",outcome="ok"} 60' in counted
        dead = workers.pop()
        time.sleep(1.5)  # so that its log is on disk
        os.kill(dead, signal.SIGKILL)
        assert eventually(lambda: len(children(process.pid) - {dead}) == 2)
        for _ in range(20):
            with Raw(port) as client:
                client.send(request(BODY))
                ids.add(client.answer().json["prediction_id"])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "stopped\n")
        (line,) = [json.loads(line) for line in err.splitlines()]
        assert (line["event"], line["again_in_s"]) == ("worker died", 0.1)
    assert len(ids) == 80
    logged = read_log(tmp_path)["prediction_id"].to_pylist()
    assert sorted(logged) == sorted(ids)


def test_a_stop_under_load_loses_nothing_of_any_worker(tmp_path):
    answered, lock = [], threading.Lock()

    def load(port):
        try:
            with Raw(port) as client:
                while True:
                    client.send(request(BODY))
                    reply = client.answer()
                    if reply is None:
                        return
                    with lock:
                        answered.append(reply.json["prediction_id"])
        except OSError:
            return

    with serving(tmp_path, workers=2) as process:
        port = port_of(process)
        threads = [threading.Thread(target=load, args=(port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(answered) > 300)
        process.send_signal(signal.SIGINT)
        for thread in threads:
            thread.join(30)
        process.communicate(timeout=60)
        assert process.returncode == 0
    logged = read_log(tmp_path)["prediction_id"].to_pylist()
    assert len(logged) == len(set(logged))
    assert set(answered) <= set(logged)


def test_a_killed_supervisor_takes_its_workers_along(tmp_path):
    with serving(tmp_path, workers=2) as process:
        port_of(process)
        workers = children(process.pid)
        process.kill()
        process.wait()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_bundle_that_does_not_load_is_said_once(tmp_path):
    with serving(tmp_path, workers=2, bad=True) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", "BundleContentError: the bundle is bad\n")


def test_a_shared_port_is_still_taken_for_others(tmp_path):
    with serving(tmp_path, workers=2) as process:
        port = port_of(process)
        with serving(tmp_path, workers=2, port=port) as second:
            _, err = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"port {port} of 127.0.0.1 is taken" in err


@pytest.mark.parametrize("workers", [0, -1, 1000, True])
def test_no_number_of_workers(tmp_path, workers):
    with pytest.raises(UsageError, match="workers"):
        serve(tmp_path, options=Options(workers=workers))


def test_pauses_grow_to_a_bound():
    pauses = [pause_before(deaths) for deaths in range(1, 50)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.1, 30.0)


# Tokens and TLS


def test_a_token_is_made_once_and_kept_as_a_hash(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    with serving(tmp_path / "log", host="0.0.0.0", store=str(store)) as process:
        token = process.stdout.readline().strip().removeprefix("token ")
        assert len(token) == 43
        port = port_of(process)
        with Raw(port) as client:
            client.send(request(BODY))
            assert client.answer().status == 401
            client.send(request(BODY, headers=[f"authorization: Bearer {token}", "origin: http://127.0.0.1"]))
            assert client.answer().status == 200
    kept = (store / TOKEN_FILE).read_text()
    assert token not in kept
    assert stat.S_IMODE((store / TOKEN_FILE).stat().st_mode) == 0o600
    with serving(tmp_path / "log", auth=True, store=str(store)) as process, Raw(port_of(process)) as client:
        for given, status in ((token, 200), (token[::-1], 401)):
            client.send(request(BODY, headers=[f"authorization: Bearer {given}"]))
            assert client.answer().status == status


def test_a_damaged_token_file_opens_nothing(tmp_path):
    make_token(tmp_path)
    assert len(stored_hash(tmp_path)) == 32
    for content in (b"", b"{}", b'{"sha256": 5}', b'{"sha256": "00"}', b'{"sha256": "zz"}'):
        (tmp_path / TOKEN_FILE).write_bytes(content)
        with pytest.raises(StoreError, match="token"):
            stored_hash(tmp_path)
    (tmp_path / TOKEN_FILE).unlink()
    assert stored_hash(tmp_path) is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


def test_tls(tmp_path, certificate):
    options = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    context = ssl.create_default_context(cafile=certificate[0])
    with serving(tmp_path, **options) as process:
        line = process.stdout.readline().strip()
        assert line.startswith("https://127.0.0.1:"), line
        port = urlsplit(line).port
        with Raw(port) as client:
            client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
            assert client.socket.version() in {"TLSv1.2", "TLSv1.3"}
            for _ in range(3):
                client.send(request(BODY))
                assert client.answer().status == 200
            client.send(b"garbage\r\n\r\n")
            assert client.answer().status == 400
        with Raw(port) as plain:
            plain.send(request(BODY))
            assert plain.is_ended()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_tls_that_cannot_be(tmp_path, certificate):
    (tmp_path / "x.pem").write_text("no certificate")
    for options in (
        {"key": certificate[1]},
        {"certificate": tmp_path / "x.pem"},
        {"certificate": tmp_path / "none"},
    ):
        with pytest.raises(UsageError, match="certificate"):
            serve(tmp_path, options=Options(**options))


def test_sockets_of_workers_are_two():
    """The oracle for sharing: the kernel lets two sockets on one port only if both say so."""
    from mlwright.serving.server import _bound

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        _bound("127.0.0.1", port, shared=True),
        _bound("127.0.0.1", port, shared=True),
        pytest.raises(OSError),
    ):
        _bound("127.0.0.1", port)

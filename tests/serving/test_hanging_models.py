"""A model that does not come back keeps nobody else waiting, whether at the first request or later."""

from __future__ import annotations

import json
import time

import pytest
from serving_fakes import RECORD
from test_workers import BODY, port_of, serving
from wire_client import Raw, request

from mlwright.serving import read_log
from mlwright.serving.aside import Aside, Watchdog

pytestmark = pytest.mark.enable_socket
HANGS = json.dumps({**RECORD, "age": 101}).encode()
HEALTH = request(method="GET", path="/health")


def ask(port, data):
    with Raw(port) as client:
        client.send(data)
        return client.answer()


@pytest.mark.parametrize("before", [0, 5], ids=["at once", "later"])
def test_a_hanging_model_meets_its_deadline_and_holds_up_nobody(tmp_path, before):
    with serving(tmp_path, wire={"deadline_seconds": 1.0, "grace_seconds": 0.5}) as process:
        port = port_of(process)
        ids = [ask(port, request(BODY)).json["prediction_id"] for _ in range(before)]
        with Raw(port) as waits:
            waits.send(request(HANGS))
            with Raw(port) as other:
                for _ in range(3):
                    other.send(HEALTH)
                    assert other.answer().status == 200
            reply = waits.answer()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert "deadline" in reply.json["error"]["message"]
        # The thread is still in there: other records are answered all the same, the same one is refused at once.
        for _ in range(3):
            reply = ask(port, request(BODY))
            while reply.status == 503:  # a busy machine may make any prediction look slow
                reply = ask(port, request(BODY))
            ids.append(reply.json["prediction_id"])
            assert ask(port, request(HANGS)).status == 503
            assert ask(port, HEALTH).status == 200
        process.terminate()
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out.strip()) == (0, "stopped")
    logged = read_log(tmp_path)["prediction_id"].to_pylist()
    assert sorted(logged) == sorted(ids)


def test_work_aside_is_done_in_order_and_seen_when_it_is_stuck():
    aside, done = Aside(), []
    for number in range(5):
        aside.submit(lambda number=number: done.append(number))
    aside.stop(20)
    assert done == list(range(5))
    assert not aside.is_stuck(0.0)
    aside.busy_since = time.perf_counter() - 5.0
    assert aside.is_stuck(4.0)
    assert not aside.is_stuck(60.0)


def test_what_is_certain_is_not_broken_into():
    watchdog = Watchdog(60.0)
    watchdog.start()
    try:
        watchdog.began = time.perf_counter()
        watchdog.done()
        assert watchdog.began == 0.0
    finally:
        watchdog.stop()

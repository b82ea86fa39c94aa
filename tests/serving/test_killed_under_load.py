"""Killed at any moment under load and started again: what the log promised is readable, and nothing else is broken."""

from __future__ import annotations

import random
import threading
import time

import pytest
from test_workers import BODY, children, port_of, serving
from wire_client import Raw, request

from mlwright.serving import read_log
from mlwright.serving.log_reading import compact_log

pytestmark = pytest.mark.enable_socket
PROMISED = 1.0  # seconds that a killed process may lose


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_killed_under_load_keeps_what_its_log_promised(tmp_path, workers):
    draw, every = random.Random(workers), []
    for _ in range(2):
        answered = []

        def load(port, answered=answered):
            try:
                with Raw(port) as client:
                    while True:
                        client.send(request(BODY))
                        reply = client.answer()
                        if reply is None:
                            return
                        answered.append((time.monotonic(), reply.json["prediction_id"]))
            except (OSError, AssertionError):
                return  # it was killed, perhaps in the midst of an answer

        with serving(tmp_path, workers=workers) as process:
            port = port_of(process)
            threads = [threading.Thread(target=load, args=(port,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(2.0 + draw.random())
            # the workers die with their supervisor
            ours = children(process.pid)
            process.kill()
            killed = time.monotonic()
            for thread in threads:
                thread.join(30)
        assert answered
        assert len(ours) == (workers if workers > 1 else 0)
        every += [id_ for moment, id_ in answered if moment < killed - PROMISED]
    logged = read_log(tmp_path)["prediction_id"].to_pylist()
    assert len(logged) == len(set(logged))
    assert set(every) <= set(logged)
    with serving(tmp_path, workers=workers) as process, Raw(port_of(process)) as client:
        client.send(request(BODY))
        last = client.answer().json["prediction_id"]
        process.terminate()
        process.communicate(timeout=60)
    compact_log(tmp_path)
    after = read_log(tmp_path)["prediction_id"].to_pylist()
    assert len(after) == len(set(after))
    assert {*every, last} <= set(after)

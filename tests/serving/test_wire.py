"""The raw protocol on a real socket: order, pieces, limits, slow clients, and whatever is no HTTP."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time

import pytest
from serving_fakes import RECORD, SumPlan, make
from wire_client import Raw, eventually, listening, request

from mlwright.serving import Limits
from mlwright.serving.access import Access, token_hash
from mlwright.serving.endpoint import Endpoint
from mlwright.serving.limits import WireLimits
from mlwright.serving.predictor import Predictor
from mlwright.serving.service import Service

pytestmark = pytest.mark.enable_socket
BODY = json.dumps(RECORD).encode()
PREDICTOR = make()
PREDICTOR.verify_golden()
EXPECTED = PREDICTOR.predict_one(RECORD)["probability"]


def service(predictor=PREDICTOR, *, limits=None, wire=None, access=None):
    endpoint = Endpoint(predictor, name="telco", version="1", limits=limits)
    return Service(endpoint, limits=wire, access=access or Access(local_only=True))


@pytest.fixture(scope="module")
def plain():
    with listening(service(limits=Limits(inline_bytes=2_000))) as box:
        yield box


@pytest.fixture
def raw(plain):
    with Raw(plain.port) as client:
        yield client


def big(n=40):
    """A body that goes through the thread; its answers say which records they are for by their order."""
    return json.dumps([{**RECORD, "age": 20 + i % 50} for i in range(n)]).encode()


def test_one_after_another_on_one_connection(raw):
    for _ in range(5):
        raw.send(request(BODY))
        reply = raw.answer()
        assert reply.status == 200
        assert reply.json["probability"] == EXPECTED
        assert "connection" not in reply.headers
        assert reply.headers["date"].endswith(" GMT")


@pytest.mark.parametrize("size", [1, 7, 50])
def test_pieces_of_any_size(raw, size):
    whole = request(BODY)
    for start in range(0, len(whole), size):
        raw.send(whole[start : start + size])
    assert raw.answer().json["probability"] == EXPECTED


def test_what_was_let_through_once_is_looked_at_again(raw):
    """A connection that asks in the same words is screened once; in other words, anew."""
    for _ in range(2):
        raw.send(request(BODY))
        assert raw.answer().status == 200
    for headers, status in (
        (["origin: http://evil.example"], 403),
        (["content-type: text/plain"], 415),
        (["content-encoding: gzip"], 415),
        ([], 200),
    ):
        raw.send(request(BODY, headers=headers))
        assert raw.answer().status == status
    raw.send(request(BODY, path="/invocations"))
    assert raw.answer().status == 400
    raw.send(request(BODY, headers=["host: 127.0.0.1"]))
    assert raw.answer().status == 400


def test_pipelined_answers_come_in_order(raw):
    """Small, large (through the thread), wrong and GET requests in one write, answered in their order."""
    parts, expected = [], []
    for i in range(60):
        kind = i % 5
        if kind == 0:
            parts.append(request(json.dumps({**RECORD, "age": 20 + i}).encode()))
            expected.append((200, PREDICTOR.predict_one({**RECORD, "age": 20 + i})["probability"]))
        elif kind == 1:
            parts.append(request(big(40 + i)))
            expected.append((200, 40 + i))
        elif kind == 2:
            parts.append(request(b"{"))
            expected.append((400, None))
        elif kind == 3:
            parts.append(request(method="GET", path="/health"))
            expected.append((200, {"status": "alive"}))
        else:
            parts.append(request(method="GET", path=f"/no{i}"))
            expected.append((404, None))
    threading.Thread(target=raw.send, args=(b"".join(parts),)).start()
    for status, what in expected:
        reply = raw.answer()
        assert reply.status == status
        if isinstance(what, int):
            assert len(reply.json) == what
        elif what and "status" in what:
            assert reply.json == what
        elif what:
            assert reply.json["probability"] == what


def test_chunked_bodies_and_trailers(raw):
    pieces = b"".join(
        b"%x\r\n%b\r\n" % (len(BODY[i : i + 9]), BODY[i : i + 9]) for i in range(0, len(BODY), 9)
    )
    head = request(headers=["transfer-encoding: chunked"], length=False)
    raw.send(head, pieces, b"0\r\ncontent-type: text/plain\r\nauthorization: x\r\n\r\n")
    assert raw.answer().json["probability"] == EXPECTED
    raw.send(head.replace(b"chunked", b"gzip, chunked"), b"0\r\n\r\n")
    assert raw.answer().status == 501


def test_expect_100_continue(raw, plain):
    raw.send(request(b"x" * len(BODY), headers=["expect: 100-continue"])[: -len(BODY)])
    assert raw.answer().status == 100
    raw.send(BODY)
    assert raw.answer().json["probability"] == EXPECTED
    with Raw(plain.port) as refused:
        refused.send(request(headers=["expect: 100-continue", "content-length: 99999999999"], length=False))
        assert refused.answer().status == 413
        assert refused.is_ended()
    with Raw(plain.port) as odd:
        odd.send(request(BODY, headers=["expect: cake"]))
        assert odd.answer().status == 417


def test_a_continue_waits_for_the_answers_before_it(raw):
    second = request(BODY, headers=["expect: 100-continue"])
    raw.send(request(big()) + second[: -len(BODY)])
    assert len(raw.answer().json) == 40
    assert raw.answer().status == 100
    raw.send(BODY)
    assert raw.answer().json["probability"] == EXPECTED


def test_head_has_a_length_and_no_body(raw):
    raw.send(request(method="HEAD", path="/schema"))
    head = raw.answer(head=True)
    raw.send(request(method="GET", path="/schema"))
    get = raw.answer()
    assert (head.status, head.headers["content-length"]) == (200, str(len(get.body)))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_end_of_a_connection(plain, version):
    with Raw(plain.port) as client:
        close = ["connection: close"] if version == "1.1" else []
        client.send(request(BODY, headers=close, version=version) + request(BODY))
        reply = client.answer()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert client.is_ended()


def test_a_half_closed_client_gets_its_answer(plain):
    with Raw(plain.port) as client:
        client.send(request(big()))
        client.socket.shutdown(socket.SHUT_WR)
        assert len(client.answer().json) == 40
        assert client.is_ended()


def test_an_upgrade_is_ignored_or_refused(plain):
    upgrade = ["connection: upgrade", "upgrade: h2c"]
    with Raw(plain.port) as client:
        client.send(request(method="GET", path="/health", headers=upgrade))
        assert client.answer().json == {"status": "alive"}
        assert client.is_ended()
    with Raw(plain.port) as client:
        client.send(request(BODY, headers=upgrade))
        assert client.answer().status == 501


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nhost: a\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 505),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 3, 400),  # TLS to a plain port
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400),
        (b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: -2\r\n\r\n{}", 400),
        (
            b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
            400,
        ),
        (b"POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000, 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 600, 431),
        (b"A" * 20_000, 400),
        (b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n", 501),
        (b"GET * HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    ],
)
def test_what_is_no_request_is_answered_and_ended(plain, data, status):
    with Raw(plain.port) as client:
        client.send(data)
        reply = client.answer()
        assert reply.status == status
        assert reply.json["error"]["message"]
        if status != 404:
            assert reply.headers["connection"] == "close"
            assert client.is_ended()


def test_a_mistake_behind_good_requests_is_answered_last(plain):
    with Raw(plain.port) as client:
        client.send(request(BODY) + request(big()) + b"garbage\r\n\r\n")
        assert client.answer().json["probability"] == EXPECTED
        assert len(client.answer().json) == 40
        assert client.answer().status == 400
        assert client.is_ended()


def test_addresses(raw):
    for path, status in (("http://127.0.0.1/health?x=1", 200), ("/he%61lth#x", 200), ("/health/%2e%2e", 404)):
        raw.send(request(method="GET", path=path))
        assert raw.answer().status == status


def test_a_large_refused_body_does_not_hide_the_answer():
    """The client writes all of 5 MB before it reads; the refusal must not be lost in a reset."""
    with listening(service(limits=Limits(body_bytes=1_000_000))) as box, Raw(box.port) as client:
        client.send(request(b" " * 5_000_000))
        reply = client.answer()
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert client.is_ended()
    with listening(service(limits=Limits(body_bytes=10_000))) as box, Raw(box.port) as client:
        client.send(request(headers=["transfer-encoding: chunked"], length=False))
        client.send(b"%x\r\n%b\r\n" % (20_000, b" " * 20_000))
        assert client.answer().status == 413


def test_a_small_refused_body_leaves_the_connection_whole(raw):
    raw.send(request(BODY, headers=["content-type: text/plain"]) + request(BODY))
    assert raw.answer().status == 415
    assert raw.answer().json["probability"] == EXPECTED


SLOW = WireLimits(head_seconds=0.3, idle_seconds=0.3, write_seconds=0.3, linger_seconds=0.3)


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", None), (b"POST /pre", 408), (request(BODY)[:-5], 408), (b"\r\n", None), (request(BODY), 200)],
    ids=["silence", "head", "body", "newline", "idle"],
)
def test_a_slow_client_is_ended(data, status):
    with listening(service(wire=SLOW, limits=Limits(body_seconds=0.3))) as box, Raw(box.port) as client:
        client.send(data)
        reply = client.answer()
        assert (reply and reply.status) == status
        assert client.is_ended()
        client.close()
        assert eventually(lambda: not box.wire.connections)
        assert box.wire.status.connections == 0


def test_one_byte_now_and_then_is_slow_too():
    with listening(service(wire=SLOW)) as box, Raw(box.port) as client:
        try:
            for byte in request(BODY, headers=["x: " + "y" * 2000]):
                client.send(bytes([byte]))
                time.sleep(0.02)
            raise AssertionError("it was not ended")
        except (BrokenPipeError, ConnectionResetError):
            pass


def test_who_does_not_read_is_ended_and_costs_little():
    """Answers of 1 MB and more for a client that never reads: the server stops reading it, then ends it."""
    with listening(service(wire=SLOW)) as box, Raw(box.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(3)
        asked = request(method="GET", path="/docs") * 250_000
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            client.send(asked)
        assert eventually(lambda: not box.wire.connections)
        assert box.wire.status.requests < 250_000


def test_too_many_connections_and_bodies():
    with listening(service(wire=WireLimits(connections=2))) as box, Raw(box.port) as a, Raw(box.port) as b:
        for client in (a, b):
            client.send(request(BODY))
            assert client.answer().status == 200
        with Raw(box.port) as c:
            c.send(request(BODY))
            reply = c.answer()
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        assert box.wire.status.rejected == 1
    with (
        listening(service(wire=WireLimits(buffered_bytes=50_000))) as box,
        Raw(box.port) as a,
        Raw(box.port) as b,
    ):
        a.send(request(b" " * 45_000)[:-1])
        assert eventually(lambda: box.wire.buffered > 40_000)
        b.send(request(b" " * 45_000)[:-1])
        whole = [client for client in (a, b) if _was_refused(client)]
        assert len(whole) == 1
        a.close()
        b.close()
        assert eventually(lambda: box.wire.buffered == 0)


def _was_refused(client):
    client.socket.settimeout(0.5)
    try:
        reply = client.answer()
    except TimeoutError:
        return False
    return reply.status == 429


class Slow(SumPlan):
    """A plan that waits for the test's leave in its batch path."""

    def __init__(self):
        self.go = threading.Event()
        self.began = threading.Event()

    def batch(self, columns):
        self.began.set()
        assert self.go.wait(20)
        return super().batch(columns)


def slow_predictor():
    plan = Slow()
    predictor = Predictor(PREDICTOR.manifest, {"all": plan}, PREDICTOR.ensemble, golden=PREDICTOR.golden)
    predictor.path = None
    predictor.verified = True
    return predictor, plan


def test_a_batch_in_the_thread_holds_up_nobody_else():
    predictor, plan = slow_predictor()
    limits = Limits(inline_bytes=2_000)
    with listening(service(predictor, limits=limits, wire=WireLimits(waiting=1))) as box, Raw(box.port) as a:
        a.send(request(big()))
        assert plan.began.wait(20)
        with Raw(box.port) as b:
            b.send(request(method="GET", path="/health"))
            assert b.answer().status == 200
            b.send(request(big()))
            assert b.answer().status == 429
        plan.go.set()
        assert len(a.answer().json) == 40


def test_the_deadline_of_a_batch():
    predictor, plan = slow_predictor()
    wire = WireLimits(deadline_seconds=0.1)
    with (
        listening(service(predictor, limits=Limits(inline_bytes=2_000), wire=wire)) as box,
        Raw(box.port) as a,
    ):
        a.send(request(big()) + request(method="GET", path="/health"))
        reply = a.answer()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert a.answer().json == {"status": "alive"}
        assert box.wire.status.overdue == 1
        plan.go.set()


class Sluggish(SumPlan):
    """A plan whose row path takes the seconds that the test says, and waits for its leave where it says so."""

    def __init__(self):
        self.seconds = 0.03
        self.go = threading.Event()
        self.go.set()

    def row(self, cells):
        time.sleep(self.seconds)
        assert self.go.wait(20)
        return super().row(cells)


def test_a_sluggish_model_leaves_the_loop_and_meets_its_deadline():
    plan = Sluggish()
    predictor = Predictor(PREDICTOR.manifest, {"all": plan}, PREDICTOR.ensemble, golden=PREDICTOR.golden)
    predictor.path = None
    predictor.verified = True
    wire = WireLimits(slow_seconds=0.02, deadline_seconds=0.3)
    with listening(service(predictor, wire=wire)) as box, Raw(box.port) as client:
        for _ in range(3):
            client.send(request(BODY))
            assert client.answer().status == 200
        plan.go.clear()
        client.send(request(BODY))
        with Raw(box.port) as other:
            other.send(request(method="GET", path="/health"))
            assert other.answer().status == 200
        assert client.answer().status == 503
        plan.seconds = 0
        plan.go.set()
        assert eventually(lambda: not box.wire.thread.busy_since)  # else it is still taken for stuck
        for _ in range(2):
            client.send(request(BODY))
            assert client.answer().json["probability"] == EXPECTED
        assert eventually(lambda: box.wire.slow == 0)
        assert box.wire.status.overdue == 1


def test_a_stop_finishes_what_runs_and_closes_what_rests():
    predictor, plan = slow_predictor()
    with (
        listening(service(predictor, limits=Limits(inline_bytes=2_000))) as box,
        Raw(box.port) as busy,
        Raw(box.port) as idle,
    ):
        idle.send(request(method="GET", path="/health"))
        assert idle.answer().status == 200
        busy.send(request(big()))
        assert plan.began.wait(20)
        box.loop.call_soon_threadsafe(box.stop.set)
        assert idle.is_ended()
        plan.go.set()
        reply = busy.answer()
        assert (len(reply.json), reply.headers["connection"]) == (40, "close")
        assert busy.is_ended()


def test_clients_that_leave_at_any_moment_leave_nothing_behind():
    with listening(service(limits=Limits(inline_bytes=2_000))) as box:
        for data in (request(BODY)[:40], request(BODY)[:-3], request(big()), request(big()) * 3):
            for reset in (False, True):
                client = Raw(box.port)
                client.send(data)
                if reset:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        assert eventually(lambda: not box.wire.connections and not box.wire.status.waiting)
        assert (box.wire.connections, box.wire.status.waiting, box.wire.buffered) == (set(), 0, 0)
        with Raw(box.port) as client:
            client.send(request(BODY))
            assert client.answer().json["probability"] == EXPECTED


# Who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["host: 127.0.0.1:8000"], 200),
        (["host: localhost"], 200),
        (["host: [::1]:80"], 200),
        (["host: evil.example"], 421),
        (["host: 127.0.0.1.evil.example"], 421),
        (["host: localhost", "origin: http://localhost"], 200),
        (["host: localhost:8000", "origin: http://localhost:8000"], 200),
        (["host: localhost", "origin: http://evil.example"], 403),
        (["host: localhost", "origin: null"], 403),
        (["host: localhost:8000", "origin: http://localhost:9000"], 403),
    ],
)
def test_host_and_origin(raw, headers, status):
    head = "\r\n".join(["POST /predict HTTP/1.1", *headers, f"content-length: {len(BODY)}", "", ""])
    raw.send(head.encode() + BODY)
    assert raw.answer().status == status


def test_a_token_is_kept_as_a_hash_and_demanded():
    token = "0123456789abcdef0123"
    access = Access(token_hash(token), local_only=True)
    assert token not in repr(vars(access))
    with listening(service(access=access)) as box, Raw(box.port) as client:
        for path, method, status in (
            ("/predict", "POST", 401),
            ("/schema", "GET", 401),
            ("/metrics", "GET", 401),
            ("/nowhere", "GET", 401),
            ("/health", "GET", 200),
            ("/v2/health/ready", "GET", 200),
        ):
            client.send(request(BODY if method == "POST" else b"", method, path))
            assert client.answer().status == status
        for given, status in ((token, 200), (token + "x", 401), (token[:-1], 401), ("", 401)):
            client.send(request(BODY, headers=[f"authorization: Bearer {given}"]))
            assert client.answer().status == status
        assert box.wire.status.refused == 7


def test_mutated_requests_make_no_fault(plain):
    """Requests cut, doubled, shuffled and spoilt at random: an answer that is no fault of the server, or the end."""
    draw = random.Random(7)
    whole = [
        request(BODY),
        request(big(15)),
        request(BODY, headers=["transfer-encoding: chunked"], length=False)[: -len(BODY)]
        + b"5\r\n{}   \r\n0\r\n\r\n",
        request(method="GET", path="/v2/models/telco"),
        request(
            b'{"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [3]}]}',
            path="/v2/models/telco/infer",
        ),
        request(b'{"dataframe_records": [{"age": 3, "plan": "year"}]}', path="/invocations"),
        request(b'{"age": [3, 4], "plan": ["year", "month"]}'),
        request(BODY, headers=["expect: 100-continue", "connection: keep-alive"]),
    ]
    seen = set()
    for _ in range(2000):
        data = bytearray(draw.choice(whole) + (draw.choice(whole) if draw.random() < 0.3 else b""))
        for _ in range(draw.choice([1, 1, 1, 2, 5, 20])):
            at = draw.randrange(len(data))
            what = draw.randrange(6)
            if what == 0:
                data[at] = draw.randrange(256)
            elif what == 1:
                del data[at : at + draw.randrange(1, 20)]
            elif what == 2:
                data[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 5)))
            elif what == 3:
                data[at:at] = data[at : at + draw.randrange(60)]
            elif what == 4:
                data[at:at] = draw.choice(
                    [b"\r\n", b"\n", b":", b"[", b"{", b'"', b"1e999", b"\x00", b"%00", b"-"]
                )
            else:
                del data[at:]
            data = data or bytearray(b"x")
        with Raw(plain.port) as client:
            client.send(bytes(data))
            client.socket.shutdown(socket.SHUT_WR)
            while (reply := client.answer(head=data[:4] == b"HEAD")) is not None:
                assert reply.status not in {500, 502, 503, 504}, bytes(data)
                if reply.status >= 400 and reply.json is not None:
                    assert reply.json["error"], bytes(data)
                seen.add(reply.status)
    assert {100, 200, 400, 404, 422} <= seen
    with Raw(plain.port) as client:
        client.send(request(BODY))
        assert client.answer().json["probability"] == EXPECTED

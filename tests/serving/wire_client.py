"""The raw protocol on a real port in a thread of this process, and a client that speaks to it in bytes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import uvloop

from mlwright.serving.exchange import Wire
from mlwright.serving.wire import Connection


@contextmanager
def listening(service):
    """Serve `service` on a free port; gives ``port``, ``wire`` and ``loop``."""
    ready, box = threading.Event(), SimpleNamespace()

    def run():
        async def main():
            box.loop, box.stop = asyncio.get_running_loop(), asyncio.Event()
            box.wire = Wire(service, box.loop)
            server = await box.loop.create_server(lambda: Connection(box.wire), "127.0.0.1", 0)
            box.port = server.sockets[0].getsockname()[1]
            ready.set()
            await box.stop.wait()
            server.close()
            await box.wire.stop()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield box
    finally:
        box.loop.call_soon_threadsafe(box.stop.set)
        thread.join(30)
        assert not thread.is_alive()
        service.close()


def request(body=b"", method="POST", path="/predict", *, headers=(), version="1.1", length=True):
    """Return a request's bytes."""
    lines = [f"{method} {path} HTTP/{version}", "host: 127.0.0.1", *headers]
    if length and (body or method == "POST"):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def eventually(is_so, seconds=60):
    """Say whether `is_so` becomes true; it isn't asked again then: another worker may answer the next time."""
    deadline = time.monotonic() + seconds
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


class Raw:
    """A socket; `answer` reads one answer."""

    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def more(self):
        part = self.socket.recv(65536)
        self.buffer += part
        return bool(part)

    def answer(self, *, head=False):
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                assert self.buffer == b"", self.buffer
                return None
        lines, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status, *rest = lines.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest)
        if status.startswith("HTTP/1.1 100 "):
            return SimpleNamespace(status=100, headers=headers, body=b"", json=None)
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z -]+", status), status
        length = 0 if head else int(headers["content-length"])
        while len(self.buffer) < length:
            assert self.more(), "the answer is torn"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        tree = json.loads(body) if body and headers.get("content-type") == "application/json" else None
        return SimpleNamespace(status=int(status[9:12]), headers=headers, body=body, json=tree)

    def is_ended(self):
        """Read to the end; True if nothing but the end came."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            return True
        return self.buffer == b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

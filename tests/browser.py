"""A headless Chromium, spoken to through two pipes by its DevTools protocol: no driver, no socket, no package."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
AXE_PACKAGE = "axe_playwright_python"  # its wheel carries axe-core (MPL-2.0); its Python is not used
_PATIENCE = 90.0
_PLUG = "import os, sys; a = sys.argv; os.dup2(int(a[1]), 3); os.dup2(int(a[2]), 4); os.closerange(5, 64); os.execv(a[3], a[3:])"


def chromium():
    """Return the path of a Chromium, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def axe_source():
    """Return the text of axe-core, or None where no package that carries it is installed."""
    found = importlib.util.find_spec(AXE_PACKAGE)
    if found is None or found.origin is None:
        return None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


class Browser:
    """One tab of a Chromium of its own. `requests` holds every address that it asked for since `open`."""

    def __init__(self, program):
        self.home = tempfile.mkdtemp(prefix="chromium")
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe",
            f"--user-data-dir={self.home}", "about:blank",
        ]  # fmt: skip

        # Chromium reads commands from its file descriptor 3 and writes to 4; `_PLUG` puts our pipes there.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _PLUG, *map(str, theirs), *command],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in theirs:
            os.close(end)
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._write = (
            os.fdopen(ours_in, "rb", buffering=0),
            os.fdopen(ours_out, "wb", buffering=0),
        )
        self._buffer, self._number, self.requests, self.complaints, self._loaded = b"", 0, [], [], False
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise

    def _attach(self):
        target = next(t for t in self._call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._read.close()
        self._write.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def call(self, method, **params):
        """Ask the tab for something, and return its answer."""
        return self._call(method, self._session, **params)

    def _call(self, method, session=None, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        self._write.write(json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return told["result"]

    def _next(self):
        """Return the next message; keep what a page asks the network for, and what it complains of."""
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            part = os.read(self._read.fileno(), 1 << 20)
            assert part, "Chromium ended"
            assert time.monotonic() < until, "Chromium does not answer"
            self._buffer += part
        raw, _, self._buffer = self._buffer.partition(b"\0")
        told = json.loads(raw)
        method, params = told.get("method"), told.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"warning", "error"}:
            self.complaints.append(params["entry"]["text"])
        elif method == "Page.loadEventFired":
            self._loaded = True
        return told

    def open(self, path):
        """Open a file, and wait until it is loaded."""
        self.requests, self.complaints, self._loaded = [], [], False
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        while not self._loaded:
            self._next()

    def run(self, expression):
        """Return the JSON value of an expression, or of the promise that it gives."""
        got = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, timeout=60000
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def look(self, *, width=1280, height=900, dark=False, paper=False):
        """Set the size of the window, and light, dark or print."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            media="print" if paper else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def axe(self, source):
        """Return what axe-core finds: (impact, rule, what, where) of each element."""
        self.run(f"{source}; null")
        found = self.run("axe.run(document, {resultTypes: ['violations']})")
        return [
            (rule["impact"], rule["id"], rule["help"], node["target"])
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

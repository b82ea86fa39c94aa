"""Server: an `App` in this process behind uvicorn, on a port of this machine."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlwright.core.errors import UsageError
from mlwright.serving.app import App, Limits
from mlwright.serving.log import PredictionLog
from mlwright.serving.predictor import Predictor

__all__ = ["TOKEN_VARIABLE", "run", "serve"]

TOKEN_VARIABLE = "MLWRIGHT_TOKEN"  # noqa: S105 - the name of the variable, not a secret
_CONNECTIONS = 1_000


def serve(
    bundle_path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    name: str | None = None,
    version: str | None = None,
    log_directory: str | Path | None = None,
    limits: Limits | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the bundle at `bundle_path` until SIGTERM or SIGINT; then finish what runs, and write the log out.

    Parameters
    ----------
    bundle_path : path
        The bundle's directory.
    host : str
        An address of this machine. Any but a loopback one demands a bearer token in ``MLWRIGHT_TOKEN``.
    port : int
        0 for any free one.
    name, version : str, optional
        See `App`.
    log_directory : path, optional
        Where predictions are logged; nowhere by default.
    limits : Limits, optional
        What one request may cost.
    on_ready : callable, optional
        Called with the service's address when it answers.

    Raises
    ------
    UsageError
        If the port is taken (the message names a free one), the address is not of this machine, or others can reach
        it and there is no token.
    BundleError
        See `Predictor.load`.
    """
    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not _is_loopback(host):
        raise UsageError(
            "an address that others can reach needs a token",
            got=host,
            allowed="127.0.0.1 without one",
            fix=f"set {TOKEN_VARIABLE} to a secret of 16 or more characters, as openssl rand -hex 32 makes",
        )
    predictor = Predictor.load(bundle_path)
    with _listen(host, port) as listener:
        log = None if log_directory is None else PredictionLog(log_directory)
        try:
            app = App(predictor, name=name, version=version, log=log, limits=limits, token=token)
            shown = f"[{host}]" if ":" in host else host
            run(app, listener, f"http://{shown}:{listener.getsockname()[1]}", on_ready)
        finally:
            if log is not None:
                log.close()


def run(
    app: App, listener: socket.socket, address: str, on_ready: Callable[[str], None] | None = None
) -> None:
    """Run `app` on a listening socket until a signal."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if on_ready is not None:
                on_ready(address)

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        log_level="warning",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
    )
    with _quiet_signals():
        Server(config).run(sockets=[listener])


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let a stop by signal end `run` normally: uvicorn raises the signal again once it has stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stopped(*_: Any) -> None:
        """Do nothing: the server has already stopped because of it."""

    before = {number: signal.signal(number, stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; the port is bound here, so that nobody takes it in between."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise UsageError("port is out of range", got=port, allowed="0 to 65535")
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            free = _next_free(host, port)
            raise UsageError(
                f"port {port} of {host} is taken by another program",
                fix=f"take port {free}, which is free, or 0 for any"
                if free
                else "take port 0 for any free one",
            ) from error
        if error.errno == errno.EACCES:
            raise UsageError(
                f"port {port} is reserved for the administrator", fix="take one above 1023"
            ) from error
        raise UsageError(f"the address cannot be listened on: {error.strerror or error}", got=host) from error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _next_free(host: str, port: int) -> int | None:
    for candidate in range(port + 1, min(port + 100, 65_536)):
        try:
            _bound(host, candidate).close()
        except OSError:
            continue
        return candidate
    return None

"""Server: a bundle's service on a port of this machine, in this process or in several workers."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlwright.core.errors import UsageError
from mlwright.data.schema import Kind
from mlwright.serving.access import Access, is_loopback, token_hash
from mlwright.serving.endpoint import Endpoint, Limits
from mlwright.serving.exchange import Wire
from mlwright.serving.limits import WireLimits
from mlwright.serving.live import Find, Follower, Found, Loader
from mlwright.serving.log import PredictionLog
from mlwright.serving.predictor import Predictor
from mlwright.serving.prometheus import Metrics
from mlwright.serving.service import Rollout, Service
from mlwright.serving.status import Status
from mlwright.serving.switch import Switch
from mlwright.serving.tokens import TOKEN_VARIABLE, check_token, make_token, stored_hash

__all__ = ["Options", "serve"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is served, besides where.

    Parameters
    ----------
    workers : int
        Processes; more than one share the port.
    auth : bool
        Whether a bearer token is demanded on a loopback address too.
    certificate, key : path, optional
        PEM files; with them the service speaks TLS.
    client_authorities : path, optional
        PEM file of the authorities whose certificates clients must show.
    store : path, optional
        The store's directory: the token's hash and the switch lie there.
    find : callable, optional
        Asks the registry what ought to serve; the version stays as it is without it.
    fallback : str or number, optional
        What answers if the model fails: ``"baseline"`` or a constant.
    rollout : Rollout
        What the challenger sees.
    wire : WireLimits
        What connections may cost.
    on_token : callable, optional
        Called with a token that was just made: it is shown this once.
    """

    workers: int = 1
    auth: bool = False
    certificate: str | Path | None = None
    key: str | Path | None = None
    client_authorities: str | Path | None = None
    store: Path | None = None
    find: Find | None = None
    fallback: str | float | None = None
    rollout: Rollout = field(default_factory=Rollout)
    wire: WireLimits = field(default_factory=WireLimits)
    on_token: Callable[[str], None] | None = None


def serve(
    bundle_path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    name: str | None = None,
    version: str | None = None,
    log_directory: str | Path | None = None,
    limits: Limits | None = None,
    options: Options | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the bundle at `bundle_path` until SIGTERM or SIGINT; then finish what runs, and write the log out.

    Parameters
    ----------
    bundle_path : path
        The bundle's directory.
    host : str
        An address of this machine. Any but a loopback one demands a bearer token: that in ``MLWRIGHT_TOKEN``, else the
        store's; a first one is made and given to ``options.on_token``.
    port : int
        0 for any free one.
    name, version : str, optional
        Repeated in every answer; the bundle's name and the first digits of its hash by default.
    log_directory : path, optional
        Where predictions are logged; nowhere by default.
    limits : Limits, optional
        What one request may cost.
    options : Options, optional
        All else.
    on_ready : callable, optional
        Called with the service's address when it answers.

    Raises
    ------
    UsageError
        If the port is taken (the message names a free one), or the address is not of this machine.
    BundleError
        See `Predictor.load`.
    """
    options = options or Options()
    _check_port(port)
    if isinstance(options.workers, bool) or not 1 <= options.workers <= 256:
        raise UsageError("the number of workers is out of range", got=options.workers, allowed="1 to 256")
    context = _tls(options)
    token = _token(host, options)
    plan = _Plan(Path(bundle_path), name, version, log_directory, limits or Limits(), options, token)
    scheme = "http" if context is None else "https"
    shown = f"[{host}]" if ":" in host else host
    if options.workers == 1:
        with _listen(host, port) as listener:
            address = f"{scheme}://{shown}:{listener.getsockname()[1]}"
            _work(plan, listener, context, lambda: on_ready(address) if on_ready else None)
        return
    from mlwright.serving.workers import supervise

    with _listen(host, port) as claim:
        port = claim.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mlwright-metrics-") as directory:
        shared = replace(plan, metrics_directory=directory)
        supervise(
            options.workers,
            lambda: _bound(host, port, shared=True),
            lambda number, listener, ready: _work(shared, listener, context, ready, worker=number),
            lambda: on_ready(f"{scheme}://{shown}:{port}") if on_ready else None,
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What each worker is made of."""

    path: Path
    name: str | None
    version: str | None
    log_directory: str | Path | None
    limits: Limits
    options: Options
    token: bytes | None
    metrics_directory: str | None = None


def _work(
    plan: _Plan,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
    *,
    worker: int = 0,
) -> None:
    """Load the bundle and answer on `listener` until a signal."""
    options = plan.options
    predictor = Predictor.load(plan.path)
    name = plan.name or predictor.name
    status = Status(worker=worker)
    metrics = Metrics(plan.metrics_directory)
    log = None if plan.log_directory is None else PredictionLog(plan.log_directory)

    def make(made: Predictor, version: str) -> Endpoint:
        return Endpoint(
            made,
            name=name,
            version=version,
            log=log,
            limits=plan.limits,
            has_token=plan.token is not None,
            metrics=metrics,
            status=status,
        )

    try:
        loader = Loader(make, options.fallback)
        first = Found(plan.version or predictor.sha256[:12] or "0", plan.path)
        loaded = loader.prepare(predictor, first.version, _reference(plan))
        service = Service(
            loaded.endpoint,
            access=Access(plan.token, local_only=is_loopback(str(listener.getsockname()[0]))),
            limits=options.wire,
            status=status,
            fallback=loaded.fallback,
            rollout=replace(options.rollout, entity=_entity(predictor)),
        )
        switch = None if options.store is None else Switch(options.store, name)
        _run(service, loader, first, listener, context, ready, find=options.find, switch=switch)
        service.close()
    finally:
        if log is not None:
            log.close()


def _entity(predictor: Predictor) -> str | None:
    """Return the column that says whose record it is, where there is one."""
    return next((column.name for column in predictor.schema.columns if column.kind is Kind.ID), None)


def _reference(plan: _Plan) -> dict[str, Any]:
    if plan.options.fallback is None:
        return {}
    from mlwright import bundle

    return bundle.read(plan.path).reference


def _run(
    service: Service,
    loader: Loader,
    first: Found,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
    *,
    find: Find | None,
    switch: Switch | None,
) -> None:
    """Answer on a listening socket until a signal, then finish what runs."""
    import uvloop

    from mlwright.serving.wire import Connection

    async def main() -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(service, loop)
        stop = asyncio.Event()

        def stopped() -> None:
            if stop.is_set():  # the second signal does not wait
                for connection in list(wire.connections):
                    connection.abort()
            stop.set()

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopped)
            service.watchdog.start()
        follower = Follower(service, loader, loop.call_soon_threadsafe, first=first, find=find, switch=switch)
        if switch is not None and switch.is_stopped():
            service.hold(stopped=True)
        handshake = None if context is None else service.limits.head_seconds
        server = await loop.create_server(
            lambda: Connection(wire), sock=listener, ssl=context, ssl_handshake_timeout=handshake
        )
        gc.collect()
        gc.freeze()  # what is loaded now stays; no collection need look at it again
        if find is not None or switch is not None:
            follower.start()
        ready()
        await stop.wait()
        server.close()
        await asyncio.to_thread(follower.close)
        await wire.stop()
        service.watchdog.stop()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _tls(options: Options) -> ssl.SSLContext | None:
    """Return the context for TLS, or None for plain HTTP."""
    if options.certificate is None:
        if options.key is not None or options.client_authorities is not None:
            raise UsageError("TLS needs a certificate", fix="give --ssl-certfile too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, options.key)
        if options.client_authorities is not None:
            context.load_verify_locations(options.client_authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the certificate cannot be used: {error}", got=str(options.certificate), allowed="PEM files"
        ) from error
    return context


def _token(host: str, options: Options) -> bytes | None:
    """Return the hash of the token that is demanded, or None where none is."""
    chosen = os.environ.get(TOKEN_VARIABLE)
    if chosen:
        return token_hash(check_token(chosen))
    if is_loopback(host) and not options.auth:
        return None
    kept = None if options.store is None else stored_hash(options.store)
    if kept is not None:
        return kept
    if options.on_token is None:
        raise UsageError(
            "an address that others can reach needs a token",
            got=host,
            allowed="127.0.0.1 without one",
            fix=f"set {TOKEN_VARIABLE} to a secret of 16 or more characters, as openssl rand -hex 32 makes",
        )
    token = make_token(options.store)
    options.on_token(token)
    return token_hash(token)


def _check_port(port: int) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise UsageError("port is out of range", got=port, allowed="0 to 65535")


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; the port is bound here, so that nobody takes it in between."""
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


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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

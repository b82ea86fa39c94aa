"""Access: who may ask for what. Each route declares a permission; what declares none is refused.

``public`` needs no token and is what probes ask; ``read`` tells about the model; ``predict`` makes it work. Where a
token is demanded, ``read`` and ``predict`` need it. A request that makes the model work must also come from where it
says it comes from: a page of another origin, or a name that somebody has pointed at this machine, is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping

from mlwright.core.errors import UsageError
from mlwright.serving.responses import Response, failure
from mlwright.serving.routes import Route

__all__ = ["Access", "demand_permissions", "is_loopback", "token_hash"]

_PERMISSIONS = frozenset({"public", "read", "predict"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT = re.compile(rb":\d{1,5}\Z")


def demand_permissions(routes: Iterable[Route]) -> None:
    """Raise `UsageError` if a route declares no permission, or one that is not known.

    Examples
    --------
    >>> demand_permissions([Route("/predict", "POST", "predict")])
    """
    open_ones = [route.pattern for route in routes if route.permission not in _PERMISSIONS]
    if open_ones:
        raise UsageError(
            "a route declares no permission, so the server does not start",
            got=open_ones,
            allowed=sorted(_PERMISSIONS),
            fix="declare it in mlwright.serving.routes",
        )


def token_hash(token: str | bytes) -> bytes:
    """Return the SHA-256 of a token; that is all that is kept of it.

    Examples
    --------
    >>> token_hash("a" * 32).hex()[:8]
    '3ba3f5f4'
    """
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches `host`.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


class Access:
    """Lets a request through or says why not.

    Parameters
    ----------
    token : bytes, optional
        The hash of the bearer token that all but public routes demand.
    local_only : bool, default=False
        Whether a request that makes the model work must name this machine in its Host. That is what keeps a web page
        out that somebody lets a browser of this machine open; where a token is demanded, it is the token.
    """

    def __init__(self, token: bytes | None = None, *, local_only: bool = False) -> None:
        self.token = token
        self.local_only = local_only and token is None
        self._hosts: set[bytes] = (
            set()
        )  # names of this machine that have been seen, so that they are read once

    def refusal(self, method: str, route: Route | None, headers: Mapping[bytes, bytes]) -> Response | None:
        """Return None for a request that may be answered, else the 401, 403 or 421.

        Parameters
        ----------
        method : str
            Of the request.
        route : Route or None
            What it asks for; None for an address that is not there, about which only who has a token learns.
        headers : mapping of bytes to bytes
            By lower-case name.
        """
        public = route is not None and route.permission == "public"
        if self.token is not None and not public and not self._has_token(headers):
            return failure(401, "this service demands a bearer token", ((b"www-authenticate", b"Bearer"),))
        if method in _SAFE:
            return None
        host = headers.get(b"host", b"")
        if self.local_only and host and host not in self._hosts:
            if not is_loopback(_PORT.sub(b"", host).decode("latin-1")):
                shown = host.decode("latin-1")[:100]
                return failure(421, "this service answers to names of its own machine", got=shown)
            if len(self._hosts) < 100:
                self._hosts.add(host)
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            return failure(403, "a page of another origin may not ask", got=origin.decode("latin-1")[:100])
        return None

    def _has_token(self, headers: Mapping[bytes, bytes]) -> bool:
        given = headers.get(b"authorization", b"")
        found = token_hash(given[7:]) if given[:7] == b"Bearer " else b""
        return hmac.compare_digest(found, self.token or b"\x00")

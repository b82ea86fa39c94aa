"""Routes: the closed table of addresses, and for each one its method, who may ask, and what a body may be.

A pattern's parts in braces stand for one part of a path each: ``/v2/models/{name}/infer``. Nothing is matched that the
table does not hold, and a part never reaches a file system.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["ARROW", "CSV", "FORM", "JSON_TYPE", "OCTETS", "ROUTES", "Permission", "Route", "match"]

Permission: TypeAlias = Literal["public", "read", "predict"]

JSON_TYPE = b"application/json"
ARROW = b"application/vnd.apache.arrow.stream"
CSV = b"text/csv"
OCTETS = b"application/octet-stream"
FORM = b"application/x-www-form-urlencoded"  # what `curl -d` says of whatever it sends


class Route(NamedTuple):
    """One address.

    Parameters
    ----------
    pattern : str
        Its path.
    method : {"GET", "POST"}
        What it takes; HEAD goes with GET.
    permission : {"public", "read", "predict"}
        Who may ask: anyone, who may look, who may have predictions.
    types : tuple of bytes
        The media types that a body may say.
    """

    pattern: str
    method: str
    permission: Permission
    types: tuple[bytes, ...] = ()


_ALL = (
    Route("/", "GET", "read"),
    Route("/docs", "GET", "read"),
    Route("/health", "GET", "public"),
    Route("/invocations", "POST", "predict", (JSON_TYPE, CSV)),
    Route("/metrics", "GET", "read"),
    Route("/openapi.json", "GET", "read"),
    Route("/ping", "GET", "public"),
    Route("/predict", "POST", "predict", (JSON_TYPE, ARROW)),
    Route("/ready", "GET", "public"),
    Route("/schema", "GET", "read"),
    Route("/v2", "GET", "read"),
    Route("/v2/health/live", "GET", "public"),
    Route("/v2/health/ready", "GET", "public"),
    Route("/v2/models/{name}", "GET", "read"),
    Route("/v2/models/{name}/infer", "POST", "predict", (JSON_TYPE, OCTETS)),
    Route("/v2/models/{name}/ready", "GET", "public"),
    Route("/v2/models/{name}/versions/{version}", "GET", "read"),
    Route("/v2/models/{name}/versions/{version}/infer", "POST", "predict", (JSON_TYPE, OCTETS)),
    Route("/v2/models/{name}/versions/{version}/ready", "GET", "public"),
    Route("/version", "GET", "public"),
)
ROUTES: Mapping[str, Route] = MappingProxyType({route.pattern: route for route in _ALL})
_FIXED = {route.pattern: (route, {}) for route in _ALL if "{" not in route.pattern}
_PATTERNS = [(route, route.pattern.split("/")) for route in _ALL if "{" in route.pattern]
_LONGEST = 1_000


def match(path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a path and what stands in its braces; None if there is none.

    Examples
    --------
    >>> route, parts = match("/v2/models/churn/versions/3/infer")
    >>> route.pattern, parts
    ('/v2/models/{name}/versions/{version}/infer', {'name': 'churn', 'version': '3'})
    >>> match("/v2/models//infer")
    """
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    if len(path) > _LONGEST:
        return None
    given = path.split("/")
    for route, parts in _PATTERNS:
        if len(parts) == len(given):
            found: dict[str, str] = {}
            for part, word in zip(parts, given, strict=True):
                if part[:1] == "{":
                    if not word:
                        break
                    found[part[1:-1]] = word
                elif part != word:
                    break
            else:
                return route, found
    return None

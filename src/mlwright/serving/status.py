"""Status: what a serving process counts and says of itself besides its answers; /ready and /metrics read it.

The event loop and the follower's thread write single fields; readers may see one field a moment before another.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Status"]


@dataclass(slots=True)
class Status:
    """What has happened since the process began; it outlives a change of the model.

    Parameters
    ----------
    swaps : int
        How often another bundle was put in.
    swap_faults : int
        How often one was not, because it did not verify.
    last_fault : str
        Why the version that ought to serve does not; empty if it does.
    stopped : bool
        Whether the fallback answers because somebody said so.
    degraded : int
        Answers of the fallback.
    wanted : str
        The version that ought to serve, where another does; else empty.
    worker : int
        This process's number among the workers, from 0.
    started : float
        Seconds since 1970 UTC.
    requests : int
        Requests that were answered, whatever the status.
    connections : int
        Connections that are open.
    waiting : int
        Requests that wait for the thread or are worked on in it.
    rejected : int
        Requests answered by 429.
    timeouts : int
        Connections ended because the client was too slow.
    malformed : int
        Connections ended because what came was no HTTP.
    refused : int
        Requests without a right token, Host or Origin.
    failures : int
        Requests on which a model failed.
    overdue : int
        Requests on which the model missed its deadline.
    canary, shadow : int
        Requests answered by the challenger, and copied to it.
    shadow_dropped : int
        Copies dropped because the challenger was too slow.

    Examples
    --------
    >>> status = Status()
    >>> status.swaps += 1
    >>> status.swaps, status.last_fault
    (1, '')
    """

    swaps: int = 0
    swap_faults: int = 0
    last_fault: str = ""
    stopped: bool = False
    degraded: int = 0
    wanted: str = ""
    worker: int = 0
    started: float = field(default_factory=time.time)
    requests: int = 0
    connections: int = 0
    waiting: int = 0
    rejected: int = 0
    timeouts: int = 0
    malformed: int = 0
    refused: int = 0
    failures: int = 0
    overdue: int = 0
    canary: int = 0
    shadow: int = 0
    shadow_dropped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return all fields as a JSON tree."""
        return asdict(self)

"""What ``mlwright trace`` prints for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwright.lifecycle.trace import Trace

__all__ = ["traced"]

_MOST = 40  # features shown a view; --json has all


def traced(found: Trace) -> str:
    """Return a trace as lines of text."""
    logged = found.logged
    lines = [
        (
            f"{logged['model']} version {logged['version']} answered at {logged['time']:%Y-%m-%d %H:%M:%S.%f} UTC "
            f"in {logged['latency_us']:,} microseconds"
        ),
        f"answer   {_short(logged['prediction'])}",
        *(f"warning  {warning['field']}: {warning['warning']}" for warning in logged["warnings"]),
        "record",
        *(f"  {name}: {_value(name, value, found)}" for name, value in logged["record"].items()),
    ]
    for view, features in found.features.items():
        lines.append(f"features of view {view}")
        shown = list(features.items())[:_MOST]
        lines += [f"  {name}: {'missing' if value is None else f'{value:.12g}'}" for name, value in shown]
        if len(features) > _MOST:
            lines.append(f"  and {len(features) - _MOST} more; --json has all")
    lines.append("models")
    for part in found.parts:
        outputs = ", ".join(f"{value:.6g}" for value in part["outputs"])
        lines.append(f"  {part['share']:.1%} {part['kind']} on {part['view']}: {outputs}")
    again = {True: "the bundle gives the same answer again", False: "the bundle gives ANOTHER answer now"}
    hidden = f"not compared: the log does not hold {', '.join(found.masked)}"
    lines += [
        f"run      {found.run}",
        f"data     {_short(found.lineage.get('data'))}",
        f"bundle   {logged['sha256']}",
        f"again    {hidden if found.reproduced is None else again[found.reproduced]}",
    ]
    return "\n".join(lines)


def _short(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False)[:500]


def _value(name: str, value: Any, found: Trace) -> str:
    return "personal, not logged" if name in found.masked else _short(value)

"""What ``mlwright explain`` prints for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwright.lifecycle.explain import Explanation

__all__ = ["explained"]

_MOST = 20  # columns shown; --json has all
_BAR = 24
_NAME = 22
_VALUE = 18
_SCALES = {
    "log": "the logarithm of the value",
    "log-odds": "the log-odds",
    "log1p": "log(1 + value)",
    "score": "the score before softmax",
    "value": "the value",
}


def explained(found: Explanation) -> str:
    """Return an explanation as lines of text: a bar a column, the largest first."""
    shown = found.shown
    contributions: dict[str, float] = shown["contributions"]
    of = "" if found.label is None else f" of {_short(found.label)}"
    lines = [
        f"{found.model} predicts {_short(found.answer['prediction'])}",
        *(f"  P({label}) {chance:.6g}" for label, chance in found.answer.get("probability", {}).items()),
        *(f"warning  {warning['field']}: {warning['warning']}" for warning in found.answer["warnings"]),
        "",
        f"what moves {_SCALES[found.scale]}{of}: from {shown['expected']:.6g}, which is expected,",
        f"to {shown['margin']:.6g} here",
        "",
    ]
    longest = max(map(abs, contributions.values()), default=0.0)
    for name, size in list(contributions.items())[:_MOST]:
        length = round(_BAR * abs(size) / longest) if longest else 0
        bar = ("+" if size > 0 else "-") * length
        value = _cut(_short(found.record.get(name)), _VALUE)
        lines.append(f"  {_cut(name, _NAME):<{_NAME}} {value:<{_VALUE}} {size:+10.4f} {bar}".rstrip())
    rest = list(contributions.values())[_MOST:]
    if rest:
        lines.append(f"  {f'{len(rest)} more; --json has all':<{_NAME + _VALUE + 1}} {sum(rest):+10.4f}")
    if len(found.explained) > 1:
        lines += ["", f"a blend: the weighted mean of {len(found.explained)} models' margins is explained"]
    if found.left_out:
        lines += ["", f"{found.share:.1%} of the blend is explained; left out: {', '.join(found.left_out)}"]
    return "\n".join(lines)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."

"""What ``mlwright explain`` prints for people."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwright.lifecycle.explain import Explanation, Whole

__all__ = ["as_label", "bars", "chances", "explained", "places_of", "quoted"]

_MOST = 20  # columns shown; --json has all
_BAR = 22
_WIDTH = 80
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
    whole, told = found.whole, found.whole.of(found.label)
    answer = found.answer
    lines = [f"{found.model} predicts {quoted(answer['prediction'])}", *chances(answer), ""]
    in_points = whole.unit == "probability"
    factor = 100.0 if in_points else 1.0
    what = f"P({as_label(found.label)}), in points of 100" if in_points else whole.target
    places = 2 if in_points else places_of([told["base"], told["answer"]])
    lines += [
        f"what moves {what}:",
        f"from {factor * told['base']:,.{places}f} for made-up records like those of training",
        f"to {factor * told['answer']:,.{places}f} here",
        "",
        *bars({name: factor * size for name, size in told["contributions"].items()}, found.record, places),
        "",
        _method(whole, factor, places),
    ]
    if found.outputs:
        lines += ["", *_margin(found)]
    return "\n".join(lines)


def chances(answer: Mapping[str, Any]) -> list[str]:
    """Return a line for each class's probability and each warning of an answer."""
    return [
        *(f"  P({label}) {chance:.6g}" for label, chance in answer.get("probability", {}).items()),
        *(f"warning  {warning['field']}: {warning['warning']}" for warning in answer["warnings"]),
    ]


def places_of(numbers: Sequence[float]) -> int:
    """Return after how many digits behind the point five digits of the largest number end."""
    largest = max(map(abs, numbers))
    return 2 if largest == 0 else min(8, max(0, 4 - math.floor(math.log10(largest))))


def bars(sizes: Mapping[str, float], record: Mapping[str, Any], places: int) -> list[str]:
    """Return a line a column: its value in the record, what it adds, and a bar as long as that is large."""
    longest = max(map(abs, sizes.values()), default=0.0)
    width = max([10, *(len(f"{size:+,.{places}f}") for size in sizes.values())])
    lines = []
    for name, size in list(sizes.items())[:_MOST]:
        length = round(_BAR * abs(size) / longest) if longest else 0
        bar = ("+" if size > 0 else "-") * length
        value = _cut(quoted(record.get(name)), _VALUE)
        lines.append(
            f"  {_cut(name, _NAME):<{_NAME}} {value:<{_VALUE}} {size:+{width},.{places}f} {bar}".rstrip()
        )
    rest = list(sizes.values())[_MOST:]
    if rest:
        lines.append(
            f"  {f'{len(rest)} more; --json has all':<{_NAME + _VALUE + 1}} {sum(rest):+{width},.{places}f}"
        )
    return lines


def _method(whole: Whole, factor: float, places: int) -> str:
    compared = f"{whole.n_background} made-up records"
    if whole.exact:
        return f"exact Shapley values against {compared}"
    worst = max(error for output in whole.outputs for error in output["standard_errors"].values())
    return (
        f"estimated from {whole.n_predictions:,} predictions against {compared}:\n"
        f"standard errors up to {factor * worst:,.{max(places, 2)}f}"
    )


def _margin(found: Explanation) -> list[str]:
    """Say what is exact besides: the margin of the members that explain themselves."""
    shown = found.shown
    of = "" if found.label is None else f" of {as_label(found.label)}"
    without = f"; without {_counted(found.left_out)}" if found.left_out else ""
    said = (
        f"Besides, exactly, for {found.share:.1%} of the blend ({_counted(found.explained)}{without}): "
        f"{_SCALES[found.scale or 'value']}{of} goes from {shown['expected']:.6g}, as expected, to "
        f"{shown['margin']:.6g}. --json has what each column adds to it, under `contributions`."
    )
    return textwrap.wrap(said, _WIDTH)


def _counted(kinds: Sequence[str]) -> str:
    return ", ".join(
        f"{kinds.count(kind)} {kind}" if kinds.count(kind) > 1 else kind for kind in dict.fromkeys(kinds)
    )


def as_label(label: Any) -> str:
    """Return a class as an answer's keys have it."""
    return label if isinstance(label, str) else quoted(label)


def quoted(value: Any) -> str:
    """Return a value as JSON; a number of many digits with seven of them."""
    if isinstance(value, float) and len(repr(value)) > 12:
        return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.7g}"
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."

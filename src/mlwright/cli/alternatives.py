"""What ``mlwright explain --set`` and ``--counterfactual`` print for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from mlwright.cli.explained import as_label, bars, chances, places_of, quoted

if TYPE_CHECKING:
    from mlwright.core.types import Json
    from mlwright.lifecycle.counterfactual import Counterfactuals
    from mlwright.lifecycle.what_if import WhatIf

__all__ = ["compared", "ways"]

_WIDTH = 80


def compared(found: WhatIf) -> str:
    """Return two answers side by side, and what each change adds to their difference."""
    told = found.parts.of(found.label)
    in_points = found.parts.unit == "probability"
    factor = 100.0 if in_points else 1.0
    places = 2 if in_points else places_of([told["base"], told["answer"]])
    what = f"P({as_label(found.label)}), in points of 100" if in_points else found.parts.target
    lines = [
        f"{found.model} predicts {quoted(found.after['prediction'])} instead of {quoted(found.before['prediction'])}"
    ]
    if found.after["prediction"] == found.before["prediction"]:
        lines = [f"{found.model} predicts {quoted(found.after['prediction'])} as before"]
    lines += [
        *chances({**found.after, "probability": {}}),
        _moved(what, factor * told["base"], factor * told["answer"], places),
        "",
    ]
    for name, value in found.changes.items():
        lines.append(f"  {name}: {quoted(found.record.get(name))} -> {quoted(value)}")
    moved = {name: factor * size for name, size in found.contributions.items()}
    if len(found.changes) > 1 and moved:
        how = "exactly" if found.parts.exact else "about"
        lines += ["", f"of the difference each change makes, {how}:", *bars(moved, found.changes, places)]
    return "\n".join(lines)


def _moved(what: str, before: float, after: float, places: int) -> str:
    return f"{what}: {before:,.{places}f} -> {after:,.{places}f} ({after - before:+,.{places}f})"


def ways(found: Counterfactuals) -> str:
    """Return the changes that were found, each with the answer that it leads to."""
    now = quoted(found.answer["prediction"])
    lines = [f"{found.model} predicts {now}", *chances(found.answer), ""]
    wanted = _wanted(found)
    if not found.found:
        said = (
            f"no change of up to four of the {len(found.movable)} columns that may change was found that gives {wanted}; "
            f"{found.n_tried:,} records were tried. That none exists is not proven."
        )
        return "\n".join([*lines, *textwrap.wrap(said, _WIDTH)])
    count = "the smallest change" if len(found.found) == 1 else f"the {len(found.found)} smallest changes"
    verb = "gives" if len(found.found) == 1 else "give"
    said = f"{count} found that {verb} {wanted}, of {found.n_tried:,} records tried:"
    lines += textwrap.wrap(said, _WIDTH)
    for number, one in enumerate(found.found, 1):
        lines += ["", f"{number}. {_answer(one.answer)}"]
        for name, value in one.changes.items():
            lines.append(f"   {name}: {quoted(found.record.get(name))} -> {quoted(value)}")
        if one.staying:
            said = f"less plausible: in training it goes with {', '.join(one.staying)}, here unchanged"
            lines += textwrap.wrap(said, _WIDTH, initial_indent="   ", subsequent_indent="   ")
    kept = f", nor {', '.join(found.kept)}" if found.kept else ""
    said = (
        f"Dates, texts and personal columns are never changed{kept}. "
        "This is what would change the model's answer, not what would change the world."
    )
    lines += ["", *textwrap.wrap(said, _WIDTH)]
    return "\n".join(lines)


def _wanted(found: Counterfactuals) -> str:
    if "probability" in found.answer:
        return "another class" if found.goal is None else quoted(found.goal)
    way = "at least" if found.answer["prediction"] < found.goal else "at most"
    return f"{way} {found.goal:,.12g}"


def _answer(answer: Json) -> str:
    prediction: Any = answer["prediction"]
    if "probability" not in answer:
        return quoted(prediction)
    chance = answer["probability"].get(as_label(prediction))
    return quoted(prediction) if chance is None else f"{quoted(prediction)} with probability {chance:.4g}"

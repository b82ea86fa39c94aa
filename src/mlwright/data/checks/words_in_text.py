"""Words in texts that give the answer away: a label that was left in, a number that is the target."""

from __future__ import annotations

import re

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.one_feature import line_r2
from mlwright.data.checks.suspicion import Sample, Suspicion
from mlwright.data.checks.wording import shown
from mlwright.data.schema import Kind
from mlwright.data.values import Coded

__all__ = ["words_in_text"]

_MOST_ROWS = 2_000
_MOST_LETTERS = 2_000  # of a text
_FEWEST_OF_CLASS, _FEWEST_OF_WORD = 30, 20
_WARN, _STOP = 0.98, 0.995
_WARN_R2, _STOP_R2 = 0.995, 0.9999
_WORD = re.compile(r"[^\W\d_]\w*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def words_in_text(sample: Sample) -> list[Suspicion]:
    """Return the texts of which single words tell the classes apart, or whose numbers are the target."""
    found = []
    for name, values in sample.columns.items():
        if sample.kinds.get(name) not in {Kind.TEXT, Kind.CATEGORICAL} or not isinstance(values, Coded):
            continue
        if len(values.levels) < len(values.codes) / 10:
            continue  # a category, which is looked at by its levels
        rows = np.linspace(0, len(sample.y) - 1, min(len(sample.y), _MOST_ROWS)).astype(np.int64)
        texts = [values.levels[c][:_MOST_LETTERS] if c >= 0 else "" for c in values.codes[rows].tolist()]
        look = _classes if sample.classes else _numbers
        suspicion = look(name, texts, sample, rows)
        if suspicion is not None:
            found.append(suspicion)
    return found


def _classes(name: str, texts: list[str], sample: Sample, rows: Ints) -> Suspicion | None:
    codes = sample.codes[rows]
    sizes = np.bincount(codes)
    if sizes.min() < _FEWEST_OF_CLASS:
        return None
    holding: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in set(_WORD.findall(text.lower())):
            holding.setdefault(word, []).append(row)
    counts = {
        word: np.bincount(codes[held], minlength=len(sizes))
        for word, held in holding.items()
        if len(held) >= _FEWEST_OF_WORD
    }
    if not counts:
        return None
    words, held = list(counts), np.stack(list(counts.values())).astype(np.float64)
    inside = held / sizes
    outside = (held.sum(axis=1, keepdims=True) - held) / (len(codes) - sizes)
    auc = 0.5 + np.abs(inside - outside) / 2
    best = auc.argmax(axis=0)
    worst = float(auc.max(axis=0).min())
    if worst < _WARN:
        return None
    telling = list(dict.fromkeys(words[i] for i in best))
    told = ", ".join(f"'{word[:30]}'" for word in telling[:3])
    if name in sample.personal:  # what is personal stands in no finding
        told = "which, is not shown, since the column is personal"
    what = f"Single words of '{name}' tell the target almost by themselves: {told} (AUC {shown(worst)})."
    return Suspicion((name,), worst, worst >= _STOP and sample.rarest >= 100, what)


def _numbers(name: str, texts: list[str], sample: Sample, rows: Ints) -> Suspicion | None:
    y: Floats = sample.y[rows]
    read = [[float(number) for number in _NUMBER.findall(text)[:50]] for text in texts]
    for which, word in ((0, "first"), (-1, "last")):
        values = np.array([numbers[which] if numbers else np.nan for numbers in read])
        r2 = line_r2(values, y)
        if r2 >= _WARN_R2:
            what = f"The {word} number in '{name}' is the target (R2 {shown(r2)})."
            return Suspicion((name,), r2, r2 >= _STOP_R2, what)
    return None

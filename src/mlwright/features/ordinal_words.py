"""OrdinalWords: words with an order ("low", "medium", "high") as numbers, beside their categories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Choice, Flag, Rule, check
from mlwright.core.types import Floats
from mlwright.data.ordinal import SCALES, normal_word
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.level_number import LevelNumber

__all__ = ["OrdinalWords"]


class OrdinalWords(LevelNumber):
    """The step of a word on a scale of `mlwright.data.ordinal`; the words are kept with what was learned.

    Parameters
    ----------
    column : str
        The raw column's name.
    scale : str, default="amounts"
        A name of `mlwright.data.ordinal.SCALES`.
    scaled : bool, default=False
        For linear models: distances from the mean in standard deviations, and 0 for a word outside.

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> risks = {"risk": Coded(np.array([0, 1, 2], np.int32), ["Low", "very_high", "unknown"])}
    >>> OrdinalWords("risk").fit(risks, np.zeros(3), n_classes=0, seed=0).batch(risks).tolist()
    [[3.0], [6.0], [nan]]
    """

    kind: ClassVar[str] = "ordinal_words"
    label: ClassVar[str] = "step"
    rules: ClassVar[dict[str, Rule]] = {"scale": Choice(tuple(SCALES)), "scaled": Flag()}

    def __init__(self, column: str, *, scale: str = "amounts", scaled: bool = False) -> None:
        super().__init__(column)
        check("OrdinalWords", {"scale": scale, "scaled": scaled}, self.rules)
        self.scale = scale
        self.scaled = scaled
        self.steps_: Mapping[str, float] = SCALES[scale]

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Take the words of the scale, and learn mean and deviation of their steps."""
        self.steps_ = SCALES[self.scale]
        return super().fit(columns, y, n_classes=n_classes, seed=seed)

    def read(self, text: str) -> float:
        """Return the step of the word."""
        return self.steps_.get(normal_word(text), math.nan)

    def state(self) -> State:
        """Return the words and their steps too: a later version may know more of them."""
        part = super().state()
        steps = np.array(list(self.steps_.values()), dtype=np.float64)
        return State({**part.tree, "words": list(self.steps_)}, {"steps": steps})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one finite step a word."""
        new = super().from_state(state)
        words = audit.strings(state, "words")
        steps = audit.array(state, "steps", (len(words),))
        new.steps_ = dict(zip(words, steps.tolist(), strict=True))
        return new

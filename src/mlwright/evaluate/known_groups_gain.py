"""KnownGroupsGain: how much better a model that is judged by unseen groups does for those that it has seen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlwright.evaluate.words import PLAIN, metric_title, number

if TYPE_CHECKING:
    from mlwright.evaluate.words import Voice

__all__ = ["KnownGroupsGain"]


@dataclass(frozen=True, slots=True)
class KnownGroupsGain:
    """What the first screen adds to a score that is of groups which nobody has seen.

    Parameters
    ----------
    column : str
        Whose values the groups are.
    n_groups : int
        Groups that the model knows.
    metric : str
        What `before` and `after` are.
    before, after : float
        Out of fold, for training rows of groups of two or more: as an unseen group is answered, and with what the other
        rows of the group tell.
    """

    key: ClassVar[str] = "known_groups"

    column: str
    n_groups: int
    metric: str
    before: float
    after: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; a score that is not defined is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    def sentence(self, voice: Voice = PLAIN) -> str:
        """Return it in words."""
        return (
            f"That is for values of {voice.name(self.column)} that it has never seen. Of {self.n_groups:,} that it knows it "
            f"corrects what it misses: {metric_title(self.metric)} {voice.strong(number(self.after, 4))} instead of "
            f"{number(self.before, 4)}, each training row judged by the others of its value."
        )

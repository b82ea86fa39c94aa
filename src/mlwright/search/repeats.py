"""Repeats: the best trials once more on a second draw of the folds, and the mean of the blends of both draws.

Where rows are few, which trials suit the rows of one draw is much a matter of chance, and so is the blend. The mean of two
that were chosen on different draws errs less than either. With the members of the portfolio on 17 development tables of 227 to
3,735 training rows (47 splits) the error of new rows fell by 1.1 % in the mean, that of the first blend alone with two seeds for each
member by 0.4 %, that of a choice among the trials of both draws together by 0.6 %. In whole fits it was 0.7 %. Where
the time is short, further proposals are worth more, so it is not kept for this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlwright.metrics.base import Metric
from mlwright.search.blend import blend, blended_gain, price, total_price
from mlwright.search.study_data import StudyData
from mlwright.search.trial import TrialResult

__all__ = ["blend_repeated", "can_repeat", "to_repeat"]

_MOST, _FEWEST = 8, 4  # of the best; fewer leave too little choice
# Of the way from the first blend to the dummy: a second one so far behind had no time. That the mean predicts the rows worse out of
# fold is no reason: where it does, it is the first blend that was lucky, and new rows gain as much by the mean (98 blends).
_FAR_BEHIND = 0.25
_MOST_PRICE = 150.0  # of both blends, by the list: a prediction stays within about 100 microseconds


def can_repeat(data: StudyData, n_folds: int) -> bool:
    """Return whether there is a second draw, and time was not so short that folds were left out of the first one."""
    return data.quality != "bag" and data.rows is None and 1 < n_folds == len(data.repeated)


def to_repeat(results: Sequence[TrialResult], metric: Metric, left: float) -> list[TrialResult]:
    """Return the best of the first draw, the best first, as many as took no more than `left` seconds together.

    None where there is no time for four of them, or for all if there are fewer.
    """
    real = [r for r in results if r.complete and r.trial.model != "dummy" and not r.trial.repeat]
    best = sorted(real, key=lambda r: (-r.gain(metric), r.trial.number))[:_MOST]
    chosen: list[TrialResult] = []
    for result in best:
        left -= result.seconds
        if left < 0:
            break
        chosen.append(result)
    return chosen if chosen and len(chosen) >= min(_FEWEST, len(best)) else []


def blend_repeated(data: StudyData, results: Sequence[TrialResult], metric: Metric) -> dict[int, float]:
    """Return the weight of every trial by number: the mean of the blends of both draws, or the first one alone.

    That is the first one where nothing was repeated, and where the second one would be too dear beside it or is far behind.
    """
    first = [r for r in results if not r.trial.repeat]
    again = [r for r in results if r.trial.repeat and r.complete]
    weights = dict.fromkeys((r.trial.number for r in results), 0.0) | blend(data, first, metric)
    chosen = [(r, weights[r.trial.number]) for r in first if weights[r.trial.number] > 0]
    room = min(data.latency, _MOST_PRICE) - total_price(data, [r for r, _ in chosen])
    if not again or min(price(r, data.task.n_outputs) for r in again) > room:
        return weights
    second = blend(replace(data, latency=room), again, metric)
    both = {number: (weight + second.get(number, 0.0)) / 2 for number, weight in weights.items()}
    chosen_again = [(r, second[r.trial.number]) for r in again if second[r.trial.number] > 0]
    gain, gain_again = (blended_gain(data, members, metric) for members in (chosen, chosen_again))
    dummy = min((r.gain(metric) for r in first if r.complete), default=gain)
    return weights if gain - gain_again > _FAR_BEHIND * (gain - dummy) else both

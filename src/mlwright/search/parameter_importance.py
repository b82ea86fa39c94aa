"""Parameter importance: how much of the difference between a learner's trials each hyperparameter explains."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlwright.metrics.base import Metric
from mlwright.search.proposer import SPACES
from mlwright.search.trial import TrialResult

__all__ = ["parameter_importance"]

_FEWEST = 12  # trials: with fewer the shares are chance


def parameter_importance(
    results: Sequence[TrialResult], metric: Metric, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return for each learner the share of its scores' variance by hyperparameter (fANOVA, Hutter et al. 2014).

    Learners with fewer than twelve complete trials, or whose scores do not differ, are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for model, space in SPACES.items():
        mine = [r for r in results if r.trial.model == model and r.complete and math.isfinite(r.score)]
        if len(mine) < _FEWEST or len({r.score for r in mine}) < 2:
            continue
        import optuna  # takes a second, which a short run without so many trials does not have
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState, create_trial

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        values = {name: [float(r.trial.params.get(name, s.start)) for r in mine] for name, s in space.items()}
        moved = {name: numbers for name, numbers in values.items() if len(set(numbers)) > 1}
        box = {name: space[name].distribution(min(numbers), max(numbers)) for name, numbers in moved.items()}
        if not box:
            continue
        study = optuna.create_study(direction="maximize" if metric.greater_is_better else "minimize")
        for index, result in enumerate(mine):
            params = {
                name: int(numbers[index]) if space[name].integer else numbers[index]
                for name, numbers in moved.items()
            }
            study.add_trial(
                create_trial(params=params, distributions=box, value=result.score, state=TrialState.COMPLETE)
            )
        shares = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(n_trees=24, seed=seed % 2**32)
        )
        found[model] = {name: round(float(share), 4) for name, share in shares.items()}
    return found

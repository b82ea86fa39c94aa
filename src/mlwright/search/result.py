"""StudyResult: what a study found."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlwright.core.types import Floats
from mlwright.features.plan import FeaturePlan
from mlwright.models.ensemble import Ensemble
from mlwright.search.thinning import Latency
from mlwright.search.trial import TrialResult

__all__ = ["StudyResult"]


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study found.

    Parameters
    ----------
    results : list of TrialResult
        All finished trials, by number.
    weights : dict of int to float
        The blend: weight by trial number.
    plans : dict of str to FeaturePlan
        One fitted plan a view that the blend uses.
    ensemble : Ensemble
        The refitted blend.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out-of-fold predictions of the blend; NaN where no fold validates.
    baselines : dict of str to Ensemble
        ``dummy`` and ``linear``, refitted alike; their views are in `baseline_plans`.
    choices : dict
        What the clock decided besides the trials: ``seeds`` of each refit, ``refit_rows``, whether there are ``unstopped``
        predictions, ``detail``, the percent of the
        shuffled rows that the importances had time for where it was not 100, and ``price_ns``, the price of a thinned blend; and what it told: ``latency_ns``, ``latency_first_ns``. A replay repeats them.
    parameters : dict
        By learner, which share of its trials' differences each hyperparameter explains.
    notes : tuple of str
        What a reader of the report should know, as that a long table was sampled.
    latency : Latency, optional
        What a prediction takes, where it was measured.
    unstopped : ndarray of shape (n_rows, n_outputs), optional
        As `predicted`, of models that did not stop early on the rows that they predict; see `mlwright.search.unstopped`.
    """

    results: list[TrialResult]
    weights: dict[int, float]
    plans: dict[str, FeaturePlan]
    ensemble: Ensemble
    predicted: Floats
    baselines: dict[str, Ensemble]
    baseline_plans: dict[str, FeaturePlan] = field(default_factory=dict)
    choices: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    latency: Latency | None = None
    unstopped: Floats | None = None

    @property
    def misses(self) -> Floats:
        """The out-of-fold predictions that say best how far new rows will be missed: `unstopped` where there are any."""
        return self.predicted if self.unstopped is None else self.unstopped

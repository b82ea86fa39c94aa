"""The ML Test Score of a registered model: 28 tests, each run and told with its evidence."""

from mlwright.lifecycle.score.scorecard import Outcome, Scorecard, Scored, State
from mlwright.lifecycle.score.verb import score

__all__ = ["Outcome", "Scorecard", "Scored", "State", "score"]

"""Search: a study of trials under one time budget, blended, and refitted on all training rows."""

from mlwright.search.journal import Journal
from mlwright.search.portfolio import load_learners
from mlwright.search.study import StudyData, StudyResult, run_study
from mlwright.search.trial import Trial, TrialResult

__all__ = ["Journal", "StudyData", "StudyResult", "Trial", "TrialResult", "load_learners", "run_study"]

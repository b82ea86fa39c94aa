"""The sections that say what the search's choice adds to its score, and whether probabilities are off beyond chance."""

from __future__ import annotations

from mlwright.evaluate.calibration_error import CalibrationError
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.markup import escape, section, told
from mlwright.evaluate.selection import Selection
from mlwright.evaluate.words import metric_title, number

__all__ = ["CALIBRATION_ERROR", "SELECTION"]


def _selection(context: ReportContext) -> str:
    found = context.part(Selection)
    if found is None:
        return ""
    title = escape(metric_title(context.task.metric))
    best = told("parts.selection.best", found.best, number(found.best))
    honest = told("parts.selection.corrected", found.corrected, number(found.corrected))
    luck = told("parts.selection.optimism", found.optimism, number(found.optimism, 2))
    where = (
        "The score of the test rows has no such luck in it."
        if context.evaluation.basis == "test"
        else "No rows were held out, so the score of this report has been lowered by as much."
    )
    return section(
        "selection",
        "What choosing adds",
        f"<p>The best of {found.n_trials:,} trials has a {title} of {best} on the folds. It was chosen by that number, so "
        f"some of it is luck: chosen on some rows and judged on others it comes to <strong>{honest}</strong>, {luck} less "
        f"good. {where}</p>",
    )


def _calibration_error(context: ReportContext) -> str:
    found = context.part(CalibrationError)
    if found is None:
        return ""
    error = told("parts.calibration_error.error", found.error, _points(found.error))
    most = told("parts.calibration_error.floor_high", found.floor_high, _points(found.floor_high))
    floor = told("parts.calibration_error.floor", found.floor, _points(found.floor))
    said = (
        "So nothing says that they are off."
        if found.is_chance
        else f"So they are off by more than chance: by {_points(found.debiased)} points, as a root mean square without what chance adds."
    )
    return section(
        "calibration-error",
        "Are probabilities off beyond chance?",
        f"<p>Probabilities lie {error} points of 100 away from what came true, on average over {found.n_bins} groups of like "
        f"rows. A perfect model would show {floor} on {found.n_rows:,} rows, and up to {most} in 19 of 20 cases. "
        f"<strong>{said}</strong></p>",
    )


def _points(value: float) -> str:
    return number(100 * value, 2)


SELECTION = Section("selection", "What choosing adds", _selection)
CALIBRATION_ERROR = Section("calibration-error", "Are probabilities off beyond chance?", _calibration_error)

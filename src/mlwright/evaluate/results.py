"""Results: the sections of a report that tell what was measured, each a function from the context to safe HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.data.schema import TaskKind
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.evaluation import Evaluation
from mlwright.evaluate.markup import HTML, Cell, escape, figure, section, table, told
from mlwright.evaluate.words import (
    baseline_name,
    capital,
    comparison,
    label,
    metric_meaning,
    metric_note,
    metric_title,
    number,
    of_hundred,
    percent,
    ranged,
)
from mlwright.metrics.intervals import Interval

__all__ = ["calibration", "decisions", "errors", "importance", "importance_plot", "score_plot", "scores"]

_MOST_CLASSES = 10
_CLOUD = (
    "Small dots are rows. Large dots are groups of rows with like predictions: their mean, and the middle 80% of "
    "their true values."
)
_DIAGONAL = "On the diagonal, 30% means 30 of 100. Upright bars are ranges."
_APART = "Each colour adds up to 100%. The further apart the two, the better."


def _range(part: Interval) -> str:
    return f"{number(part.low, pad=True)} to {number(part.high, pad=True)}"


def _positive(evaluation: Evaluation) -> str:
    return f"{evaluation.task.target} = {label(evaluation.task.labels[1])}"


def score_plot(evaluation: Evaluation, model: str = "this model") -> str:
    """Return the deciding metric of the candidate beside its baselines, each with its interval."""
    metric = evaluation.metric

    def bar(name: str, score: Interval, series: int) -> plots.Bar:
        text = f"{number(score.estimate, pad=True)}  ({_range(score)})"
        return plots.Bar(name, score.estimate, score.low, score.high, text, series)

    items = [bar(model, evaluation.score, 0)]
    items += [
        bar(baseline_name(name), part.score, 1 if name == "linear" else 2)
        for name, part in sorted(evaluation.baselines.items(), reverse=True)
    ]
    return plots.bars(
        items,
        title=f"{metric_title(metric)} beside simple models",
        axis=f"{capital(metric_title(metric))} ({metric_note(metric)})",
    )


def importance_plot(evaluation: Evaluation, most: int = 20) -> str:
    """Return what each raw column is worth, the most important first."""
    found = evaluation.importance[:most]
    title = metric_title(evaluation.metric)
    items = [
        plots.Bar(item.column, item.mean, item.low, item.high, number(item.mean, 2, pad=True))
        for item in found
    ]
    return plots.bars(
        items,
        title="What each column is worth",
        axis=f"how much worse {title} gets when the column is shuffled",
    )


def scores(context: ReportContext) -> str:
    """Return the scores with intervals beside the baselines."""
    evaluation = context.evaluation
    basis = (
        f"Measured on {evaluation.n_rows:,} rows that no trial saw."
        if evaluation.basis == "test"
        else f"Measured by cross-validation on {evaluation.n_rows:,} rows, each predicted by a model that had not seen it. "
        "No rows were held out, and the search chose by the same rows, so the figures lean to the good side; "
        "the first metric has been lowered by what choosing adds (What choosing adds)."
    )

    def rows() -> Iterator[Sequence[Cell]]:
        for name, score in evaluation.scores.items():
            title = escape(capital(metric_title(name)))
            yield (
                Cell(f"<b>{title}</b>" if name == evaluation.metric else title, head=True),
                Cell(
                    told(f"scores.{name}.estimate", score.estimate, number(score.estimate, pad=True)),
                    number=True,
                ),
                Cell(
                    " to ".join(
                        told(
                            f"scores.{name}.{end}", getattr(score, end), number(getattr(score, end), pad=True)
                        )
                        for end in ("low", "high")
                    ),
                    number=True,
                ),
                Cell(f"{escape(metric_meaning(name))} <small>({metric_note(name)})</small>"),
            )

    against = "".join(
        f'<li class="verdict {said}">{text}</li>' for said, text in comparison(evaluation, HTML)
    )
    return section(
        "scores",
        "Scores",
        f"<p>{basis} Ranges are {percent(evaluation.score.level)} intervals: how far the score moves when parts of these rows are left out.</p>",
        f'<div class="pair">{figure(score_plot(evaluation))}<ul class="verdicts">{against}</ul></div>',
        table(
            ("Metric", "Score", "Range", "What it means"), rows(), caption="All metrics; the first decides"
        ),
    )


def decisions(context: ReportContext) -> str:
    """Return which rows are called what; empty for regression."""
    evaluation = context.evaluation
    found = evaluation.confusion
    if found is None:
        return ""
    names, matrix = _fewer([label(part.label) for part in found.classes], found.matrix)

    def rows() -> Iterator[Sequence[Cell]]:
        for part in sorted(found.classes, key=lambda part: -part.recall.total)[: 5 * _MOST_CLASSES]:
            yield (
                Cell(escape(label(part.label)), head=True),
                Cell(f"{part.recall.total:,}", number=True),
                Cell(
                    f"{percent(part.precision.share)} <small>({ranged(part.precision)})</small>", number=True
                ),
                Cell(f"{percent(part.recall.share)} <small>({ranged(part.recall)})</small>", number=True),
            )

    rule = (
        f"A row is called <b class='name'>{escape(label(evaluation.task.labels[1]))}</b> from a probability of "
        f"{percent(found.threshold)} on."
        if found.threshold is not None
        else "A row is called by its mean grade, rounded."
        if evaluation.task.is_ordinal
        else "A row is called by its most probable class."
    )
    plot = plots.heat(
        names, matrix, title="Truth against decision", x_label="called \u2192", y_label="truth \u2193"
    )
    heads = ("Class", "Rows", "Right of those called so", "Found of those that are")
    return section(
        "decisions",
        "Right and wrong",
        f"<p>{rule} Shares are of each true class.</p>",
        f'<div class="pair">{figure(plot)}'
        + table(heads, rows(), caption="By class, with the range")
        + "</div>",
        _ranking(evaluation),
    )


def _ranking(evaluation: Evaluation) -> str:
    """Show what the order of the scores is worth, whatever the threshold (binary only)."""
    if not evaluation.roc:
        return ""
    rows = (
        (
            Cell(f"top {part.top * 100:.0f}%", head=True),
            Cell(f"{part.hits.total:,}", number=True),
            Cell(f"{of_hundred(part.hits.share)} <small>({ranged(part.hits)})</small>", number=True),
            Cell(escape(number(part.lift, 2, pad=True)), number=True),
        )
        for part in evaluation.lifts
    )
    heads = ("Highest scores", "Rows", f"{_positive(evaluation)}, of 100", "Times chance")
    rank = table(heads, rows, caption="The rows with the highest scores, with the range")
    curve = figure(_roc_plot(evaluation), "Each point is a threshold: what it finds, and what that costs.")
    return f'<h3>If only the highest scores can be acted on</h3><div class="pair">{curve}{rank if evaluation.lifts else ""}</div>'


def _fewer(names: list[str], matrix: Sequence[Sequence[int]]) -> tuple[list[str], list[list[int]]]:
    """Keep the most frequent classes and put the others together, so that a plot can be read."""
    if len(names) <= _MOST_CLASSES + 1:
        return names, [list(row) for row in matrix]
    kept = sorted(sorted(range(len(names)), key=lambda i: -sum(matrix[i]))[:_MOST_CLASSES])
    place = {code: i for i, code in enumerate(kept)}
    merged = [[0] * (_MOST_CLASSES + 1) for _ in range(_MOST_CLASSES + 1)]
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            merged[place.get(i, _MOST_CLASSES)][place.get(j, _MOST_CLASSES)] += count
    return [*(names[code] for code in kept), "all others"], merged


def errors(context: ReportContext) -> str:
    """Return how far off values are; empty for classes."""
    evaluation = context.evaluation
    found = evaluation.residuals
    if found is None:
        return ""
    target = evaluation.task.target
    binned = plots.Line(
        "means",
        [(part.predicted, part.observed) for part in evaluation.calibration],
        [(part.low, part.high) for part in evaluation.calibration],
    )
    cloud = plots.scatter(
        [(predicted, truth) for truth, predicted in found.points],
        binned,
        title="Truth against prediction",
        x_label=f"predicted {target}",
        y_label=f"true {target}",
        description="Points on the diagonal are predicted exactly.",
    )
    shape = plots.histogram(
        evaluation.distribution.edges,
        [
            (name, values, colour)
            for (name, values), colour in zip(evaluation.distribution.counts.items(), (2, 0), strict=True)
        ],
        title="Predicted and true values",
        x_label=target,
    )
    way = "above" if found.bias > 0 else "below"
    sizes = table(
        ("Of 100 predictions", "are within"),
        (
            (Cell(f"{float(share) * 100:.0f}", head=True), Cell(f"\u00b1{number(size)}", number=True))
            for share, size in found.quantiles.items()
        ),
        caption="How far off predictions are",
    )
    return section(
        "errors",
        "How far off",
        f"<p>On average predictions lie {number(abs(found.bias))} {way} the truth "
        f"(standard error {number(found.bias_error)}). "
        f"Of 100 predictions, <strong>{ranged(found.within_tenth)}</strong> are within 10% of the truth.</p>",
        f'<div class="pair">{figure(cloud, _CLOUD, title="Row by row")}'
        f"<div>{figure(shape, title='All values together')}{sizes}</div></div>",
    )


def calibration(context: ReportContext) -> str:
    """Return whether probabilities can be taken at their word; empty for regression."""
    evaluation = context.evaluation
    if evaluation.task.kind is TaskKind.REGRESSION:
        return ""
    binary = evaluation.task.kind is TaskKind.BINARY
    curve = plots.lines(
        [
            plots.Line(
                "observed",
                [(part.predicted, part.observed) for part in evaluation.calibration],
                [(part.low, part.high) for part in evaluation.calibration],
            )
        ],
        title="Can its probabilities be taken at their word?",
        x_label="probability that it gives",
        y_label="share that came true" if binary else "share that was right",
        description="Points on the diagonal mean that probabilities can be taken at their word. "
        + "; ".join(
            f"{percent(p.predicted)} given, {percent(p.observed)} seen" for p in evaluation.calibration
        ),
        square=True,
    )
    counts = evaluation.distribution.counts
    series = [
        (
            f"{evaluation.task.target} = {label(evaluation.task.labels[int(name)])}" if binary else name,
            values,
            colour,
        )
        for (name, values), colour in zip(counts.items(), (2, 0) if binary else (0, 1), strict=True)
    ]
    shape = plots.histogram(
        evaluation.distribution.edges,
        series,
        title="The probabilities that it gives",
        x_label=f"probability of {_positive(evaluation)}"
        if binary
        else "probability of the class that it calls",
        shares=True,
        mark=evaluation.task.cut if binary else None,
    )
    return section(
        "calibration",
        "Probabilities",
        f'<div class="pair">{figure(curve, _DIAGONAL, title="Can they be taken at their word?")}'
        f"{figure(shape, _APART, title='How sure it is')}</div>",
    )


def _roc_plot(evaluation: Evaluation) -> str:
    return plots.lines(
        [plots.Line("this model", evaluation.roc)],
        title="Found against false alarms (ROC)",
        x_label="false alarms, of all others",
        y_label=f"found, of all {_positive(evaluation)}",
        description="The further the line lies above the diagonal, the better.",
        square=True,
    )


def importance(context: ReportContext) -> str:
    """Return what each column is worth; empty if that was not measured."""
    evaluation = context.evaluation
    if not evaluation.importance:
        return ""
    shown, known = min(20, len(evaluation.importance)), len(evaluation.importance)
    return section(
        "importance",
        "What drives it",
        "<p>Each column was shuffled among the rows, and the score measured again: the more is lost, the more the model "
        "leans on that column. Of columns that say the same thing each may look unimportant. This is what the model "
        "uses, not what causes the outcome.</p>",
        figure(
            importance_plot(evaluation),
            f"{shown} of {known} columns; whiskers are 95% ranges, for other rows and shuffles.",
        ),
    )

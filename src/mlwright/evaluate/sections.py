"""Sections: the parts of a report below its first screen, and those that tell how the model was made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlwright.data.findings import Severity
from mlwright.data.schema import Column
from mlwright.evaluate import plots, quickness, results
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.coverage_section import COVERAGE
from mlwright.evaluate.effects_section import EFFECTS
from mlwright.evaluate.fairness_section import FAIRNESS
from mlwright.evaluate.honesty_section import CALIBRATION_ERROR, SELECTION
from mlwright.evaluate.label_noise_section import LABEL_NOISE
from mlwright.evaluate.markup import Cell, escape, figure, section, table
from mlwright.evaluate.money_section import MONEY
from mlwright.evaluate.score_section import READINESS
from mlwright.evaluate.slices_section import SLICES
from mlwright.evaluate.words import capital, metric_note, metric_title, number, percent
from mlwright.metrics import get

__all__ = ["SECTIONS"]

_MOST_COLUMNS = 400
_MOST_TRIALS = 20
_ACCEPTED = " <strong>Accepted:</strong> without that the run would have stopped here."
_MARKS = {Severity.STOP: "Stop", Severity.WARN: "Look", Severity.INFO: "Note"}


def _missing(context: ReportContext, column: Column) -> str:
    share = context.missing.get(column.name)
    if share is None:
        return "never" if column.required else "may be"
    return f"{100 * share:.3g} %" if share else "never"


def _n(value: float) -> Cell:
    return Cell(escape(number(value, pad=True)), number=True)


def _data(context: ReportContext) -> str:
    def rows() -> Iterator[Sequence[Cell]]:
        for column in context.schema.columns[:_MOST_COLUMNS]:
            yield (
                Cell(escape(column.name), head=True),
                Cell(escape(column.kind)),
                Cell(
                    f'<span class="tag">{escape(column.role)}</span>'
                    if column.role != "feature"
                    else "feature"
                ),
                Cell(_missing(context, column)),
                Cell(escape(column.why)),
            )

    more = len(context.schema.columns) - _MOST_COLUMNS
    intro = f"<p>{context.n_rows:,} rows and {len(context.schema.columns):,} columns.</p>"
    return section(
        "data",
        "The data",
        intro,
        table(
            ("Column", "Kind", "Role", "Missing", "Why"),
            rows(),
            caption="What was read, and why it is read so",
        ),
        f"<p>{more:,} more columns are not shown.</p>" if more > 0 else "",
    )


def _findings(context: ReportContext) -> str:
    if not context.findings:
        return section("findings", "Findings", "<p>The checks found nothing to report.</p>")
    order = list(_MARKS)
    items = [
        f'<li class="finding {escape(found.severity)}"><span class="mark">{_MARKS[found.severity]}</span>'
        f"<div><p>{escape(found.what)}{_ACCEPTED if found.severity is Severity.STOP else ''}</p>"
        f'<p class="advice">{escape(found.advice)} <code>{escape(found.code)}</code></p></div></li>'
        for found in sorted(context.findings, key=lambda found: order.index(found.severity))
    ]
    return section("findings", "Findings", f'<ul class="findings">{"".join(items)}</ul>')


def _split(context: ReportContext) -> str:
    split = context.split
    n_train, n_test = int(split.get("n_train", 0)), int(split.get("n_test", 0))
    column = f" by <b class='name'>{escape(split['column'])}</b>" if split.get("column") else ""
    total, claim = max(1, n_train + n_test), split.get("random_would_claim")
    items = [("Searched and trained on", float(n_train), f"{n_train:,} rows ({percent(n_train / total)})")]
    if n_test:
        items.append(("Held out for the test", float(n_test), f"{n_test:,} rows ({percent(n_test / total)})"))
    return section(
        "split",
        "The split",
        f"<p>Kind: <strong>{escape(split.get('kind', 'unknown'))}</strong>{column}. {escape(split.get('reason', ''))}</p>",
        f"<p>{escape(claim['said'])}</p>" if claim else "",
        figure(
            plots.parts(items, title="Rows by use"),
            f"The search compared trials on {int(split.get('n_folds', 0))} folds of the training rows.",
        ),
    )


def _ordered(context: ReportContext) -> list[dict[str, Any]]:
    """Trials: those of the blend, then the others, the best first; those without a score last."""
    turn = -1.0 if get(context.task.metric).greater_is_better else 1.0

    def key(trial: dict[str, Any]) -> tuple[bool, float, int]:
        score = turn * _known(trial.get("score"))
        return not trial.get("weight"), score if math.isfinite(score) else math.inf, trial.get("number", 0)

    return sorted(context.trials, key=key)


def _search(context: ReportContext) -> str:
    if not context.trials:
        return section("search", "The search", "<p>No trials were recorded.</p>")
    ordered, title = _ordered(context), metric_title(context.task.metric)
    blended = any(trial.get("weight") for trial in ordered)

    def cells(trial: Mapping[str, Any]) -> Iterator[Cell]:
        weight = trial.get("weight")
        folds = "  ".join(number(_known(score), pad=True) for score in trial.get("fold_scores") or ())
        yield Cell(str(int(trial.get("number", 0))), number=True)
        again = " again" if trial.get("repeat") else ""
        yield Cell(f"<b>{escape(trial.get('model', ''))}</b>{again}")
        yield Cell(escape(trial.get("view", "")))
        yield _n(_known(trial.get("score")))
        yield Cell(f'<span class="folds">{escape(folds)}</span>')
        if blended:
            yield Cell(escape(percent(weight)) if weight else "", number=True)
        yield Cell(f'<span class="params">{escape(_params(trial))}</span>')

    heads = (
        "No.",
        "Model",
        "View",
        capital(title),
        "By fold",
        *(("Weight",) if blended else ()),
        "Parameters",
    )
    more = len(ordered) - _MOST_TRIALS
    order = "those with a weight, then the others, the best first" if blended else "the best first"
    return section(
        "search",
        "The search",
        f"<p>{len(ordered):,} trials, compared by {escape(title)} ({metric_note(context.task.metric)}) on the folds. "
        + ("The model is a weighted mean of those with a weight. " if blended else "")
        + (
            "As rows are few, the best were tried again on other folds, so that chance decides less."
            if any(trial.get("repeat") for trial in ordered)
            else ""
        )
        + "</p>",
        figure(
            _trial_plot(context, title),
            "Each dot is a trial; the line is the best so far. The dummy, and what is no better than it, is left out.",
        ),
        table(heads, (tuple(cells(trial)) for trial in ordered[:_MOST_TRIALS]), caption=f"Trials: {order}"),
        f"<p>{more:,} more trials are in the run's own record (trials.json in MLflow).</p>"
        if more > 0
        else "",
        _curves(ordered),
        _parameters(context),
    )


def _curves(ordered: Sequence[Mapping[str, Any]]) -> str:
    """Draw how the validation loss of the heaviest learners fell with the iterations, on their first fold."""
    told = [(trial, (trial.get("told") or {}).get("curve") or []) for trial in ordered]
    shown = [(trial, curve) for trial, curve in told if len(curve) > 2][:3]
    if not shown:
        return ""
    drawn = plots.lines(
        [
            plots.Line(
                f"{trial['number']}: {trial['model']}",
                [(float(at), float(loss) / float(curve[0][1] or 1.0)) for at, loss in curve],
                series=place,
            )
            for place, (trial, curve) in enumerate(shown)
        ],
        title="Learning curves",
        x_label="iteration",
        y_label="validation loss against that of the first",
        description="The validation loss of the first fold by iteration, for up to three trials.",
    )
    return figure(drawn, "The loss of rows that the model was not fitted on, iteration by iteration.")


def _parameters(context: ReportContext) -> str:
    if not context.parameters:
        return ""

    def cells(model: str, name: str, share: float) -> Iterator[Cell]:
        yield Cell(escape(model), head=True)
        yield Cell(escape(name))
        yield Cell(escape(percent(share)), number=True)

    rows = (
        tuple(cells(model, name, share))
        for model, shares in sorted(context.parameters.items())
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    )
    caption = "Hyperparameters: the share of the difference between a learner's trials that each explains"
    return table(("Learner", "Hyperparameter", "Share"), rows, caption=caption)


def _known(score: float | None) -> float:
    return math.nan if score is None else float(score)


def _params(trial: Mapping[str, Any]) -> str:
    known = dict(trial.get("params") or {})
    if trial.get("n_iterations"):
        known["n_iterations"] = trial["n_iterations"]
    return ", ".join(
        f"{key} {number(value) if isinstance(value, float) else value}"
        for key, value in sorted(known.items())
    )


def _trial_plot(context: ReportContext, title: str) -> str:
    """Draw the trials' scores against the seconds since the search began, or by number where no clock was kept."""
    better = max if get(context.task.metric).greater_is_better else min
    timed = all("finished" in (trial.get("told") or {}) for trial in context.trials)
    floor = next((_known(t.get("score")) for t in context.trials if t.get("model") == "dummy"), math.nan)
    points: list[tuple[float, float]] = []
    best: list[tuple[float, float]] = []
    for trial in sorted(context.trials, key=lambda trial: trial.get("number", 0)):
        score = _known(trial.get("score"))
        if score == floor or better(score, floor) == floor:  # a failed fit would flatten all others
            continue
        if math.isfinite(score) and trial.get("complete", True):
            at = float(trial["told"]["finished"] if timed else trial.get("number", 0))
            points.append((at, score))
            best.append((at, better(score, best[-1][1]) if best else score))
    return plots.lines(
        [
            plots.Line("a trial", points, series=2, stroke=False),
            plots.Line("best so far", best, series=0),
        ],
        title="The search, trial by trial",
        x_label="seconds of search" if timed else "trial number",
        y_label=capital(title),
        description=f"{len(points)} trials; the best has {number(best[-1][1]) if best else 'no score'}.",
        steps=True,
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in sorted(tree.items()):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        elif value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            yield f"{prefix}{key}", shown


def _lineage(context: ReportContext) -> str:
    told = {
        key: value
        for key, value in context.lineage.items()
        if key not in ("reproduce", "project", "contract")
    }
    settings = context.lineage.get("project") or {}
    chosen = {key: value for key, value in _flat(settings) if value} if isinstance(settings, Mapping) else {}
    notes = "".join(f"<li>{escape(note)}</li>" for note in context.notes)
    return section(
        "lineage",
        "Where it comes from",
        _values("What", ((key, value) for key, value in _flat(told) if value), "Data, code and packages"),
        _values("Setting", chosen.items(), "The project's settings") if chosen else "",
        f'<p>To make the same model again, with the number of its version:</p><pre class="command"><code>{escape(context.reproduce)}</code></pre>',
        f"<h3>Notes</h3><ul>{notes}</ul>" if notes else "",
    )


def _values(what: str, items: Iterable[tuple[str, str]], caption: str) -> str:
    rows = (
        (Cell(escape(key), head=True), Cell(f'<code class="long">{escape(value)}</code>'))
        for key, value in items
    )
    return table((what, "Value"), rows, caption=caption)


# In the order of the page. What is measured beside the evaluation has a file of its own that ends with its `Section`.
SECTIONS: tuple[Section, ...] = (
    # the data
    Section("data", "The data", _data),
    Section("findings", "Findings", _findings),
    LABEL_NOISE,
    # how it was tested
    Section("split", "The split", _split),
    # how it was made
    Section("search", "The search", _search),
    SELECTION,
    # how good it is
    Section("scores", "Scores", results.scores),
    Section("decisions", "Right and wrong", results.decisions),
    Section("errors", "How far off", results.errors),
    MONEY,
    Section("calibration", "Probabilities", results.calibration),
    CALIBRATION_ERROR,
    COVERAGE,
    # where it is weaker, and for whom
    SLICES,
    FAIRNESS,
    # why it says what it says
    Section("importance", "What drives it", results.importance),
    EFFECTS,
    # how quick it is
    quickness.SECTION,
    # where it comes from, and how far it is ready
    READINESS,
    Section("lineage", "Where it comes from", _lineage),
)

"""Card: the model card, as Markdown. What only a person can say is marked so."""

from __future__ import annotations

import re

from mlwright.data.schema import Role, TaskKind
from mlwright.evaluate.cautions import cautions
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.drivers import drivers
from mlwright.evaluate.group_words import NamedGroups, where
from mlwright.evaluate.summary import summary
from mlwright.evaluate.words import (
    Voice,
    capital,
    headline,
    label,
    metric_note,
    metric_title,
    number,
    percent,
    ranged,
)

__all__ = ["PERSON", "VOICE", "card", "code", "plain"]

PERSON = "*For a person to fill in:*"


def plain(text: object) -> str:
    """Escape what Markdown, and HTML within it, would read as marks."""
    flat = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", flat.replace("&", "&amp;"))


def code(text: object) -> str:
    """Return inline code that holds any text: the fence is longer than any run of backticks within."""
    flat = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


VOICE = Voice(name=lambda text: f"**{plain(text)}**", strong=lambda text: f"**{plain(text)}**", text=plain)


def card(context: ReportContext) -> str:
    """Return the model card, with the nine sections of Mitchell et al.

    Parameters
    ----------
    context : ReportContext
        What is known.

    References
    ----------
    M. Mitchell et al., "Model Cards for Model Reporting", FAT* (2019).
    """
    sections = (
        ("Model details", _details(context)),
        ("Intended use", _use(context)),
        ("Factors", _factors(context)),
        ("Metrics", _metrics(context)),
        ("Evaluation data", _evaluation_data(context)),
        ("Training data", _training_data(context)),
        ("Quantitative analyses", _analyses(context)),
        ("Ethical considerations", _ethics(context)),
        ("Caveats and recommendations", _caveats(context)),
    )
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections)
    return f"# Model card: {plain(context.name)}\n\n{headline(context.task, VOICE)}.\n\n{body}\n"


def _details(context: ReportContext) -> list[str]:
    lines = [
        f"- Model {trial.get('number', '')}: {plain(trial.get('model', ''))}, view {plain(trial.get('view', ''))}, "
        f"weight {percent(trial['weight'])}"
        for trial in context.members
    ]
    lines += [
        f"- {plain(str(key).replace('_', ' '))}: {code(value)}"
        for key, value in sorted(context.lineage.items())
        if key != "reproduce" and value is not None and not isinstance(value, (dict, list, tuple))
    ]
    return [
        *lines,
        f"- Made again by: {code(context.reproduce)}",
        f"- {PERSON} who owns it, whom to ask, under which licence it may be used.",
    ]


def _use(context: ReportContext) -> list[str]:
    what = "a probability for each class" if context.task.labels else "a number"
    return [
        f"- It gives {what} from {len(context.schema.features)} columns of one row.",
        f"- {PERSON} what it is for, who uses it, and what it must not be used for.",
    ]


def _factors(context: ReportContext) -> list[str]:
    top = [f"{plain(item.column)} ({number(item.mean, 2)})" for item in context.evaluation.importance[:5]]
    known = f"- The columns that it leans on most (how much worse {metric_title(context.task.metric)} gets when one is shuffled): "
    return [
        *([known + ", ".join(top) + "."] if top else []),
        *(f"- {text}" for text in drivers(context, VOICE)),
        f"- {PERSON} groups of people or things for which it may work better or worse.",
    ]


def _metrics(context: ReportContext) -> list[str]:
    name = context.task.metric
    lines = [f"- It was chosen by {metric_title(name)} ({metric_note(name)})."]
    confusion = context.evaluation.confusion
    if confusion is not None and confusion.threshold is not None:
        positive = plain(label(context.task.labels[1]))
        lines.append(f"- A row is called {positive} from a probability of {percent(confusion.threshold)} on.")
    level = percent(context.evaluation.score.level)
    return [*lines, f"- Ranges are {level} intervals: jackknife for scores, Wilson for shares."]


def _evaluation_data(context: ReportContext) -> list[str]:
    evaluation, split = context.evaluation, context.split
    if evaluation.basis == "test":
        lines = [f"- {evaluation.n_rows:,} rows that were held out and that no trial saw."]
    else:
        lines = [
            f"- No rows were held out. {evaluation.n_rows:,} rows were predicted by cross-validation.",
            "- The search chose by the same rows, so the figures lean to the good side.",
        ]
    return [*lines, f"- Split: {plain(split.get('kind', 'unknown'))}. {plain(split.get('reason', ''))}"]


def _training_data(context: ReportContext) -> list[str]:
    fed = ", ".join(plain(column.name) for column in context.schema.features[:60])
    left = len(context.schema.features) - 60
    lines = [
        f"- {context.n_rows:,} rows in all, {int(context.split.get('n_train', 0)):,} of them for search and training.",
        f"- Columns that it learns from: {fed}{f' and {left} more' if left > 0 else ''}.",
    ]
    ignored = context.schema.having(Role.IGNORED)
    if ignored:
        lines.append("- Columns left out: " + ", ".join(plain(column.name) for column in ignored[:60]) + ".")
    return [*lines, f"- {PERSON} how the data was gathered, and whom or what it leaves out."]


def _analyses(context: ReportContext) -> list[str]:
    evaluation, said = context.evaluation, summary(context, VOICE)
    lines = [said.lead, "", *(f"- {text}" for _, text in said.against), ""]
    lines += ["| Metric | Score | Range |", "|---|---:|---:|"]
    lines += [
        f"| {plain(capital(metric_title(name)))} | {number(score.estimate, pad=True)} "
        f"| {number(score.low, pad=True)} to {number(score.high, pad=True)} |"
        for name, score in evaluation.scores.items()
    ]
    if evaluation.confusion is not None:
        lines += [
            "",
            "| Class | Rows | Right of those called so | Found of those that are |",
            "|---|---:|---:|---:|",
        ]
        lines += [
            f"| {plain(label(part.label))} | {part.recall.total:,} | {percent(part.precision.share)} "
            f"({ranged(part.precision)}) | {percent(part.recall.share)} ({ranged(part.recall)}) |"
            for part in evaluation.confusion.classes[:50]
        ]
    return [*lines, *_groups(context)]


def _groups(context: ReportContext) -> list[str]:
    """Return the score of each group of the columns that the user named."""
    part = context.part(NamedGroups)
    groups = [group for found in part.columns for group in found.groups] if part else []
    if not groups:
        return []
    head = f"| Group | Rows | {plain(capital(metric_title(context.task.metric)))} | Range |"
    return [
        "",
        head,
        "|---|---:|---:|---:|",
        *(
            f"| {plain(where([group.condition]))} | {group.n_rows:,} | {number(group.score.estimate, pad=True)} "
            f"| {number(group.score.low, pad=True)} to {number(group.score.high, pad=True)} |"
            for group in groups
        ),
    ]


def _ethics(context: ReportContext) -> list[str]:
    about = "The outcome" if context.task.kind is not TaskKind.REGRESSION else "The number"
    return [
        f"- {about} is learned from what was recorded, faults of the records included.",
        f"- {PERSON} whether it decides about people, what a wrong answer does to them, and who may object where.",
    ]


def _caveats(context: ReportContext) -> list[str]:
    found = [f"- {text}" for _, text in cautions(context, VOICE)]
    notes = [f"- {plain(note)}" for note in context.notes]
    return [
        *found,
        *notes,
        "- What drives it says what the model uses, not what causes the outcome.",
        f"- {PERSON} when it should be looked at again.",
    ]

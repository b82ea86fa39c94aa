"""Card: the model card of a bundle without a target, as Markdown. What only a person can say is marked so."""

from __future__ import annotations

from mlwright.evaluate.card import PERSON, VOICE, code, plain
from mlwright.evaluate.unlabelled import Anomalies, UnlabelledContext
from mlwright.evaluate.unlabelled_words import (
    answer,
    cautions,
    headline,
    label_lines,
    map_words,
    reason,
    stability_words,
)
from mlwright.evaluate.words import percent

__all__ = ["card"]


def card(context: UnlabelledContext) -> str:
    """Return the model card, with the nine sections of Mitchell et al.; see `mlwright.evaluate.card`.

    Parameters
    ----------
    context : UnlabelledContext
        What is known.
    """
    sections = (
        ("Model details", _details(context)),
        ("Intended use", _use(context)),
        ("Factors", [f"- {PERSON} groups of people or things that the answer may treat differently."]),
        ("Metrics", [f"- {stability_words(context, VOICE)}", *_label(context)]),
        ("Evaluation data", _evaluation(context)),
        ("Training data", _training(context)),
        ("Quantitative analyses", _analyses(context)),
        ("Ethical considerations", _ethics()),
        ("Caveats and recommendations", _caveats(context)),
    )
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections)
    return f"# Model card: {plain(context.name)}\n\n{headline(context, VOICE)}.\n\n{body}\n"


def _details(context: UnlabelledContext) -> list[str]:
    about = context.about
    how = (
        "an isolation forest, ECOD and the distance to the nearest training rows, averaged as ranks"
        if isinstance(about, Anomalies)
        else about.method
    )
    lines = [f"- How: {plain(how)}."]
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


def _use(context: UnlabelledContext) -> list[str]:
    what = (
        "a score from 0 to 1, the share of the training rows that are less unusual, and why"
        if isinstance(context.about, Anomalies)
        else "the group that a row belongs to, how clearly, and why"
    )
    return [
        f"- It gives {what}, from {len(context.schema.features)} columns of one row.",
        f"- {PERSON} what it is for, who uses it, and what it must not be used for.",
    ]


def _label(context: UnlabelledContext) -> list[str]:
    return [f"- {line}" for line in label_lines(context, VOICE)]


def _evaluation(context: UnlabelledContext) -> list[str]:
    split = context.split
    n_test = int(split.get("n_test", 0))
    lines = [f"- {n_test:,} rows that were kept aside." if n_test else "- No rows were kept aside."]
    return [*lines, f"- Split: {plain(split.get('kind', 'unknown'))}. {plain(split.get('reason', ''))}"]


def _training(context: UnlabelledContext) -> list[str]:
    fed = ", ".join(plain(column.name) for column in context.schema.features[:60])
    left = len(context.schema.features) - 60
    return [
        f"- {context.n_rows:,} rows in all, {int(context.split.get('n_train', 0)):,} of them to learn from.",
        f"- Columns that it learns from: {fed}{f' and {left} more' if left > 0 else ''}.",
        f"- {PERSON} how the data was gathered, and whom or what it leaves out.",
    ]


def _analyses(context: UnlabelledContext) -> list[str]:
    about = context.about
    lines = [answer(context, VOICE), ""]
    if isinstance(about, Anomalies):
        lines += ["| Row | Score | Why |", "|---:|---:|---|"]
        lines += [
            f"| {row.number:,} | {row.score:.4f} | {'; '.join(reason(each, VOICE) for each in row.why)} |"
            for row in about.rows[:10]
        ]
    else:
        lines += [
            plain(about.why),
            "",
            "| Group | Rows | Share | What sets it apart |",
            "|---|---:|---:|---|",
        ]
        lines += [
            f"| {plain(each.name)} | {each.n_rows:,} | {percent(each.share)} | {plain('; '.join(each.traits))} |"
            for each in about.clusters
        ]
    return [*lines, "", plain(map_words(context))]


def _ethics() -> list[str]:
    return [
        "- It was told by nobody what is right: it describes the rows that were recorded, faults included.",
        f"- {PERSON} whether it decides about people, what a wrong answer does to them, and who may object where.",
    ]


def _caveats(context: UnlabelledContext) -> list[str]:
    found = [f"- {text}" for _, text in cautions(context, VOICE)]
    notes = [f"- {plain(note)}" for note in context.notes]
    return [*found, *notes, f"- {PERSON} when it should be looked at again."]

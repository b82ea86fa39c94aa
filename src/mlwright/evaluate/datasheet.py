"""Datasheet: what is known of the data, as Markdown, with the questions that only the people behind it can answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlwright.data.findings import Severity
from mlwright.data.schema import Role, TaskKind
from mlwright.evaluate.card import PERSON, code, plain
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.nouns import ROWS, rows_called
from mlwright.evaluate.unlabelled import UnlabelledContext
from mlwright.evaluate.words import label, number, percent

__all__ = ["datasheet"]

_MOST_COLUMNS = 200


def datasheet(context: ReportContext | UnlabelledContext) -> str:
    """Return the datasheet, with the seven sections of Gebru et al.

    Parameters
    ----------
    context : ReportContext or UnlabelledContext
        What is known.

    References
    ----------
    T. Gebru et al., "Datasheets for Datasets", Communications of the ACM 64 (2021).
    """
    sections = (
        (
            "Motivation",
            [
                f"- {PERSON} for what purpose the data was made, by whom and for whom, and who paid for it.",
            ],
        ),
        ("Composition", _composition(context)),
        ("Collection process", _collection(context)),
        ("Preprocessing, cleaning and labelling", _preprocessing(context)),
        ("Uses", _uses(context)),
        (
            "Distribution",
            [
                (
                    "- mlwright keeps the rows in its store, as a snapshot; it sends them nowhere. The bundle holds no rows but the few "
                    "that prove it, without the values of columns marked as personal."
                ),
                f"- {PERSON} who else has or will get the data, under which licence or terms, and whether laws limit that.",
            ],
        ),
        (
            "Maintenance",
            [
                f"- The snapshot is known by its fingerprint {code(context.lineage.get('data', 'unknown'))}; other data has another.",
                f"- {PERSON} who keeps the data, whom to ask, how it is corrected and renewed, and when rows must be deleted.",
            ],
        ),
    )
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections)
    return f"# Datasheet: the data of {plain(context.name)}\n\n{body}\n"


def _composition(context: ReportContext | UnlabelledContext) -> list[str]:
    schema, rows = context.schema, rows_called(context.schema)
    kinds = Counter(str(column.kind) for column in schema.columns)
    known = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    what = "" if rows == ROWS else f", one for each of the {plain(rows)}"
    lines = [f"- {context.n_rows:,} rows{what}, and {len(schema.columns):,} columns: {known}."]
    lines += _target(context)
    personal = sorted(schema.personal)
    if personal:
        names = ", ".join(plain(name) for name in personal)
        lines.append(f"- Columns with personal data, whose values are shown nowhere: {names}.")
    else:
        lines.append("- No column is marked as personal, and the checks found none.")
    lines += [
        f"- {plain(finding.what)}" for finding in context.findings if finding.severity is not Severity.INFO
    ]
    lines += [
        (
            f"- {PERSON} what one row stands for, whether the rows are all there are or a sample and of what, and whether people can "
            "be recognised."
        ),
        "",
        "| Column | Kind | Role | Missing | How it was read |",
        "|---|---|---|---:|---|",
    ]
    lines += [
        f"| {plain(column.name)} | {column.kind} | {column.role} | {_missing(context, column.name)} | {plain(column.why)} |"
        for column in schema.columns[:_MOST_COLUMNS]
    ]
    more = len(schema.columns) - _MOST_COLUMNS
    return [*lines, *(["", f"{more:,} more columns are not shown."] if more > 0 else [])]


def _target(context: ReportContext | UnlabelledContext) -> list[str]:
    task = context.task
    if isinstance(context, UnlabelledContext):
        return ["- No column is predicted: the rows are described as they are."]
    base = context.evaluation.base
    if task.kind is TaskKind.REGRESSION:
        return [f"- Predicted is {plain(task.target)}, {number(base[0])} on average over the rows evaluated."]
    shares = sorted(zip(task.labels, base, strict=False), key=lambda item: -item[1])[:20]
    told = ", ".join(f"{plain(label(name))} {percent(share)}" for name, share in shares)
    more = f" and {len(task.labels) - 20} more classes" if len(task.labels) > 20 else ""
    return [f"- Predicted is {plain(task.target)}: {told}{more}, of the rows evaluated."]


def _missing(context: ReportContext | UnlabelledContext, name: str) -> str:
    share = context.missing.get(name)
    return "" if share is None else f"{100 * share:.3g} %"


def _collection(context: ReportContext | UnlabelledContext) -> list[str]:
    settings: Any = context.lineage.get("project")
    project = settings if isinstance(settings, dict) else {}
    source = project.get("data.source")
    lines = [f"- Read from {code(source)}."] if source else ["- Read from a table in memory."]
    if project.get("data.query"):
        lines.append(f"- By the query {code(project['data.query'])}.")
    if project.get("data.prepare"):
        lines.append(f"- Written there by {code(project['data.prepare'])}.")
    return [
        *lines,
        (
            f"- {PERSON} how and when the values came about, who gathered them, whether the people knew and agreed, and whether anyone "
            "looked at what it does to them."
        ),
    ]


def _preprocessing(context: ReportContext | UnlabelledContext) -> list[str]:
    ignored = context.schema.having(Role.IGNORED)
    lines = [
        "- Values were read as the table above says; the raw ones are in the snapshot as the source had them."
    ]
    if ignored:
        names = ", ".join(plain(column.name) for column in ignored[:60])
        more = f" and {len(ignored) - 60} more" if len(ignored) > 60 else ""
        lines.append(f"- Left out of what a model sees: {names}{more}.")
    lines += [f"- {plain(note)}" for note in context.notes]
    who = (
        "who decided what the target's values are"
        if context.task.target
        else "who decided what stands in a column"
    )
    return [*lines, f"- {PERSON} what was cleaned or changed before, and {who}."]


def _uses(context: ReportContext | UnlabelledContext) -> list[str]:
    split = context.split
    n_train, n_test = int(split.get("n_train", 0)), int(split.get("n_test", 0))
    return [
        (
            f"- {n_train:,} rows were learned from and {n_test:,} kept aside to judge by. "
            f"Split: {plain(split.get('kind', 'unknown'))}. {plain(split.get('reason', ''))}"
        ),
        f"- {PERSON} what else the data was used for, and what it must not be used for.",
    ]

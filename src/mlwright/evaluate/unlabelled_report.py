"""Report on a table without a target: one self-contained HTML file for people. It holds no script and loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from mlwright.data.findings import Severity
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.markup import HTML, Cell, escape, figure, page, section, table
from mlwright.evaluate.sections import SECTIONS
from mlwright.evaluate.unlabelled import Anomalies, Clusters, UnlabelledContext
from mlwright.evaluate.unlabelled_words import (
    answer,
    cautions,
    headline,
    label_lines,
    map_words,
    reason,
    stability_words,
)
from mlwright.evaluate.words import PLAIN, number, percent

__all__ = ["render"]

_TOP = 10
_COLOURS = 8
_SHARED = ("data", "findings", "lineage")  # sections that read only what both sorts of context have


def render(context: UnlabelledContext) -> str:
    """Return the report as one HTML page; equal contexts give equal pages.

    Parameters
    ----------
    context : UnlabelledContext
        What the report tells.
    """
    shared = {
        part.anchor: (part.title, part.draw(cast("ReportContext", context)))
        for part in SECTIONS
        if part.anchor in _SHARED
    }
    own = _anomaly_sections(context) if isinstance(context.about, Anomalies) else _cluster_sections(context)
    present = [*own, *((anchor, *shared[anchor]) for anchor in _SHARED)]
    present.insert(len(own) + 2, ("split", "The split", _split(context)))
    return page(f"{context.name}: {headline(context, PLAIN)}", _header(context), _summary(context), present)


def _header(context: UnlabelledContext) -> str:
    facts = [
        f"{context.n_rows:,} rows",
        f"{len(context.schema.features):,} columns to learn from",
        f"judged on {context.n_judged:,} rows kept aside"
        if context.split.get("n_test")
        else "no rows kept aside",
        "isolation forest + ECOD + neighbour distance"
        if isinstance(context.about, Anomalies)
        else context.about.method,
    ]
    said = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return (
        f'<header><p class="eyebrow">Model report <span>{escape(context.name)}</span></p>'
        f'<h1>{headline(context, HTML)}</h1><ul class="facts">{said}</ul></header>'
    )


def _summary(context: UnlabelledContext) -> str:
    about = context.about
    said = [
        ("level", stability_words(context, HTML)),
        *(("level", line) for line in label_lines(context, HTML)),
    ]
    if isinstance(about, Clusters):
        said.insert(0, ("better" if about.found else "worse", escape(about.why)))
    told = "".join(f'<li class="verdict {css}">{line}</li>' for css, line in said)
    first = _first_rows(about) if isinstance(about, Anomalies) else _first_clusters(about)
    return (
        '<section class="summary" aria-label="In short"><div class="lead"><div class="lead-text">'
        f'<p class="answer">{answer(context, HTML)}</p><p class="basis">{_basis(context)}</p></div>'
        f'<div class="picture wide">{figure(_map(context), "A map of the rows; see below what it shows")}</div></div>'
        f'<div class="cards"><article><h2>Can it be relied on?</h2><ul class="verdicts">{told}</ul></article>'
        f"{first}{_careful(context)}{_next(context)}</div></section>"
    )


def _basis(context: UnlabelledContext) -> str:
    about = context.about
    if isinstance(about, Anomalies):
        unseen = about.unseen
        if unseen is None:
            return "No rows were kept aside, so nothing is known of rows that the model has not seen."
        return (
            f"Of {unseen.total:,} rows that the model has not seen, {unseen.count:,} are called anomalies: "
            f"{percent(unseen.share)} ({percent(unseen.low)} to {percent(unseen.high)})."
        )
    none = f" {about.n_none:,} rows belong to no group." if about.n_none else ""
    return f"Found by {escape(about.method)}.{none}"


def _map(context: UnlabelledContext) -> str:
    drawn = context.map
    if isinstance(context.about, Anomalies):
        styles = ["s2", "s1"]
    else:
        styles = [f"c{i % _COLOURS}" for i in range(len(context.about.clusters))] + ["s2"]
    x, y = drawn.shares
    counts = "; ".join(
        f"{name}: {sum(mark == i for _, _, mark in drawn.points):,} dots"
        for i, name in enumerate(drawn.marks)
    )
    return plots.cloud(
        drawn.points,
        list(zip(drawn.marks, styles, strict=False)),
        title="A map of the rows",
        x_label=f"first direction ({percent(x)} of the spread)",
        y_label=f"second direction ({percent(y)})",
        description=f"Two principal components. {counts}.",
    )


def _first_rows(about: Anomalies) -> str:
    items = "".join(
        f'<li><span class="mark">row {row.number:,}</span><span>{reason(row.why[0], HTML) if row.why else "unusual as a whole"}</span></li>'
        for row in about.rows[:5]
    )
    more = '<p class="more"><a href="#rows">All that are listed</a></p>'
    return f'<article><h2>The most unusual rows</h2><ul class="cautions">{items}</ul>{more}</article>'


def _first_clusters(about: Clusters) -> str:
    items = "".join(
        f'<li><span class="mark">{escape(percent(each.share))}</span><span><b class="name">{escape(each.name)}</b>: '
        f"{escape('; '.join(each.traits[:2]) or 'like the table as a whole')}</span></li>"
        for each in about.clusters[:8]
    )
    more = '<p class="more"><a href="#clusters">All that sets them apart</a></p>'
    return f'<article><h2>The groups</h2><ul class="cautions">{items}</ul>{more}</article>'


def _careful(context: UnlabelledContext) -> str:
    marks = {Severity.STOP: "Stop", Severity.WARN: "Look", Severity.INFO: "Note"}
    items = "".join(
        f'<li class="{severity}"><span class="mark">{marks[severity]}</span><span>{text}</span></li>'
        for severity, text in cautions(context, HTML)[:6]
    )
    return f'<article><h2>Where not to trust it</h2><ul class="cautions">{items}</ul></article>'


def _next(context: UnlabelledContext) -> str:
    items = "".join(
        f'<li>{escape(what[:1].upper() + what[1:])}<pre class="command"><code>{escape(command)}</code></pre></li>'
        for command, what in context.steps
    )
    return f'<article><h2>What to do next</h2><ol class="steps">{items}</ol></article>'


def _anomaly_sections(context: UnlabelledContext) -> list[tuple[str, str, str]]:
    about = context.about
    if not isinstance(about, Anomalies):
        return []
    return [
        ("rows", "The most unusual rows", _rows(about)),
        ("columns", "What sets them apart", _columns(about)),
        ("scores", "How scores are spread", _scores(about)),
        ("map", "The map", section("map", "The map", figure(_map(context), escape(map_words(context))))),
    ]


def _rows(about: Anomalies) -> str:
    def cells() -> Iterator[Sequence[Cell]]:
        for row in about.rows:
            why = "<br/>".join(f"{reason(each, HTML)} ({percent(each['share'])})" for each in row.why)
            called = "yes" if row.score >= about.threshold else "no"
            yield (
                Cell(f"{row.number:,}", head=True),
                Cell(escape(_score(row.score)), number=True),
                Cell(called),
                Cell(why or "unusual as a whole"),
            )

    return section(
        "rows",
        "The most unusual rows",
        "<p>The score is the share of the rows learned from that are less unusual. In brackets stands how much of it a "
        "column makes out. Rows are numbered from 1 in the order of the table.</p>",
        table(
            ("Row", "Score", "Anomaly", "Why"), cells(), caption=f"The {len(about.rows)} most unusual rows"
        ),
    )


def _score(score: float) -> str:
    return f"{score:.4f}".rstrip("0") if score < 0.99995 else "1.0000"


def _columns(about: Anomalies) -> str:
    if not about.columns:
        return section("columns", "What sets them apart", "<p>No row is called an anomaly.</p>")
    items = [plots.Bar(name, share, share, share, percent(share), 0) for name, share in about.columns[:_TOP]]
    more = len(about.columns) - _TOP
    return section(
        "columns",
        "What sets them apart",
        "<p>How much each column adds, on average over the rows that are called anomalies: half by how far out the value "
        "lies among the column's values, half by how far it is from what the nearest rows have.</p>",
        figure(
            plots.bars(items, title="What sets anomalies apart", axis="share of what makes a row unusual")
        ),
        f"<p>{more:,} more columns add less.</p>" if more > 0 else "",
    )


def _scores(about: Anomalies) -> str:
    series = [("learned from", about.scored, 2)]
    if sum(about.unseen_scored):
        series.append(("kept aside", about.unseen_scored, 0))
    return section(
        "scores",
        "How scores are spread",
        "<p>An isolation forest, ECOD and the distance to the nearest rows each say which share of the rows is less "
        "unusual. Here is the mean of the three. Rows that agree in all three stand far right or far left. If the rows "
        "kept aside stand further right than those learned from, they are of another kind.</p>",
        figure(
            plots.histogram(
                about.edges,
                series,
                title="Mean of the three ranks",
                x_label="mean share of rows that are less unusual",
            )
        ),
    )


def _cluster_sections(context: UnlabelledContext) -> list[tuple[str, str, str]]:
    about = context.about
    if not isinstance(about, Clusters):
        return []
    return [
        ("clusters", "The groups", _clusters(about)),
        ("map", "The map", section("map", "The map", figure(_map(context), escape(map_words(context))))),
        ("tried", "How many groups", _tried(about)),
    ]


def _clusters(about: Clusters) -> str:
    rows = (
        (
            Cell(escape(each.name), head=True),
            Cell(f"{each.n_rows:,}", number=True),
            Cell(escape(percent(each.share)), number=True),
            Cell("<br/>".join(escape(trait) for trait in each.traits) or "like the table as a whole"),
        )
        for each in about.clusters
    )
    none = f"<p>{about.n_none:,} rows belong to no group.</p>" if about.n_none else ""
    return section(
        "clusters",
        "The groups",
        "<p>What sets each group apart, the clearest first: the median of numbers and the share of values in the group, "
        "against those of all rows.</p>",
        table(
            ("Group", "Rows", "Share", "What sets it apart"), rows, caption="The groups, the largest first"
        ),
        none,
    )


def _tried(about: Clusters) -> str:
    rows = (
        (
            Cell(f"<b>{escape(each.method)}</b>" if each.chosen else escape(each.method)),
            Cell(str(each.n_clusters), number=True),
            Cell(escape(number(each.stability, 2)), number=True),
            Cell(escape(number(each.reference, 2)), number=True),
            Cell(escape(number(each.silhouette, 2)), number=True),
            Cell("chosen" if each.chosen else ""),
        )
        for each in about.candidates
    )
    return section(
        "tried",
        "How many groups",
        "<p>Each way was fitted on two random halves of the rows, several times, and both grouped the same rows: "
        "stability is how far they agree (adjusted Rand index, 1 is the same). The same was done with rows drawn without "
        "any groups, from one cloud with the same spread: groups that are no more stable than those are not there. The "
        "silhouette says how much nearer rows are to their own group than to the next (1 is clear, 0 is none).</p>",
        table(
            ("Method", "Groups", "Stability", "Without groups", "Silhouette", "Choice"),
            rows,
            caption="What was tried",
        ),
    )


def _split(context: UnlabelledContext) -> str:
    split = context.split
    n_train, n_test = int(split.get("n_train", 0)), int(split.get("n_test", 0))
    items = [("Learned from", float(n_train), f"{n_train:,} rows")]
    if n_test:
        items.append(("Kept aside", float(n_test), f"{n_test:,} rows"))
    return section(
        "split",
        "The split",
        f"<p>Kind: <strong>{escape(split.get('kind', 'unknown'))}</strong>. {escape(split.get('reason', ''))}</p>",
        figure(plots.parts(items, title="Rows by use")),
    )

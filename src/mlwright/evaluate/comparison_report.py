"""Report of a comparison: one self-contained page about two runs, what differs first. It holds no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mlwright.data.findings import Severity
from mlwright.evaluate import plots
from mlwright.evaluate.comparison import Changed, Comparison, Side
from mlwright.evaluate.markup import HTML, Cell, escape, figure, page, section, table
from mlwright.evaluate.words import PLAIN, Voice, capital, metric_note, metric_title, number, percent
from mlwright.metrics.intervals import Interval

__all__ = ["render", "summary_lines", "verdict_words"]

_MARKS = {Severity.STOP: "Stop", Severity.WARN: "Look", Severity.INFO: "Note"}
_MOST = 200  # lines of a table
_MOST_IMPORTANT = 15


def render(comparison: Comparison) -> str:
    """Return the comparison as one HTML page; equal comparisons give equal pages."""
    drawn = [
        ("scores", "Scores", _scores(comparison)),
        ("data", "The data", _data(comparison)),
        ("findings", "Findings", _findings(comparison)),
        ("split", "The split", _split(comparison)),
        ("models", "The models", _models(comparison)),
        ("importance", "What drives them", _importance(comparison)),
        ("parts", "What else was measured", _parts(comparison)),
        ("settings", "Settings", _settings(comparison)),
        ("lineage", "Where they come from", _lineage(comparison)),
    ]
    one, two = comparison.first.label, comparison.second.label
    title = f"{one} and {two} compared"
    return page(title, _header(comparison), _summary(comparison), [part for part in drawn if part[2]])


def verdict_words(comparison: Comparison, voice: Voice) -> str:
    """Return which of the two is better in one or two sentences, with the range."""
    found, one, two = comparison.difference, comparison.first, comparison.second
    if found is None:
        told = ", ".join(
            f"{voice.name(side.label)} {number(side.score.estimate)} ({_range(side.score)})"
            for side in (one, two)
        )
        return (
            f"The two cannot be compared row by row: {comparison.why[0].lower()}{comparison.why[1:]} "
            f"By their own reports: {metric_title(one.metric)} {told}."
        )
    gain, title = found.gain, metric_title(one.metric)
    scores = f"{title} {number(found.first.estimate)} against {number(found.second.estimate)}"
    if found.verdict == "level":
        return (
            f"{voice.strong('No clear difference')} between {voice.name(one.label)} and {voice.name(two.label)}: {scores}; "
            f"the difference may be anything from {number(gain.low, 2)} to {number(gain.high, 2)}."
        )
    better, worse = (one, two) if found.verdict == "better" else (two, one)
    ends = sorted((abs(gain.low), abs(gain.high)))
    return (
        f"{voice.name(better.label)} is {voice.strong('better')} than {voice.name(worse.label)}: {scores}, "
        f"a difference of {number(ends[0], 2)} to {number(ends[1], 2)} in favour of {voice.name(better.label)}."
    )


def _range(score: Interval) -> str:
    return f"{number(score.low, pad=True)} to {number(score.high, pad=True)}"


def _sides(comparison: Comparison) -> tuple[Side, Side]:
    return comparison.first, comparison.second


def _header(comparison: Comparison) -> str:
    one, two = _sides(comparison)
    same = "the same data" if comparison.same_data else "other data"
    facts = [same, f"runs {one.run_id[:12]} and {two.run_id[:12]}"]
    said = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return (
        '<header><p class="eyebrow">Two runs compared</p>'
        f"<h1>{HTML.name(one.label)} beside {HTML.name(two.label)}</h1><ul class='facts'>{said}</ul></header>"
    )


def _summary(comparison: Comparison) -> str:
    where = (
        f"On {comparison.why[0].lower()}{comparison.why[1:]} Both predicted the same rows, so what is hard for both "
        "cancels out."
        if comparison.differences
        else "Each score is from the rows of its own run."
    )
    found = comparison.difference
    pairs = (
        [
            (one.label, score)
            for one, score in zip(_sides(comparison), (found.first, found.second), strict=True)
        ]
        if found is not None
        else [(side.label, side.score) for side in _sides(comparison)]
    )
    metric = comparison.first.metric
    bars = plots.bars(
        [
            plots.Bar(label, s.estimate, s.low, s.high, f"{number(s.estimate, pad=True)}  ({_range(s)})", i)
            for i, (label, s) in enumerate(pairs)
        ],
        title=f"{capital(metric_title(metric))} of both",
        axis=f"{capital(metric_title(metric))} ({metric_note(metric)})",
    )
    items = "".join(f"<li>{text}</li>" for text in _what_differs(comparison))
    return (
        '<section class="summary" aria-label="In short"><div class="lead"><div class="lead-text">'
        f'<p class="answer">{verdict_words(comparison, HTML)}</p><p class="basis">{escape(where)}</p></div>'
        f'<div class="picture wide">{figure(bars)}</div></div>'
        f'<div class="cards one"><article><h2>What differs</h2><ul class="plain">{items}</ul></article></div></section>'
    )


def _what_differs(comparison: Comparison) -> Iterator[str]:
    """Yield a line for each part that is not the same."""
    one, two = _sides(comparison)
    if comparison.same_data:
        yield "Both read the same data."
    else:
        yield f"The data: {one.n_rows:,} rows against {two.n_rows:,}."
    for title, changes, anchor in (
        ("Columns", comparison.columns(), "data"),
        ("Settings", comparison.settings(), "settings"),
        ("Packages", comparison.packages(), "lineage"),
    ):
        if changes:
            names = ", ".join(HTML.name(change.what) for change in changes[:5])
            more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
            yield f'<a href="#{anchor}">{title}</a>: {names}{more}.'
    only = [(f, first) for f, first, second in comparison.findings() if first != second]
    if only:
        told = ", ".join(
            f"<code>{escape(f.code)}</code> (only {escape((one if first else two).label)})"
            for f, first in only[:5]
        )
        yield f'<a href="#findings">Findings</a>: {told}{f" and {len(only) - 5} more" if len(only) > 5 else ""}.'
    if {name for name, _, _ in one.members} != {name for name, _, _ in two.members}:
        yield (
            '<a href="#models">Models</a>: '
            + " against ".join(
                escape(" + ".join(dict.fromkeys(name for name, _, _ in side.members))) for side in (one, two)
            )
            + "."
        )


def _n(text: str) -> Cell:
    return Cell(escape(text), number=True)


def _heads(comparison: Comparison, what: str, *more: str) -> tuple[str, ...]:
    return (what, comparison.first.label, comparison.second.label, *more)


def _scores(comparison: Comparison) -> str:
    own = (
        (
            Cell(escape(capital(metric_title(name))), head=True),
            *(_score(side.scores.get(name)) for side in _sides(comparison)),
        )
        for name in dict.fromkeys([*comparison.first.scores, *comparison.second.scores])
    )
    parts = [
        table(
            _heads(comparison, "Metric"),
            own,
            caption="As each run measured them on its own rows, with the range",
        )
    ]
    if comparison.differences:
        same = (
            (
                Cell(escape(capital(metric_title(name))), head=True),
                _n(number(found.first.estimate, pad=True)),
                _n(number(found.second.estimate, pad=True)),
                _n(f"{number(found.gain.low, 2)} to {number(found.gain.high, 2)}"),
                Cell({"better": "better", "worse": "worse", "level": "no clear difference"}[found.verdict]),
            )
            for name, found in comparison.differences.items()
        )
        heads = _heads(comparison, "Metric", "Gain of the first", "The first is")
        parts.insert(
            0, table(heads, same, caption=f"On the same {comparison.n_rows:,} rows; the first metric decides")
        )
    return section("scores", "Scores", f"<p>{escape(comparison.why)}</p>", *parts)


def _score(score: Interval | None) -> Cell:
    if score is None:
        return Cell("", number=True)
    return Cell(f"{escape(number(score.estimate, pad=True))} <small>({_range(score)})</small>", number=True)


def _changes(comparison: Comparison, changes: Sequence[Changed], what: str, caption: str) -> str:
    if not changes:
        return ""
    rows = (
        (
            Cell(escape(c.what.replace("_", " ") if what != "Column" else c.what), head=True),
            *(_value(v) for v in (c.first, c.second)),
        )
        for c in changes[:_MOST]
    )
    more = f"<p>{len(changes) - _MOST:,} more are not shown.</p>" if len(changes) > _MOST else ""
    return table(_heads(comparison, what), rows, caption=caption) + more


def _value(text: str) -> Cell:
    return Cell(f'<code class="long">{escape(text)}</code>' if text else "<small>none</small>")


def _facts(comparison: Comparison, rows: Iterable[tuple[str, str, str]], caption: str) -> str:
    cells = ((Cell(escape(what), head=True), _n(one), _n(two)) for what, one, two in rows)
    return table(_heads(comparison, "What"), cells, caption=caption)


def _data(comparison: Comparison) -> str:
    one, two = _sides(comparison)
    same = "<p>Both runs read the same table.</p>" if comparison.same_data else ""
    facts = [
        ("Rows", f"{one.n_rows:,}", f"{two.n_rows:,}"),
        ("Columns to learn from", f"{len(one.schema.features):,}", f"{len(two.schema.features):,}"),
    ]
    return section(
        "data",
        "The data",
        same,
        _facts(comparison, facts, "Size"),
        _changes(
            comparison, comparison.columns(), "Column", "Columns that came, went or are read in another way"
        ),
        _changes(comparison, comparison.gaps(), "Column", "Columns with another share of missing values"),
    )


def _findings(comparison: Comparison) -> str:
    found = comparison.findings()
    if not found:
        return section("findings", "Findings", "<p>The checks found nothing in either run.</p>")
    rows = (
        (
            Cell(f'<span class="mark">{_MARKS[finding.severity]}</span>'),
            Cell(f"{escape(finding.what)} <code>{escape(finding.code)}</code>", head=True),
            Cell("yes" if one else "no"),
            Cell("yes" if two else "no"),
        )
        for finding, one, two in found[:_MOST]
    )
    heads = ("How bad", "Finding", comparison.first.label, comparison.second.label)
    return section("findings", "Findings", table(heads, rows, caption="Those of one run only come first"))


def _split(comparison: Comparison) -> str:
    rows = (
        (
            Cell(escape(side.label), head=True),
            Cell(escape(str(side.split.get("kind", "")))),
            Cell(escape(str(side.split.get("column") or ""))),
            _n(f"{int(side.split.get('n_train', 0)):,}"),
            _n(f"{side.tested:,}"),
            Cell(escape(str(side.split.get("reason", "")))),
        )
        for side in _sides(comparison)
    )
    heads = ("Run", "Kind", "Column", "To train", "To test", "Why")
    return section("split", "The split", table(heads, rows, caption="Which rows train and test"))


def _models(comparison: Comparison) -> str:
    one, two = _sides(comparison)
    facts = [
        ("Trials", f"{one.n_trials:,}", f"{two.n_trials:,}"),
        ("Models in it", str(len(one.members)), str(len(two.members))),
        ("Size of the bundle", f"{one.size / 1e6:.2f} MB", f"{two.size / 1e6:.2f} MB"),
    ]
    rows = (
        (Cell(escape(side.label), head=True), Cell(escape(name)), Cell(escape(view)), _n(percent(weight)))
        for side in (one, two)
        for name, view, weight in sorted(side.members, key=lambda member: -member[2])
    )
    return section(
        "models",
        "The models",
        _facts(comparison, facts, "Search and size"),
        table(("Run", "Model", "View", "Weight"), rows, caption="What each is made of"),
    )


def _importance(comparison: Comparison) -> str:
    sides = [{item.column: item for item in side.importance} for side in _sides(comparison)]
    if not all(sides):
        return ""
    names = sorted(
        dict.fromkeys([*sides[0], *sides[1]]),
        key=lambda name: -max(side[name].mean if name in side else 0.0 for side in sides),
    )
    places = [{name: place for place, name in enumerate(side, 1)} for side in sides]

    def told(index: int, name: str) -> Cell:
        if name not in sides[index]:
            return Cell("<small>not there</small>", number=True)
        return Cell(
            f"{escape(number(sides[index][name].mean, 2, pad=True))} <small>(no. {places[index][name]})</small>",
            number=True,
        )

    rows = ((Cell(escape(name), head=True), told(0, name), told(1, name)) for name in names[:_MOST_IMPORTANT])
    return section(
        "importance",
        "What drives them",
        f"<p>How much worse {escape(metric_title(comparison.first.metric))} gets when a column is shuffled, each on its "
        "own run's rows.</p>",
        table(_heads(comparison, "Column"), rows, caption="The columns that matter most, with their place"),
    )


def _parts(comparison: Comparison) -> str:
    changes = comparison.parts()
    if not changes:
        return ""
    return section(
        "parts",
        "What else was measured",
        _changes(
            comparison, changes, "Figure", "Figures that differ; the reports of the two runs explain them"
        ),
    )


def _settings(comparison: Comparison) -> str:
    changes = comparison.settings()
    if not changes:
        return section("settings", "Settings", "<p>Both runs have the same settings.</p>")
    return section("settings", "Settings", _changes(comparison, changes, "Setting", "Settings that differ"))


def _lineage(comparison: Comparison) -> str:
    packages = comparison.packages()
    same = "" if packages else "<p>Both were made with the same packages.</p>"
    return section(
        "lineage",
        "Where they come from",
        same,
        _changes(comparison, comparison.lineage(), "What", "Lineage that differs"),
        _changes(comparison, packages, "Package", "Packages of another version"),
    )


def summary_lines(comparison: Comparison) -> list[str]:
    """Return the comparison as a few lines for a terminal."""
    one, two = _sides(comparison)
    lines = [verdict_words(comparison, PLAIN)]
    if comparison.differences:
        lines.append(f"measured on {comparison.why}")
    lines.append(
        "data: the same" if comparison.same_data else f"data: {one.n_rows:,} rows against {two.n_rows:,}"
    )
    for title, changes in (
        ("columns", comparison.columns()),
        ("settings", comparison.settings()),
        ("packages", comparison.packages()),
    ):
        if changes:
            told = "; ".join(
                f"{c.what} {c.first or 'none'} against {c.second or 'none'}" for c in changes[:6]
            )
            lines.append(f"{title}: {told}{f'; and {len(changes) - 6} more' if len(changes) > 6 else ''}")
    only = [(f.code, (one if a else two).label) for f, a, b in comparison.findings() if a != b]
    if only:
        lines.append("findings: " + "; ".join(f"{code} only in {label}" for code, label in only[:6]))
    return lines

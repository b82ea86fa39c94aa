"""Annex IV: the technical documentation that the EU's AI Act asks of high-risk systems, filled in as far as a run knows it.

Every number is looked up in one of the run's own files, which stand beside the document, and carries the place where
it was found. What only a person can write is left blank and marked.

References
----------
Regulation (EU) 2024/1689 (Artificial Intelligence Act), Article 11 and Annex IV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlwright.evaluate.card import PERSON, code, plain
from mlwright.evaluate.words import capital, metric_meaning, metric_title, number

__all__ = ["FILES", "Dossier", "annex_iv"]

FILES = (
    "manifest.json",
    "plan.json",
    "evaluation.json",
    "parts.json",
    "trials.json",
    "versions.json",
    "score.json",
)
"""What a document may cite; ``score.json`` is there once `mlwright score` has been run."""

_MOST = 200


@dataclass(frozen=True, slots=True)
class Dossier:
    """The files that the document is made of.

    Parameters
    ----------
    files : mapping of str to JSON tree
        By name, as `FILES` says.
    """

    files: Mapping[str, Any]

    def at(self, place: str) -> Any:
        """Return what stands at ``"file.json/key/index/..."``.

        Raises
        ------
        KeyError
            If nothing does: a document must not cite what is not there.
        """
        name, *keys = place.split("/")
        tree = self.files[name]
        for key in keys:
            tree = tree[int(key)] if isinstance(tree, list) else tree[key]
        return tree

    def has(self, place: str) -> bool:
        """Return whether something stands there that is not null."""
        try:
            return self.at(place) is not None
        except (KeyError, IndexError):
            return False


def annex_iv(dossier: Dossier) -> str:
    """Return the document as Markdown, point by point as the annex has them."""
    name, version = dossier.at("manifest.json/name"), dossier.at("versions.json/version")
    head = [
        f"# Technical documentation of {plain(name)}, version {version}",
        "",
        (
            "After Article 11 and Annex IV of Regulation (EU) 2024/1689. Each figure names the file of this folder, and the place in it, "
            f"that it was read from. {PERSON} marks what no run can know: it is left blank on purpose, and the document is not "
            "complete until somebody has filled it in."
        ),
    ]
    points = (
        ("1. General description of the system", _general(dossier)),
        ("2. Elements of the system and how it was developed", _development(dossier)),
        ("3. Monitoring, functioning and control", _control(dossier)),
        ("4. Why these performance metrics are the right ones", _metrics(dossier)),
        (
            "5. Risk management system (Article 9)",
            [_person("the risks that were found, how they are met, and what is left of them.")],
        ),
        ("6. Changes made through the lifecycle", _changes(dossier)),
        (
            "7. Harmonised standards applied",
            [_person("the list of standards, or how the requirements are met without them.")],
        ),
        ("8. EU declaration of conformity (Article 47)", [_person("a copy of the declaration.")]),
        ("9. Monitoring after it is on the market (Article 72)", _afterwards(dossier)),
    )
    body = [line for title, lines in points for line in ("", f"## {title}", "", *lines)]
    return "\n".join([*head, *body]) + "\n"


def _person(text: str) -> str:
    return f"- {PERSON} {text}\n\n  > "


def _fact(dossier: Dossier, text: str, place: str) -> str:
    """Return a line with one value and where it stands."""
    return f"- {text}: {_value(dossier.at(place))} {_source(place)}"


def _facts(dossier: Dossier, *pairs: tuple[str, str]) -> list[str]:
    """Return a line for each place where something stands."""
    return [_fact(dossier, text, place) for text, place in pairs if dossier.has(place)]


def _source(place: str) -> str:
    return f"<sub>{code(place)}</sub>"


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not defined"}[value]
    if isinstance(value, float):
        return f"**{number(value, 4)}**"
    if isinstance(value, int):
        return f"**{value}**"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(item) for item in value[:_MOST]) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} {_value(item)}" for key, item in value.items()) or "none"
    return plain(value)


def _sub(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (f"### {title}", "", *lines, "")


def _general(dossier: Dossier) -> list[str]:
    which = _facts(
        dossier,
        ("Name", "manifest.json/name"),
        ("Version", "versions.json/version"),
        ("SHA-256 of the bundle", "plan.json/sha256"),
        ("Run that made it", "versions.json/run_id"),
        ("Predicts", "manifest.json/task/target"),
        ("Kind of task", "manifest.json/task/kind"),
    )
    software = _facts(
        dossier,
        ("Packages that its numbers depend on", "plan.json/lineage/packages"),
        ("Commit of the project", "plan.json/lineage/git_commit"),
        ("Hash of the packages' versions", "plan.json/lineage/lock"),
    )
    return [
        *_sub(
            "(a) Purpose, provider and version",
            [
                _person("what the system is intended for, and who provides it (name, address)."),
                *which,
            ],
        ),
        *_sub(
            "(b) Hardware and software that it works with",
            [
                "- It answers over HTTP with JSON, Arrow or the Open Inference Protocol, or is loaded as a Python object.",
                _person("the systems that send it records and act on its answers."),
            ],
        ),
        *_sub("(c) Versions of software", software),
        *_sub(
            "(d) Forms in which it is put on the market",
            [
                (
                    "- A bundle: a directory of plain data files without code. `mlwright export docker` and `mlwright export k8s` pack it "
                    "with what serves it."
                ),
                _person("the form that users get."),
            ],
        ),
        *_sub(
            "(e) Hardware that it runs on",
            [
                "- One core of a general-purpose processor; no accelerator.",
                _person("the machines in use."),
            ],
        ),
        *_sub(
            "(f) Product that it is a part of",
            [_person("pictures, markings and layout of that product, if any.")],
        ),
        *_sub(
            "(g) User interface",
            [
                "- The service's own page at `/docs` explains every field and answer.",
                _person("the interface that deployers see."),
            ],
        ),
        *_sub(
            "(h) Instructions for use",
            ["- `card.md` and `report.html` in this folder.", _person("the instructions for deployers.")],
        ),
    ]


def _development(dossier: Dossier) -> list[str]:
    return [
        *_sub("(a) Methods and steps", _methods(dossier)),
        *_sub("(b) Design and its choices", _design(dossier)),
        *_sub("(c) Architecture and computing", _architecture(dossier)),
        *_sub("(d) Data", _data(dossier)),
        *_sub(
            "(e) Human oversight (Article 14)",
            [
                (
                    "- `mlwright explain` and `?explain=true` say what each column adds to an answer; `mlwright stop` lets a declared "
                    "fallback answer instead of the model within a second."
                ),
                *_facts(dossier, ("Fallback", "plan.json/project/serve.fallback")),
                _person("who oversees it, what they see, and when they overrule it."),
            ],
        ),
        *_sub(
            "(f) Changes that are foreseen",
            [
                (
                    "- A retrained version serves only if a gate lets it through: the 95 % interval of its paired difference from the serving "
                    "version on rows that neither was trained on must lie above minus the margin."
                ),
                *_facts(
                    dossier,
                    ("Margin", "plan.json/project/gate.margin"),
                    ("A first version must beat the dummy", "plan.json/project/gate.beats_baseline"),
                ),
                _person("changes beyond retraining that are planned."),
            ],
        ),
        *_sub("(g) Validation and testing", _validation(dossier)),
        *_sub(
            "(h) Cybersecurity (Article 15)",
            [
                (
                    "- A bundle holds no code; every file is checked against its size and SHA-256 before anything is built from it, and it "
                    "must reproduce its golden records."
                ),
                (
                    "- The service listens on the loopback address unless a bearer token guards it; bodies, records, headers and slow clients "
                    "are limited."
                ),
                _person("how the machines and networks around it are secured."),
            ],
        ),
    ]


def _methods(dossier: Dossier) -> list[str]:
    trials = dossier.at("plan.json/trials")
    learners = sorted({trial["model"] for trial in trials})
    return [
        f"- Configurations tried: **{len(trials)}** of {', '.join(learners)} {_source('plan.json/trials')}",
        "- No pre-trained model or third party's model was used; learners are libraries named under 1 (c).",
        *_facts(
            dossier,
            ("Random seed", "plan.json/project/task.seed"),
            ("Time for the search and all else", "plan.json/project/task.budget"),
        ),
        (
            "- Steps: read, infer kinds, check, split, search by cross-validation, blend, refit, evaluate on untouched rows, prove training, "
            "batch and serving equal, register."
        ),
    ]


def _design(dossier: Dossier) -> list[str]:
    lines = _facts(
        dossier,
        ("Metric that the search optimises", "manifest.json/task/metric"),
        ("Classes", "manifest.json/task/labels"),
        ("Threshold of the decision", "manifest.json/task/threshold"),
        ("Costs of a false positive and a false negative", "manifest.json/task/costs"),
        ("Share of the records that may be called", "manifest.json/task/capacity"),
        ("Latency budget of a record", "plan.json/project/task.latency"),
        ("Quality setting", "plan.json/project/task.quality"),
    )
    for index, member in enumerate(dossier.at("manifest.json/ensemble")):
        place = f"manifest.json/ensemble/{index}"
        said = ", ".join(f"{plain(key)} {_value(value)}" for key, value in member.items())
        lines.append(f"- Member {index + 1}: {said} {_source(place)}")
    return [*lines, _person("why it is built so, what was assumed about whom, and what was traded for what.")]


def _architecture(dossier: Dossier) -> list[str]:
    files = dossier.at("manifest.json/files")
    total = sum(entry["size"] for entry in files.values())
    seconds = [trial.get("seconds", 0.0) for trial in dossier.at("trials.json")]
    return [
        "- A record is validated, encoded by the feature plan, given to each member, and the members' answers are blended and calibrated.",
        f"- Files of the bundle: **{len(files)}**, **{total:,}** bytes {_source('manifest.json/files')}",
        f"- Seconds that all fits took: **{number(sum(seconds), 4)}** {_source('trials.json')}",
        _person("resources used for development, training and operation beyond that."),
    ]


def _data(dossier: Dossier) -> list[str]:
    lines = _facts(
        dossier,
        ("Source", "plan.json/project/data.source"),
        ("Fingerprint of the training table", "plan.json/lineage/data"),
        ("Rows for search and training", "plan.json/split/n_train"),
        ("Rows kept for the test", "plan.json/split/n_test"),
        ("Columns left out", "plan.json/project/data.ignore"),
        ("Personal columns", "plan.json/project/data.pii"),
        ("Banned columns", "plan.json/project/checks.ban"),
        ("Findings accepted", "plan.json/project/checks.accept"),
        ("Notes while reading", "plan.json/notes"),
    )
    lines += ["", "| Column | Kind | Role | Why |", "|---|---|---|---|"]
    lines += [
        f"| {plain(c['name'])} | {c['kind']} | {c['role']} | {plain(c['why'])} |"
        for c in dossier.at("plan.json/schema")[:_MOST]
    ]
    lines += [f"\nAll columns: {_source('plan.json/schema')}", ""]
    findings = dossier.at("plan.json/findings")
    lines += [
        f"- Finding ({plain(f['severity'])}): {plain(f['what'])} {_source(f'plan.json/findings/{i}')}"
        for i, f in enumerate(findings[:_MOST])
    ] or [f"- The checks found nothing odd. {_source('plan.json/findings')}"]
    return [
        *lines,
        _person(
            "where the data comes from, how and why it was gathered, how it was labelled, and whom it leaves out. `datasheet.md` has room for it."
        ),
    ]


def _validation(dossier: Dossier) -> list[str]:
    lines = _facts(
        dossier,
        ("Split", "plan.json/split/kind"),
        ("Why this split", "plan.json/split/reason"),
        ("Rows measured on", "evaluation.json/n_rows"),
        ("Where they come from", "evaluation.json/basis"),
    )
    lines += ["", "| Metric | Value | 95 % interval | Source |", "|---|---:|---:|---|"]
    lines += [
        f"| {plain(capital(metric_title(name)))} | {_plain_number(score['estimate'])} | {_plain_number(score['low'])} to "
        f"{_plain_number(score['high'])} | {_source(f'evaluation.json/scores/{name}')} |"
        for name, score in dossier.at("evaluation.json/scores").items()
    ]
    lines.append("")
    for name, part in dossier.at("evaluation.json/baselines").items():
        gap = part["difference"]
        lines.append(
            f"- Ahead of the {plain(name)} baseline by **{_plain_number(gap['estimate'])}** ({_plain_number(gap['low'])} to "
            f"{_plain_number(gap['high'])}) in the metric that decides {_source(f'evaluation.json/baselines/{name}/difference')}"
        )
    lines += list(_groups(dossier))
    if dossier.has("score.json/score"):
        lines += _facts(
            dossier,
            ("ML Test Score, of 7", "score.json/score"),
            ("By section", "score.json/sections"),
            ("Tested on", "score.json/made"),
        )
    else:
        lines.append(
            f"- The ML Test Score has not been run: `mlwright score {plain(dossier.at('manifest.json/name'))}`, then export again."
        )
    return [
        *lines,
        _person("test logs and reports, dated and signed by those who answer for them."),
    ]


def _groups(dossier: Dossier) -> Iterator[str]:
    """Say what was found by slices and by groups of people, where that was measured."""
    if dossier.has("parts.json/slices"):
        yield f"- Slices that are worse than the rest: {_source('parts.json/slices')}, told in `report.html`."
    if dossier.has("parts.json/fairness") and dossier.at("parts.json/fairness"):
        yield f"- Rates and errors by group: {_source('parts.json/fairness')}, told in `report.html`."
    else:
        yield f"- {PERSON} groups for which discriminatory impact must be measured: name them under `[fairness]` and train again."


def _control(dossier: Dossier) -> list[str]:
    metric = dossier.at("manifest.json/task/metric")
    place = f"evaluation.json/scores/{metric}"
    score = dossier.at(place)
    required = sum(bool(column["required"]) for column in dossier.at("plan.json/schema"))
    return [
        (
            f"- Expected level of accuracy: {plain(metric_title(metric))} **{_plain_number(score['estimate'])}**, between "
            f"{_plain_number(score['low'])} and {_plain_number(score['high'])} {_source(place)}"
        ),
        *_groups(dossier),
        (
            f"- Input: one record, a field each column of 2 (d); **{required}** of them must be given {_source('plan.json/schema')}. Values outside of "
            "what training saw are answered with a warning."
        ),
        "- It learns from what was recorded, faults of the records included; it says what goes together, not what causes what.",
        _person(
            "outcomes that nobody intends but that can be foreseen, and risks to health, safety and fundamental rights."
        ),
        _person("measures of human oversight for those who use it."),
    ]


def _metrics(dossier: Dossier) -> list[str]:
    metric = dossier.at("manifest.json/task/metric")
    return [
        f"- {plain(capital(metric_title(metric)))} decides: {plain(metric_meaning(metric))} {_source('manifest.json/task/metric')}",
        "- It stands beside a dummy and a linear model on the same rows, each with its interval (2 g).",
        _person("why that is what matters for the intended purpose."),
    ]


def _changes(dossier: Dossier) -> list[str]:
    lines = ["| Version | Made | Alias | Gate |", "|---:|---|---|---|"]
    lines += [
        f"| {entry['version']} | {plain(entry['created'])} | {plain(', '.join(entry['aliases']) or '-')} | {plain(entry['gate'] or '-')} |"
        for entry in dossier.at("versions.json/versions")
    ]
    return [*lines, "", f"All versions: {_source('versions.json/versions')}", "", _person("other changes.")]


def _afterwards(dossier: Dossier) -> list[str]:
    return [
        (
            "- Every answer is logged with its record, version and hash unless that is switched off; `/metrics` counts requests, predictions by "
            "class and warnings."
        ),
        *_facts(dossier, ("Predictions are logged", "plan.json/project/serve.log")),
        _person("the plan by which it is watched, how often, and who acts on what is seen."),
    ]


def _plain_number(value: Any) -> str:
    return "not defined" if value is None else number(float(value), 4, pad=True)

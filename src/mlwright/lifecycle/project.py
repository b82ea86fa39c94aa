"""Project: `mlwright.toml`, read into one frozen dataclass. Every key stands in `KEYS`, and nowhere else."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from mlwright.core import kinds
from mlwright.core.clock import parse_duration
from mlwright.core.errors import ProjectError
from mlwright.core.params import Choice, Flag, Number, Rule
from mlwright.data.schema import Kind, TaskKind

__all__ = ["FILE", "KEYS", "Project", "load_project", "slug", "without_password"]

FILE = "mlwright.toml"
_LATENCY, _SLACK = "300us", 1.5
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CAPACITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%|([0-9]+) of ([0-9]+)")


@dataclass(frozen=True, slots=True)
class _Text:
    """A string that is not empty."""

    def allows(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip())

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True, slots=True)
class _Texts:
    """A list of strings."""

    def allows(self, value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)

    def __str__(self) -> str:
        return "a list of texts"


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that is safe in paths and addresses."""

    def allows(self, value: Any) -> bool:
        return isinstance(value, str) and bool(_NAME.fullmatch(value))

    def __str__(self) -> str:
        return "lower-case letters, digits, - and _, at most 63"


@dataclass(frozen=True, slots=True)
class _Constant:
    """One answer: a text, a number, true or false."""

    def allows(self, value: Any) -> bool:
        return bool(value.strip()) if isinstance(value, str) else isinstance(value, (bool, int, float))

    def __str__(self) -> str:
        return "'baseline', a class, or a number"


@dataclass(frozen=True, slots=True)
class _Capacity:
    """A share of the records, or so many of so many."""

    def allows(self, value: Any) -> bool:
        return _share_called(value) is not None

    def __str__(self) -> str:
        return "a share such as 2 % or a count such as 200 of 10000; more than none, and not all"


@dataclass(frozen=True, slots=True)
class _Kinds:
    """A table of kinds by column."""

    def allows(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(kind in set(Kind) for kind in value.values())

    def __str__(self) -> str:
        return f"a table of column = kind, with the kinds {', '.join(Kind)}"


@dataclass(frozen=True, slots=True)
class _Duration:
    """A duration with a unit."""

    def allows(self, value: Any) -> bool:
        return (
            isinstance(value, (str, int, float)) and not isinstance(value, bool) and parse_duration(value) > 0
        )

    def __str__(self) -> str:
        return "a duration such as 60s, 5m or 1h"


@dataclass(frozen=True, slots=True)
class _Metric(Choice):
    """A metric's name, or one that a user has given to a metric of their own."""

    def allows(self, value: Any) -> bool:
        return value in self.values or (isinstance(value, str) and value.startswith(kinds.OWN))


KEYS: Mapping[str, Rule] = MappingProxyType(
    {
        "name": _Name(),
        "data.source": _Text(),
        "data.query": _Text(),
        "data.prepare": _Text(),
        "data.time": _Text(),
        "data.group": _Text(),
        "data.weight": _Text(),
        "data.exposure": _Text(),
        "data.ignore": _Texts(),
        "data.pii": _Texts(),
        "data.kinds": _Kinds(),
        "data.contract": _Text(),
        "task.target": _Text(),
        "task.kind": Choice(tuple(map(str, TaskKind))),
        "task.metric": _Metric(tuple(kinds.METRICS)),
        "task.quantile": Number(0.001, 0.999),
        "task.budget": _Duration(),
        "task.trials": Number(2, 1_000_000, integer=True),
        "task.latency": _Duration(),
        "task.quality": Choice(("refit", "bag")),
        "task.known_groups": Flag(),
        "task.split": _Text(),
        "task.holdout": Number(0.0, 0.9),
        "task.contamination": Number(0.0001, 0.5),
        "task.seed": Number(0, 2**31 - 1, integer=True),
        "costs.false_positive": Number(0.0),
        "costs.false_negative": Number(0.0),
        "costs.capacity": _Capacity(),
        "checks.accept": _Texts(),
        "checks.ban": _Texts(),
        "fairness.groups": _Texts(),
        "gate.margin": Number(0.0),
        "gate.beats_baseline": Flag(),
        "serve.host": _Text(),
        "serve.port": Number(0, 65535, integer=True),
        "serve.log": Flag(),
        "serve.fallback": _Constant(),
        "serve.shadow": Choice(("challenger",)),
        "serve.canary": Number(0.0, 1.0),
    }
)
_SECTIONS = sorted({key.partition(".")[0] for key in KEYS if "." in key})


@dataclass(frozen=True, slots=True)
class Project:
    """What a project file says; a field each key, named ``section_key``.

    Parameters
    ----------
    name : str
        The model's name in the registry.
    data_source : str or object
        A path, glob or database URL, relative to the project's folder; or a table in memory.
    folder : Path, optional
        Where the project file lies; None for a plain source.

    Other fields are the keys of ``mlwright.toml``, which ``docs/project.md`` explains.
    """

    name: str = ""
    data_source: Any = None
    data_query: str | None = None
    data_prepare: str | None = None
    data_time: str | None = None
    data_group: str | None = None
    data_weight: str | None = None
    data_exposure: str | None = None
    data_ignore: tuple[str, ...] = ()
    data_pii: tuple[str, ...] = ()
    data_kinds: Mapping[str, str] = field(default_factory=dict)
    data_contract: str | None = None
    task_target: str | None = None
    task_kind: str | None = None
    task_metric: str | None = None
    task_quantile: float | None = None
    task_budget: str | float = "60s"
    task_split: str = "auto"
    task_holdout: float = 0.2
    task_latency: str | float | None = None
    task_quality: str = "refit"
    task_known_groups: bool = True
    task_trials: int | None = None
    task_contamination: float = 0.01
    task_seed: int = 0
    costs_false_positive: float | None = None
    costs_false_negative: float | None = None
    costs_capacity: str | None = None
    checks_accept: tuple[str, ...] = ()
    checks_ban: tuple[str, ...] = ()
    fairness_groups: tuple[str, ...] = ()
    gate_margin: float = 0.0
    gate_beats_baseline: bool = True
    serve_host: str = "127.0.0.1"
    serve_port: int = 8000
    serve_log: bool = True
    serve_fallback: str | float | None = None
    serve_shadow: str | None = None
    serve_canary: float = 0.0
    folder: Path | None = None
    accepted: tuple[str, ...] = ()  # with earlier versions of the model: no setting, a retraining knows them

    def __post_init__(self) -> None:
        defaults = {f.name: f.default for f in fields(self)}
        for key, rule in KEYS.items():
            name = key.replace(".", "_")
            value = getattr(self, name)
            if key == "data.source" and value is not None and not isinstance(value, str):
                continue
            if value is None or value == "" or value == defaults.get(name):
                continue
            if not rule.allows(value):
                _, _, short = key.rpartition(".")
                near = (
                    _nearest(str(value), [str(v) for v in rule.values]) if isinstance(rule, Choice) else None
                )
                what = f"unknown {short}" if isinstance(rule, Choice) else f"{short} cannot be this"
                raise ProjectError(what, got=value, allowed=str(rule), fix=near)

    @property
    def budget(self) -> float:
        """The budget in seconds."""
        return parse_duration(self.task_budget)

    @property
    def latency(self) -> float:
        """What a prediction of one record may take, in microseconds."""
        return 1e6 * parse_duration(self.task_latency or _LATENCY, name="latency")

    @property
    def latency_limit(self) -> float:
        """Microseconds that a prediction may take by the clock: what nobody asked for is not held on a busy moment's word."""
        return self.latency if self.task_latency is not None else _SLACK * self.latency

    @property
    def capacity(self) -> float | None:
        """The share of the records that may be called the second class; None without a limit."""
        return _share_called(self.costs_capacity)

    @property
    def needs_target(self) -> bool:
        """Whether the task is one with a target, which it is unless the project says otherwise."""
        return self.task_kind is None or TaskKind(self.task_kind).needs_target

    @property
    def source(self) -> Any:
        """The source with its path made absolute from the project's folder."""
        if not isinstance(self.data_source, str) or self.folder is None:
            return self.data_source
        scheme, mark, place = self.data_source.partition("sqlite:///")
        if mark and not scheme:
            return f"sqlite:///{self.folder / place}"
        return self.data_source if "://" in self.data_source else str(self.folder / self.data_source)

    def having(self, **changes: Any) -> Project:
        """Return a project with the fields that are not None changed."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})

    @property
    def accepts(self) -> tuple[str, ...]:
        """The codes of findings that stop no run, by these settings or since an earlier version."""
        return tuple(dict.fromkeys((*self.checks_accept, *self.accepted)))

    def to_json(self) -> dict[str, Any]:
        """Return the keys as a JSON tree, to be kept: without tables in memory and without passwords."""
        tree = {key: getattr(self, key.replace(".", "_")) for key in KEYS}
        source = self.data_source
        tree["data.source"] = without_password(source) if isinstance(source, str) else None
        tree["data.kinds"] = dict(self.data_kinds)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in tree.items()}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], folder: Path | None = None) -> Project:
        """Build a project from `to_json`'s tree."""
        values: dict[str, Any] = {
            key.replace(".", "_"): tuple(v) if isinstance(v, list) else v for key, v in tree.items()
        }
        return cls(**values, folder=folder)


def _share_called(value: Any) -> float | None:
    """Return the share that ``2 %`` or ``200 of 10000`` says, above 0 and below 1; None for anything else."""
    found = _CAPACITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    percent, count, total = found.groups()
    called, of = (float(percent), 100.0) if percent is not None else (float(count), float(total))
    return called / of if 0 < called < of else None


def without_password(source: str) -> str:
    """Return a database URL without its password, so that it can be kept; other sources as they are.

    The database's own ways to say it, ``PGPASSWORD`` or ``~/.pgpass``, serve whoever reads the source again.

    Examples
    --------
    >>> without_password("postgresql://ann:secret@host:5432/shop?password=x&sslmode=require")
    'postgresql://ann@host:5432/shop?sslmode=require'
    """
    parts = urlsplit(source)
    if not parts.netloc:
        return source
    user, mark, place = parts.netloc.rpartition("@")
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in {"password", "passfile"}]
    return parts._replace(netloc=user.partition(":")[0] + mark + place, query="&".join(kept)).geturl()


def slug(text: str) -> str:
    """Return a name for the registry made of `text`.

    Examples
    --------
    >>> slug("Telco Churn (2024).csv")
    'telco-churn-2024-csv'
    """
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[:60] or "model"


def load_project(path: str | Path) -> Project:
    """Read the project file at `path`, or in the folder `path`.

    Raises
    ------
    ProjectError
        If it is not there, no TOML, or holds an unknown key or a value that a key does not take.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise ProjectError(
            f"no {FILE} there", got=str(path), fix="run `mlwright init` to write one, or name a data file"
        )
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} is not TOML: {error}") from error
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
            if key not in _SECTIONS:
                raise ProjectError(
                    f"{file}: unknown section", got=key, allowed=_SECTIONS, fix=_nearest(key, _SECTIONS)
                )
        else:
            flat[key] = value
    for key in flat:
        if key not in KEYS:
            raise ProjectError(
                f"{file}: unknown key", got=key, allowed=sorted(KEYS), fix=_nearest(key, list(KEYS))
            )
    flat.setdefault("name", slug(file.resolve().parent.name))
    for key, value in flat.items():
        if not KEYS[key].allows(value):
            rule = KEYS[key]
            near = _nearest(str(value), [str(v) for v in rule.values]) if isinstance(rule, Choice) else None
            raise ProjectError(f"{file}: {key}", got=value, allowed=str(rule), fix=near)
    return Project.from_json(flat, folder=file.resolve().parent)


def _nearest(word: str, words: list[str]) -> str | None:
    """Say which known words were likely meant: those that end so, else the nearest by the whole or its last part."""
    last = word.rpartition(".")[2]
    near = [known for known in words if known.endswith(f"_{word}")] or difflib.get_close_matches(
        word, words, n=1
    )
    near = (
        near
        or [
            known
            for known in words
            if difflib.get_close_matches(last, [known.rpartition(".")[2]], n=1, cutoff=0.75)
        ][:1]
    )
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None

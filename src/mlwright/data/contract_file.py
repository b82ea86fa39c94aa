"""The contract as files: TOML that people edit, and JSON Schema for whoever sends records."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from mlwright.core.errors import ProjectError
from mlwright.data.contract import KEYS, Contract, Expected, problem
from mlwright.data.schema import Kind, Role

__all__ = ["CONTRACT", "as_toml", "json_schema", "read_contract"]

CONTRACT = "contract.toml"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# The data contract of {name}: what a table must hold to be trained on and predicted.
# A run stops where its table breaks it; `predict` and the server warn, or refuse, as on_violation says.
# Learned from {n_rows:,} rows with some slack. Edit it by hand: every line may go, each says only itself.

# The share of rows that may break a range, a list or a pattern before a table breaks the contract:
tolerance = {tolerance}
# How many rows a table to train on must have:
min_rows = {min_rows}
# What a single record gets that breaks it, "warn" or "refuse"; a column may say its own:
on_violation = "warn"
"""
_NOTES = {"missing": "the largest share of rows without a value"}


def as_toml(contract: Contract, *, name: str, n_rows: int) -> str:
    """Return a contract as TOML that `read_contract` reads back.

    Parameters
    ----------
    name : str
        Whose it is.
    n_rows : int
        How many rows it was learned from.
    """
    text = _HEAD.format(name=name, n_rows=n_rows, tolerance=contract.tolerance, min_rows=contract.min_rows)
    noted: set[str] = set()
    for column in contract.columns:
        lines = [f"\n[columns.{_key(column.name)}]"]
        for key, value in column.to_json().items():
            note = f"  # {_NOTES[key]}" if key in _NOTES and key not in noted else ""
            noted.add(key)
            shown = repr(float(value)) if key == "missing" else _value(value, column)
            lines.append(f"{key} = {shown}{note}")
        text += "\n".join(lines) + "\n"
    return text


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's; DEL alone must be escaped in TOML only.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, column: Expected) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value) if "\\" not in value or "'" in value else f"'{value}'"
    if isinstance(value, list):
        items = [_quoted(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) <= 100 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    whole = float(value).is_integer() and abs(value) < 1e15 and (column.dtype == "int" or abs(value) >= 2)
    return str(int(value)) if whole else repr(float(value))


def read_contract(path: str | Path) -> Contract:
    """Read a contract's TOML.

    Raises
    ------
    ProjectError
        If it is not there, no TOML, or holds a key or a value that it does not take; the message names the key.
    """
    file = Path(path)
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ProjectError(
            "no such contract", got=str(path), fix="`mlwright contract` writes one from a model or a table"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ProjectError(f"{file} is not TOML: {error}") from error
    wrong = problem(tree)
    if wrong is not None:
        key, got, allowed = wrong
        near = difflib.get_close_matches(key.rpartition(".")[2], KEYS, n=1)
        fix = f"did you mean '{near[0]}'?" if near and allowed.startswith("the keys") else None
        raise ProjectError(f"{file}: {key}", got=got, allowed=allowed, fix=fix)
    return Contract.from_json(tree)


def json_schema(contract: Contract, *, name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one record that keeps the contract.

    Values are plain JSON: numbers are numbers. What the server reads besides, such as ``"1,204.50"``, is not in it.
    """
    features = [column for column in contract.columns if column.role is Role.FEATURE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A record of {name}",
        "type": "object",
        "properties": {column.name: _property(column) for column in contract.columns},
        "required": [column.name for column in features if column.missing == 0],
    }


def _property(column: Expected) -> dict[str, Any]:
    tree: dict[str, Any] = {"type": _types(column)}
    if column.levels is not None:
        listed: list[Any] = list(column.levels)
        if column.dtype in {"int", "float"}:
            listed += [json.loads(level) for level in column.levels if re.fullmatch(r"-?(0|[1-9]\d*)", level)]
        elif column.dtype == "bool":
            listed += [level == "true" for level in column.levels if level in ("true", "false")]
        tree = {"enum": listed}
    if column.low is not None:
        tree["minimum"] = column.low
    if column.high is not None:
        tree["maximum"] = column.high
    if column.pattern is not None:
        tree["pattern"] = f"^{column.pattern}$"
    if column.missing > 0:
        if "enum" in tree:
            tree["enum"].append(None)
        else:
            tree["type"].append("null")
    return tree


def _types(column: Expected) -> list[str]:
    if column.kind is Kind.NUMERIC:
        return ["number"]
    if column.kind is Kind.BOOLEAN:
        return ["boolean"]
    if column.kind is not Kind.DATETIME and column.dtype in {"int", "float"}:
        return ["string", "number"]
    return ["string", "boolean"] if column.dtype == "bool" else ["string"]

"""Which version is champion, and which ones were: aliases, and a stack of earlier champions in one tag.

The alias ``champion`` is the truth. The registered model's tag ``mlwright.champions`` holds the versions that were
champion before, oldest first. Two writes are needed and a kill may come between, so the writes go in an order in which
the stack's top can at worst equal the champion, and a reader drops such a top.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mlwright.core.errors import UsageError
from mlwright.tracking.entities import CHALLENGER, CHAMPION
from mlwright.tracking.opening import translated
from mlwright.tracking.store import Store

__all__ = ["STACK_TAG", "delete_alias", "get_alias", "history", "promote", "rollback", "set_alias"]

STACK_TAG = "mlwright.champions"
_DEPTH = 200  # how many earlier champions are remembered; the tag may have 5,000 characters


def get_alias(client: Any, name: str, alias: str) -> int | None:
    """Return the version that `alias` points at, or None, also where there is no such model."""
    from mlflow.exceptions import MlflowException

    with translated(f"the aliases of '{name}' cannot be read"):
        try:
            version = client.get_registered_model(name).aliases.get(alias)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
    return None if version is None else int(version)


def set_alias(client: Any, name: str, alias: str, version: int) -> None:
    """Point `alias` at `version`."""
    with translated(f"the alias {name}@{alias} cannot be set to version {version}"):
        client.set_registered_model_alias(name, alias, str(version))


def delete_alias(client: Any, name: str, alias: str) -> None:
    """Take `alias` away, if it is there."""
    with translated(f"the alias {name}@{alias} cannot be deleted"):
        client.delete_registered_model_alias(name, alias)


def history(client: Any, name: str) -> list[int]:
    """Return the versions that have been champion, oldest first, the one that is now last."""
    stack, champion = _read(client, name)
    return stack if champion is None else [*stack, champion]


def promote(store: Store, client: Any, name: str, version: int) -> int | None:
    """Make `version` champion, remember the one before and return it; drop ``challenger`` from `version`."""
    with store.locked("champions"):
        with translated(f"the version {name}/{version} cannot be promoted"):
            client.get_model_version(name, str(version))
        stack, champion = _read(client, name)
        if champion != version:
            if champion is not None:
                _write(client, name, [*stack, champion])
            set_alias(client, name, CHAMPION, version)
        if get_alias(client, name, CHALLENGER) == version:
            delete_alias(client, name, CHALLENGER)
    return champion


def rollback(store: Store, client: Any, name: str) -> tuple[int, int]:
    """Make the last earlier champion that still exists champion again; return (from, to).

    Raises
    ------
    UsageError
        If there is no champion, or none before it.
    """
    with store.locked("champions"):
        stack, champion = _read(client, name)
        if champion is None or not stack:
            raise UsageError(
                f"the model '{name}' has no champion before this one"
                if champion is not None
                else f"the model '{name}' has no champion yet",
                fix="promote a version by its number",
            )
        set_alias(client, name, CHAMPION, stack[-1])
        _write(client, name, stack[:-1])
    return champion, stack[-1]


def _read(client: Any, name: str) -> tuple[list[int], int | None]:
    """Return the earlier champions that still exist, and the champion."""
    with translated(f"the champions of '{name}' cannot be read"):
        model = client.get_registered_model(name)
        stack = msgspec.json.decode(model.tags.get(STACK_TAG, "[]"), type=list[int])
        champion = int(model.aliases[CHAMPION]) if CHAMPION in model.aliases else None
        if stack and stack[-1] == champion:
            stack.pop()
        if stack:
            quote = '"' if "'" in name else "'"
            living = {
                int(v.version)
                for v in client.search_model_versions(f"name = {quote}{name}{quote}", max_results=10_000)
            }
            stack = [version for version in stack if version in living]
    return stack, champion


def _write(client: Any, name: str, stack: list[int]) -> None:
    with translated(f"the champions of '{name}' cannot be written"):
        client.set_registered_model_tag(name, STACK_TAG, msgspec.json.encode(stack[-_DEPTH:]).decode())

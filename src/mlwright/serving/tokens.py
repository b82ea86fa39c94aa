"""Tokens: the bearer token of a store's services. It is made here, shown once, and kept as a hash."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import canonical_json, read_json, write_atomic
from mlwright.serving.access import token_hash

__all__ = ["TOKEN_FILE", "TOKEN_VARIABLE", "check_token", "make_token", "stored_hash"]

TOKEN_VARIABLE = "MLWRIGHT_TOKEN"  # noqa: S105 - the name of the variable, not a secret
TOKEN_FILE = "token.json"  # noqa: S105 - the name of the file, not a secret


def check_token(token: str) -> str:
    """Return a token that somebody has chosen.

    Raises
    ------
    UsageError
        If it is too short or cannot stand in a header.
    """
    if len(token) < 16 or not token.isascii() or not token.isprintable():
        raise UsageError(
            "the token is too weak",
            allowed="16 or more printable ASCII characters",
            fix="openssl rand -hex 32",
        )
    return token


def stored_hash(folder: Path) -> bytes | None:
    """Return the hash of the token that was made for this store, or None.

    Raises
    ------
    StoreError
        If the file is damaged: a service must not start open because of it.
    """
    path = folder / TOKEN_FILE
    try:
        digest = bytes.fromhex(read_json(path)["sha256"])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            "the token's file cannot be read",
            got=str(path),
            fix="remove it; the next start makes a new token",
        ) from error
    if len(digest) != 32:
        raise StoreError("the token's file holds no SHA-256", got=str(path), fix="remove it")
    return digest


def make_token(folder: Path | None) -> str:
    """Return a new random token of 43 characters; only its hash is written, into `folder`, for its owner alone."""
    token = secrets.token_urlsafe(32)
    if folder is not None:
        write_atomic(folder / TOKEN_FILE, canonical_json({"sha256": token_hash(token).hex()}) + b"\n")
    return token

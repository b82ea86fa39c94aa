"""Equal content has equal fingerprints; any change of content has another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlwright.data.fingerprint import fingerprint, row_hashes
from mlwright.data.infer import infer
from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.table import Table

BASE: dict[str, Any] = {"a": [1.5, None, 2.5, 1.5], "b": ["x", "y", None, "x"], "c": [1, 2, 3, 1]}


def table(**changes: Any) -> Table:
    raw = pa.table({**BASE, **changes})
    return Table(raw, infer(raw))


def test_layout_does_not_count() -> None:
    raw = table().arrow
    chunked = pa.concat_tables([raw.slice(0, 1), raw.slice(1)])
    coded = raw.set_column(1, "b", raw["b"].dictionary_encode())
    backwards = pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 2]), ["unused", "y", "x"])
    texts = pa.table(
        {"a": ["1.5", "", " 2.50 ", "1.5"], "b": ["x", "y", "NA", " x"], "c": ["1", "2", "3", "1"]}
    )
    narrow = raw.set_column(0, "a", raw["a"].cast(pa.float32()))
    variants = [raw, chunked, coded, raw.set_column(1, "b", backwards), texts, narrow]
    assert len({fingerprint(Table(each, infer(each))) for each in variants}) == 1
    assert len({row_hashes(Table(each, infer(each))).tobytes() for each in variants}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"a": [1.5, None, 2.5, 1.5000000000000002]},
        {"a": [1.5, 0.0, 2.5, 1.5]},
        {"b": ["x", "y", "", "xx"]},
        {"b": ["y", "x", None, "x"]},
        {"c": [1, 2, 1, 3]},
        {"d": [1, 2, 3, 1]},
    ],
)
def test_content_counts(changes: dict[str, Any]) -> None:
    assert fingerprint(table(**changes)) != fingerprint(table())
    assert row_hashes(table(**changes)).tolist() != row_hashes(table()).tolist()


def test_names_kinds_and_order_count() -> None:
    base = table()
    renamed = base.arrow.rename_columns(["a", "b", "z"])
    assert fingerprint(Table(renamed, infer(renamed))) != fingerprint(base)
    as_text = Schema(
        tuple(Column(c.name, Kind.TEXT if c.name == "b" else c.kind) for c in base.schema.columns)
    )
    assert fingerprint(Table(base.arrow, as_text)) != fingerprint(base)
    assert fingerprint(base.take(np.array([1, 0, 2, 3]))) != fingerprint(base)


def test_zeros_and_missing_are_one() -> None:
    schema = Schema((Column("a", Kind.NUMERIC),))
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    for one, two in (([0.0], [-0.0]), ([bits[0]], [bits[1]]), ([np.nan], [None])):
        tables = [Table(pa.table({"a": pa.array(values, pa.float64())}), schema) for values in (one, two)]
        assert fingerprint(tables[0]) == fingerprint(tables[1])
        assert row_hashes(tables[0]) == row_hashes(tables[1])


def test_rows_are_known_again() -> None:
    base = table()
    hashes = row_hashes(base)
    assert hashes.dtype == np.uint64
    assert hashes[0] == hashes[3]
    assert len(set(hashes.tolist())) == 3
    assert row_hashes(base.take(np.array([2, 0]))).tolist() == hashes[[2, 0]].tolist()
    turned = Table(base.arrow.select(["c", "a", "b"]), Schema(tuple(base.schema[n] for n in "cab")))
    assert row_hashes(turned).tolist() == hashes.tolist()


def test_two_columns_do_not_cancel() -> None:
    raw = pa.table({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, 3.0], "d": [3.0, 3.0]})
    hashes = row_hashes(Table(raw, Schema(tuple(Column(n, Kind.NUMERIC) for n in "abcd"))))
    assert hashes[0] != hashes[1]


def test_hashes_of_many_rows_differ() -> None:
    n = 200_000
    raw = pa.table({"a": np.arange(n) % 500, "b": pa.array(np.arange(n) // 500).cast(pa.string())})
    schema = Schema((Column("a", Kind.NUMERIC), Column("b", Kind.CATEGORICAL)))
    assert np.unique(row_hashes(Table(raw, schema))).size == n


def test_the_format_of_a_fingerprint_stays() -> None:
    # Written down once: stored snapshots are named by it. Recomputed here with the standard library alone.
    import hashlib
    import struct

    schema = Schema((Column("a", Kind.NUMERIC), Column("b", Kind.CATEGORICAL)))
    made = fingerprint(Table(pa.table({"a": [1.5, None], "b": ["x", None]}), schema))
    digest = hashlib.sha256(b'{"format":1,"rows":2}' + b'["a","numeric"]')
    digest.update(struct.pack("<d", 1.5) + struct.pack("<Q", 0x7FF8000000000000))
    digest.update(b'["b","categorical"]' + hashlib.blake2b(b"x", digest_size=16).digest() + bytes(16))
    assert made == digest.hexdigest()

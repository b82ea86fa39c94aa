import hashlib
import json
import os

import pytest

from mlwright.core.files import canonical_json, read_json, sha256_file, write_atomic


def test_written_files_are_whole_and_alone(tmp_path):
    path = tmp_path / "new" / "folder" / "x.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken, error):
    path = tmp_path / "x"
    write_atomic(path, b"old")

    def fail(*_, **__):
        raise error

    if broken == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(type(error)):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_content_is_synced_before_the_rename(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), sync(handle))[1])
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda self, to: (done.append("rename"), replace(self, to))[1]
    )
    write_atomic(tmp_path / "x", b"1")
    assert done == ["sync", "rename"]


def test_equal_trees_give_equal_bytes_that_json_reads():
    one, two = {"b": [1, 2.5, None], "a": {"é": "\U0001f600", "z": True}}, {}
    two["a"] = {"z": True, "é": "\U0001f600"}
    two["b"] = [1, 2.5, None]
    assert canonical_json(one) == canonical_json(two)
    assert json.loads(canonical_json(one)) == one
    assert canonical_json(one) == json.dumps(
        one, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8")


def test_read_json_reads_what_was_written(tmp_path):
    write_atomic(tmp_path / "x.json", canonical_json({"a": [1, "ü"]}))
    assert read_json(tmp_path / "x.json") == {"a": [1, "ü"]}


def test_a_files_hash_is_its_contents(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()

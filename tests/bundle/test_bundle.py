"""The bundle's reader refuses whatever is not whole, each fault with its own error, and runs nothing."""

import json
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest

from mlwright import bundle
from mlwright.bundle import Contents, State
from mlwright.bundle.arrays import decode, encode
from mlwright.core.errors import (
    BundleContentError,
    BundleError,
    BundleFormatError,
    BundleIntegrityError,
    BundleKindError,
)


def contents(**changes):
    plan = State.nest(
        {
            "native": State.nest(
                {"0": State({"kind": "number", "column": "tenure"}, {"mean": np.array([1.5, np.nan])})},
                view="native",
            )
        }
    )
    values = {
        "name": "churn",
        "task": {"kind": "binary", "target": "churn", "metric": "roc_auc", "labels": ["No", "Yes"]},
        "schema": [],
        "plan": plan,
        "models": [
            State({"kind": "lightgbm", "n_columns": 1}, {"order": np.arange(3)}, {"lgb": b"tree\nend\n"})
        ],
        "ensemble": [{"view": "native", "weight": 1.0, "link": "identity"}],
        "lineage": {"seed": 0},
        "reference": {"columns": {}},
        "golden": [{"record": {"tenure": 3}, "prediction": {"prediction": "No"}}],
        "documents": {"report.html": b"<!doctype html>", "card.md": b"# churn"},
    }
    return Contents(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    bundle.write(contents(), tmp_path / "bundle")
    return tmp_path / "bundle"


def rewrite(path, name, raw):
    """Put `raw` into a file and make the manifest agree, as somebody who forges a bundle would."""
    import hashlib

    (path / name).write_bytes(raw)
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    (path / "manifest.json").write_text(json.dumps(manifest))


def edit(path, change):
    manifest = json.loads((path / "manifest.json").read_bytes())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_written_is_read(path):
    read, given = bundle.read(path), contents()
    assert read.manifest == given.manifest
    assert read.plan.tree == given.plan.tree
    np.testing.assert_array_equal(read.plan.arrays["native/0/mean"], [1.5, np.nan])
    assert read.models[0].blobs == {"lgb": b"tree\nend\n"}
    assert read.golden == given.golden
    assert read.documents == given.documents


def test_equal_contents_give_equal_bytes(tmp_path):
    first, second = bundle.write(contents(), tmp_path / "a"), bundle.write(contents(), tmp_path / "b")
    assert first == second == bundle.read(tmp_path / "a").sha256
    for file in sorted((tmp_path / "a").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    other = bundle.write(contents(lineage={"seed": 1}), tmp_path / "c")
    assert other != first


def test_a_bundle_is_never_written_over_another(path):
    with pytest.raises(BundleFormatError, match="never written over"):
        bundle.write(contents(), path)


def test_every_single_flipped_byte_is_refused(path):
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "manifest.json"):
        whole = file.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(BundleIntegrityError, match="another hash"):
                bundle.read(path)
        file.write_bytes(whole[:-1])
        with pytest.raises(BundleIntegrityError, match="another size"):
            bundle.read(path)
        file.write_bytes(whole)
    assert bundle.read(path).name == "churn"


@pytest.mark.parametrize(
    "name", ["../evil.json", "models/../../evil.json", "/etc/passwd", "a/b.json", ".hidden.json", "x"]
)
def test_unsafe_names_are_refused(path, name):
    edit(path, lambda m: m["files"].update({name: {"sha256": "0" * 64, "size": 1}}))
    with pytest.raises(BundleIntegrityError, match="not safe"):
        bundle.read(path)


def test_missing_added_and_linked_files_are_refused(path, tmp_path):
    card = path / "card.md"
    kept = card.read_bytes()
    card.unlink()
    with pytest.raises(BundleIntegrityError, match=r"'card.md' is missing"):
        bundle.read(path)
    (tmp_path / "elsewhere").write_bytes(kept)
    card.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleIntegrityError, match="plain files only"):
        bundle.read(path)
    card.unlink()
    card.write_bytes(kept)
    (path / "models" / "extra.json").write_text("{}")
    with pytest.raises(BundleIntegrityError, match=r"'models/extra.json' is not in the manifest"):
        bundle.read(path)


def test_kinds_come_from_the_closed_tables(path):
    plan = json.loads((path / "plan.json").read_bytes())
    plan["children"]["native"]["children"]["0"]["kind"] = "os:system"
    rewrite(path, "plan.json", json.dumps(plan).encode())
    with pytest.raises(BundleKindError, match="unknown transform"):
        bundle.read(path)


def test_a_foreign_model_kind_names_the_nearest(path):
    rewrite(path, "models/0.json", b'{"kind":"lightgmb"}')
    with pytest.raises(BundleKindError, match="did you mean 'lightgbm'"):
        bundle.read(path)


def test_a_zip_bomb_is_no_array_file(path, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0/mean.npy", b"\0" * 50_000_000)
    rewrite(path, "plan.safetensors", bomb.read_bytes())
    with pytest.raises(BundleContentError, match="header"):
        bundle.read(path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda m: m.update(format=99), BundleFormatError),
        (lambda m: m.pop("format"), BundleFormatError),
        (lambda m: m.pop("files"), BundleContentError),
        (lambda m: m.update(ensemble=[]), BundleContentError),
        (lambda m: m["ensemble"][0].update(link="exec"), BundleContentError),
        (lambda m: m["ensemble"][0].update(view="other"), BundleContentError),
        (lambda m: m["files"]["card.md"].update(sha256="0" * 64), BundleIntegrityError),
        (lambda m: m["files"]["card.md"].update(size=5 * 2**30), BundleIntegrityError),
        (lambda m: m["files"]["card.md"].pop("size"), BundleContentError),
    ],
)
def test_a_forged_manifest_is_refused(path, change, error):
    edit(path, change)
    with pytest.raises(error) as raised:
        bundle.read(path)
    assert type(raised.value) is error


@pytest.mark.parametrize("raw", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_object_is_refused(path, raw):
    (path / "manifest.json").write_bytes(raw)
    with pytest.raises(BundleError):
        bundle.read(path)


def test_what_is_no_bundle_is_said_so(tmp_path):
    with pytest.raises(BundleFormatError, match="no bundle here"):
        bundle.read(tmp_path / "nothing")
    with pytest.raises(BundleFormatError, match="no manifest"):
        bundle.read(tmp_path)


def test_arrays_agree_with_the_safetensors_package():
    safetensors = pytest.importorskip(
        "safetensors.numpy", reason="the package safetensors is in the test extra"
    )
    arrays = {
        "mean": np.linspace(0, 1, 7),
        "codes": np.arange(6, dtype=np.int32).reshape(2, 3),
        "flags": np.array([True, False, True]),
        "empty": np.empty((0, 4)),
        "bytes": np.arange(5, dtype=np.uint8),
    }
    raw = encode(arrays)
    for name, array in safetensors.load(raw).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    for name, array in decode(safetensors.save(arrays), "x").items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [10**12], "data_offsets": [0, 8 * 10**12]}},
        {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [True], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": 1, "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1]}},
        {},
    ],
)
def test_malformed_array_headers_are_refused(header):
    head = json.dumps(header).encode()
    with pytest.raises(BundleContentError):
        decode(len(head).to_bytes(8, "little") + head + b"\0" * 8, "x")


def test_objects_are_not_written():
    with pytest.raises(BundleContentError, match="do not hold"):
        encode({"a": np.array([{}], dtype=object)})


def test_reading_imports_nothing_runs_nothing_and_stays_in_the_bundle(path):
    """An audit hook sees every import, exec and open of the process while a forged bundle is read."""
    script = textwrap.dedent(
        """
        import os, sys
        from mlwright import bundle
        from mlwright.core.errors import BundleKindError
        path, seen, watching = sys.argv[1], [], False
        def hook(event, arguments):
            if watching and event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect"):
                seen.append((event, str(arguments[0])))
            if watching and event == "open" and not str(arguments[0]).startswith(path):
                seen.append((event, str(arguments[0])))
        sys.addaudithook(hook)
        watching = True
        try:
            bundle.read(path)
            outcome = "read"
        except BundleKindError:
            outcome = "refused"
        watching = False
        print(outcome, seen)
        """
    )

    def run():
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert run() == "read []"
    rewrite(path, "models/0.json", b'{"kind":"subprocess:Popen"}')
    assert run() == "refused []"

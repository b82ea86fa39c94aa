"""The technical documentation: each figure is what its source says, and what a person must write is blank."""

import json
import re

import pytest
from commands import command

from mlwright.core.files import read_json
from mlwright.lifecycle.annex_iv import Dossier

_SOURCED = re.compile(r"^- [^:]+: \*\*([^*]+)\*\* <sub>`([^`]+)`</sub>$", re.MULTILINE)
_PLACE = re.compile(r"<sub>`([^`]+)`</sub>")


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("annex")
    store = made.folder / ".mlwright"
    done = command(
        "export", "annex-iv", "churn", "-o", folder / "out", "--store", store, "--json", folder=folder
    )
    return folder / "out", json.loads(done.stdout), made


@pytest.fixture(scope="module")
def dossier(exported):
    folder, _, _ = exported
    return Dossier({path.name: read_json(path) for path in folder.glob("*.json")})


def test_all_nine_points_are_there(exported):
    folder, told, _ = exported
    text = (folder / "annex-iv.md").read_text()
    assert re.findall(r"^## (\d)\. ", text, re.MULTILINE) == list("123456789")
    assert re.findall(r"^### \(([a-h])\) ", text, re.MULTILINE) == [*"abcdefgh", *"abcdefgh"]
    assert {path.name for path in folder.iterdir()} == {file.rpartition("/")[2] for file in told["files"]}


def test_every_source_leads_somewhere_in_the_folder(exported, dossier):
    text = (exported[0] / "annex-iv.md").read_text()
    places = _PLACE.findall(text)
    assert len(places) > 30
    for place in places:
        assert dossier.has(place), place


def test_every_number_is_what_its_source_says(exported, dossier):
    text = (exported[0] / "annex-iv.md").read_text()
    found = _SOURCED.findall(text)
    assert len(found) >= 5
    for shown, place in found:
        there = dossier.at(place)
        if not isinstance(there, list):  # how many there are of them is counted below
            assert float(shown.replace(",", "")) == pytest.approx(float(there), rel=1e-3), place


def test_what_is_counted_is_counted_right(exported, dossier):
    text = (exported[0] / "annex-iv.md").read_text()
    trials = re.search(r"Configurations tried: \*\*(\d+)\*\* of", text)
    assert int(trials[1]) == len(dossier.at("plan.json/trials")) == exported[2].printed["trials"]
    files = re.search(r"Files of the bundle: \*\*(\d+)\*\*, \*\*([0-9,]+)\*\* bytes", text)
    sizes = [entry["size"] for entry in dossier.at("manifest.json/files").values()]
    assert (int(files[1]), int(files[2].replace(",", ""))) == (len(sizes), sum(sizes))


def test_scores_are_those_that_the_run_printed(exported, dossier):
    folder, _, made = exported
    text = (folder / "annex-iv.md").read_text()
    row = re.search(r"^\| ROC AUC \| ([0-9.]+) \| ([0-9.]+) to ([0-9.]+) \|", text, re.MULTILINE)
    printed = [made.printed["test_score"], *made.printed["test_interval"]]
    assert [float(shown) for shown in row.groups()] == pytest.approx(printed, abs=1e-4)
    assert dossier.at("evaluation.json/scores/roc_auc/estimate") == made.printed["test_score"]


def test_what_only_a_person_knows_is_blank(exported):
    text = (exported[0] / "annex-iv.md").read_text()
    blanks = re.findall(r"^- \*For a person to fill in:\* .+\n\n  >\s*$", text, re.MULTILINE)
    assert len(blanks) >= 15
    for word in ("intended for", "risks", "standards", "declaration", "dated and signed"):
        assert any(word in blank for blank in blanks), word


def test_a_bundle_alone_has_no_documentation(exported, tmp_path):
    bundle = exported[2].printed["bundle"]
    done = command("export", "annex-iv", bundle, folder=tmp_path, check=False)
    assert done.returncode == 2
    assert "name the model" in done.stderr


def test_a_place_that_is_not_there_cannot_be_cited():
    with pytest.raises(KeyError):
        Dossier({"plan.json": {"split": {}}}).at("plan.json/split/kind")

"""Every format version that was ever written stays readable: each has stored examples, and all kinds are in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlwright import bundle
from mlwright.core.kinds import MODELS, TRANSFORMS
from mlwright.serving import load

STORED = sorted(path for path in (Path(__file__).parent / "formats").iterdir() if path.name[0].isdigit())


def version(path: Path) -> int:
    return int(path.name.partition("-")[0])


def kinds(tree: dict[str, Any]) -> Iterator[str]:
    """Give the kind that a state's tree names, and those of the states within it."""
    if "kind" in tree:
        yield tree["kind"]
    for child in tree.get("children", {}).values():
        yield from kinds(child)


def test_every_format_has_a_stored_example():
    assert {version(path) for path in STORED} == set(range(1, bundle.FORMAT + 1))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_bundle_loads_and_gives_its_recorded_answers(path):
    predictor = load(path)
    assert predictor.manifest["format"] == version(path)
    assert len(predictor.golden) >= 14
    for golden in predictor.golden:
        recorded, answer = golden["prediction"], predictor.predict_one(golden["record"])
        numbers = {"probability", "score", "threshold"} & recorded.keys()
        if isinstance(recorded["prediction"], float):
            numbers = {"prediction"}
        assert answer["prediction"] == recorded["prediction"] or numbers == {"prediction"}
        assert numbers & {"probability", "score", "prediction"}
        for name in numbers:
            assert answer[name] == pytest.approx(recorded[name], abs=1e-9)
        told = [why["column"] for why in recorded.get("why", [])]
        assert [why["column"] for why in answer.get("why", [])] == told


def test_stored_intervals_are_read_and_told():
    told = {}
    for path in STORED:
        predictor = load(path)
        if predictor.conformal is not None:
            record = predictor.golden[0]["record"]
            answer = predictor.predict_one(record, interval=True)
            told[predictor.conformal.kind] = answer["interval"]
            assert (
                predictor.predict([record] * 9, interval=True)[8]["interval"].keys()
                == answer["interval"].keys()
            )
    assert set(told) == {"residuals", "sets"}
    assert told["residuals"]["low"] < told["residuals"]["high"]
    assert set(told["sets"]["set"]) <= {"Yes", "No"}


def test_a_stored_bundle_knows_what_stands_in_for_a_gap():
    (path,) = (path for path in STORED if path.name == "1-gaps")
    predictor, contents = load(path), bundle.read(path)
    steps = contents.plan.tree["children"]["native"]["children"].values()
    (gap,) = (step["gap"] for step in steps if step["column"] == "size")
    record = predictor.golden[0]["record"]
    answer = predictor.predict_one({**record, "size": None})
    assert answer["prediction"] == predictor.predict_one({**record, "size": gap})["prediction"]
    assert [warning["field"] for warning in answer["warnings"]] == ["size"]


def test_a_stored_bundle_leaves_every_class_a_chance():
    (path,) = (path for path in STORED if path.name == "1-least-chance")
    told = bundle.read(path).calibration
    assert told == {"kind": "least_chance", "least": pytest.approx(1 / 120**2), "before": None}
    stored = [
        chance for golden in load(path).golden for chance in golden["prediction"]["probability"].values()
    ]
    assert min(stored) > told["least"]
    assert max(stored) < 1 - told["least"]


def test_the_examples_of_the_newest_format_hold_every_kind():
    newest = [bundle.read(path) for path in STORED if version(path) == bundle.FORMAT]
    models = {kind for contents in newest for model in contents.models for kind in kinds(model.tree)}
    transforms = {kind for contents in newest for kind in kinds(contents.plan.tree)}
    assert models & set(MODELS) == set(MODELS)
    assert transforms & set(TRANSFORMS) == set(TRANSFORMS)

"""Every format version that was ever written stays readable: each has a stored example, and all kinds are in it."""

from pathlib import Path

import pytest

from mlwright import bundle
from mlwright.core.kinds import MODELS, TRANSFORMS
from mlwright.serving import load

STORED = sorted(path for path in (Path(__file__).parent / "formats").iterdir() if path.name.isdigit())


def test_the_current_format_has_a_stored_example():
    assert [int(path.name) for path in STORED] == list(range(1, bundle.FORMAT + 1))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_bundle_loads_and_gives_its_recorded_answers(path):
    predictor = load(path)
    assert predictor.manifest["format"] == int(path.name)
    assert len(predictor.golden) == 20
    for golden in predictor.golden:
        answer = predictor.predict_one(golden["record"])
        assert answer["prediction"] == golden["prediction"]["prediction"]
        assert answer["probability"] == pytest.approx(golden["prediction"]["probability"], abs=1e-9)


def test_the_newest_example_holds_every_kind():
    kinds = bundle.read(STORED[-1]).manifest["kinds"]
    assert set(kinds["transforms"]) == set(TRANSFORMS)
    assert set(kinds["models"]) == set(MODELS)

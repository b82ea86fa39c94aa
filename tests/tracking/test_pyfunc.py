"""A registered model through ``mlflow.pyfunc.load_model``, as somebody who knows only MLflow loads it."""

from __future__ import annotations

import logging
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from tracking_bundles import write_bundle

from mlwright.core.errors import ParameterError
from mlwright.data.schema import Column, Kind, Schema
from mlwright.tracking.tracker import Tracker


class _Doubled:
    """Stands in for the predictor: the flavor's part is to hand the table through."""

    loaded = Path()

    def __init__(self, path: str) -> None:
        type(self).loaded = Path(path)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"prediction": table["tenure"].fillna(-1) * 2})


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # MLflow, of itself
@pytest.mark.parametrize("address", ["models:/churn/1", "models:/churn@champion"])
def test_mlflow_loads_the_registered_bundle(
    tracker: Tracker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    address: str,
) -> None:
    columns = (Column("tenure", Kind.NUMERIC, dtype="int"), Column("city", Kind.CATEGORICAL))
    bundle = write_bundle(tmp_path / "bundle")
    tracker.register(tracker.start_run("churn"), "churn", bundle, schema=Schema(columns))
    tracker.promote("churn", 1)
    monkeypatch.setattr("mlwright.serving.load", _Doubled, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.store.local_uri)
    monkeypatch.setattr(logging.getLogger("mlflow"), "level", logging.WARNING)
    with caplog.at_level(logging.WARNING):
        model = mlflow.pyfunc.load_model(address)
        # An integer column where training had one, a float one with a gap, a category, a column too few.
        whole = pd.DataFrame({"tenure": [1, 2], "city": pd.Categorical(["a", "b"])})
        gaps = pd.DataFrame({"tenure": [1.5, None]})
        assert model.predict(whole)["prediction"].tolist() == [2, 4]
        assert model.predict(gaps)["prediction"].tolist() == [3.0, -2.0]
    assert caplog.messages == []
    assert (_Doubled.loaded / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()


def test_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlwright.mlflow_flavor import BundleModel

    monkeypatch.setattr("mlwright.serving.load", _Doubled, raising=False)
    with pytest.raises(ParameterError, match="no inference parameters"):
        BundleModel("x").predict(pd.DataFrame({"tenure": [1]}), {"threshold": 0.5})

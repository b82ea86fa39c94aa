"""The loader that a registered model names, so that ``mlflow.pyfunc.load_model`` gives a bundle's predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BundleModel"]


class BundleModel:
    """A bundle as MLflow's python_function flavor calls it.

    Parameters
    ----------
    path : str
        The bundle's directory. It is audited by the same closed loader that serving uses.
    """

    def __init__(self, path: str) -> None:
        from mlwright.serving import load

        self.predictor = load(path)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the predictions of `model_input`'s rows, in their order.

        Parameters
        ----------
        model_input : pandas.DataFrame
            Columns by name, as in the training data; further ones are not read.
        params : dict, optional
            MLflow passes it; a bundle has no such parameters, so it must be empty.

        Raises
        ------
        ParameterError
            If `params` is not empty.
        """
        if params:
            from mlwright.core.errors import ParameterError

            raise ParameterError("a bundle takes no inference parameters", got=sorted(params), allowed="none")
        return self.predictor.predict(model_input)


def _load_pyfunc(path: str) -> BundleModel:
    """Load the bundle at `path`; MLflow calls this by name."""
    return BundleModel(path)

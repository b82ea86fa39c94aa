"""Serving: a bundle as a predictor and as an HTTP service. Imports nothing of training.

Importing it loads NumPy and msgspec; pyarrow comes with the first table or the prediction log's reader, uvloop
and httptools with `serve`.
"""

from mlwright.serving.app import App, Limits
from mlwright.serving.log import PredictionLog, read_log
from mlwright.serving.predictor import Predictor
from mlwright.serving.server import serve

__all__ = ["App", "Limits", "PredictionLog", "Predictor", "load", "read_log", "serve"]

load = Predictor.load

"""The closed tables: every kind that a project file, a journal or a bundle may name, and where its class lives.

A file never names a Python path; it names a kind, and only what stands here can be built. Looking a kind up by
`require` imports nothing; `load` imports the one module that holds it.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mlwright.core.errors import BundleKindError

__all__ = ["CHECKS", "METRICS", "MODELS", "OWN", "TRANSFORMS", "load", "require"]

OWN = "own."  # the mark of a user's own metric, known only in the process that registered it

TRANSFORMS: Mapping[str, str] = MappingProxyType(
    {
        "category_codes": "mlwright.features.category_codes:CategoryCodes",
        "category_frequency": "mlwright.features.category_frequency:CategoryFrequency",
        "datetime_difference": "mlwright.features.datetime_difference:DatetimeDifference",
        "datetime_parts": "mlwright.features.datetime_parts:DatetimeParts",
        "group_effect": "mlwright.features.group_effect:GroupEffect",
        "number": "mlwright.features.number:Number",
        "numeric_codes": "mlwright.features.numeric_codes:NumericCodes",
        "one_hot": "mlwright.features.one_hot:OneHot",
        "ordinal_words": "mlwright.features.ordinal_words:OrdinalWords",
        "range_value": "mlwright.features.range_value:RangeValue",
        "scaled_number": "mlwright.features.scaled_number:ScaledNumber",
        "target_encoding": "mlwright.features.target_encoding:TargetEncoding",
        "text_score": "mlwright.features.text_score:TextScore",
        "text_statistics": "mlwright.features.text_statistics:TextStatistics",
        "text_svd": "mlwright.features.text_svd:TextSVD",
        "text_tfidf": "mlwright.features.text_tfidf:TextTFIDF",
        "winsorized_number": "mlwright.features.winsorized_number:WinsorizedNumber",
    }
)

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "catboost": "mlwright.models.catboost:CatBoost",
        "consensus": "mlwright.models.consensus:Consensus",
        "density_clusters": "mlwright.models.density_clusters:DensityClusters",
        "discriminant": "mlwright.models.discriminant:Discriminant",
        "dummy": "mlwright.models.dummy:Dummy",
        "ecod": "mlwright.models.ecod:Ecod",
        "gaussian_mixture": "mlwright.models.gaussian_mixture:GaussianMixture",
        "isolation_forest": "mlwright.models.isolation_forest:IsolationForest",
        "k_means": "mlwright.models.k_means:KMeans",
        "kernel": "mlwright.models.kernel:Kernel",
        "lightgbm": "mlwright.models.lightgbm:LightGBM",
        "linear": "mlwright.models.linear:Linear",
        "mlp": "mlwright.models.mlp:MLP",
        "neighbour_distance": "mlwright.models.neighbour_distance:NeighbourDistance",
    }
)

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "mlwright.metrics.decision:Accuracy",
        "balanced_accuracy": "mlwright.metrics.decision:BalancedAccuracy",
        "brier": "mlwright.metrics.classification:Brier",
        "cost": "mlwright.metrics.decision:Cost",
        "f1": "mlwright.metrics.decision:F1",
        "gamma_deviance": "mlwright.metrics.regression:GammaDeviance",
        "log_loss": "mlwright.metrics.classification:LogLoss",
        "mae": "mlwright.metrics.regression:MAE",
        "mape": "mlwright.metrics.regression:MAPE",
        "mcc": "mlwright.metrics.decision:MCC",
        "pinball": "mlwright.metrics.regression:Pinball",
        "poisson_deviance": "mlwright.metrics.regression:PoissonDeviance",
        "pr_auc": "mlwright.metrics.classification:PRAUC",
        "quadratic_kappa": "mlwright.metrics.decision:QuadraticKappa",
        "r2": "mlwright.metrics.regression:R2",
        "rmse": "mlwright.metrics.regression:RMSE",
        "rmsle": "mlwright.metrics.regression:RMSLE",
        "roc_auc": "mlwright.metrics.classification:ROCAUC",
        "top_k_accuracy": "mlwright.metrics.classification:TopKAccuracy",
        "tweedie_deviance": "mlwright.metrics.regression:TweedieDeviance",
    }
)

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "banned": "mlwright.data.checks.banned:Banned",
        "constant": "mlwright.data.checks.constant:Constant",
        "contract": "mlwright.data.checks.contract:KeepsContract",
        "drift": "mlwright.data.checks.drift:Drift",
        "duplicate_rows": "mlwright.data.checks.duplicate_rows:DuplicateRows",
        "future": "mlwright.data.checks.future:Future",
        "identifier": "mlwright.data.checks.identifier:Identifier",
        "imbalance": "mlwright.data.checks.imbalance:Imbalance",
        "leak": "mlwright.data.checks.leak:Leak",
        "missing": "mlwright.data.checks.missing:Missing",
        "missing_pattern": "mlwright.data.checks.missing_pattern:MissingPattern",
        "mixed_types": "mlwright.data.checks.mixed_types:MixedTypes",
        "near_duplicates": "mlwright.data.checks.near_duplicates:NearDuplicates",
        "order": "mlwright.data.checks.order:Order",
        "pii": "mlwright.data.checks.pii:Pii",
        "proxy": "mlwright.data.checks.proxy:Proxy",
        "redundant": "mlwright.data.checks.redundant:Redundant",
        "same_entity": "mlwright.data.checks.same_entity:SameEntity",
    }
)


def require(table: Mapping[str, str], kind: str, *, family: str) -> str:
    """Return where `kind` lives, importing nothing.

    Raises
    ------
    BundleKindError
        If the table does not hold it; the message names the nearest kind.
    """
    if not isinstance(kind, str) or kind not in table:
        near = difflib.get_close_matches(str(kind), table, n=1)
        raise BundleKindError(
            f"unknown {family}",
            got=kind,
            allowed=sorted(table),
            fix=f"did you mean '{near[0]}'?" if near else None,
        )
    return table[kind]


def load(table: Mapping[str, str], kind: str, *, family: str) -> Any:
    """Import and return the class of `kind`.

    Examples
    --------
    >>> load(MODELS, "dummy", family="model").kind
    'dummy'
    """
    module, _, name = require(table, kind, family=family).partition(":")
    return getattr(importlib.import_module(module), name)

"""Projection: a matrix's rows on a map of two directions, its leading principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats

__all__ = ["Projection", "project"]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Projection:
    """Rows on two principal components.

    Parameters
    ----------
    points : ndarray of shape (n_rows, 2)
        Where each row lies.
    shares : (float, float)
        The share of the variance that lies along each direction.
    leading : tuple of (str, ...)
        For each direction the names of the columns that lean on it most.
    """

    points: Floats
    shares: tuple[float, float]
    leading: tuple[tuple[str, ...], ...]


def project(X: Floats, names: list[str], *, fitted: int | None = None) -> Projection:
    """Return the first two principal components of a complete matrix.

    The signs are turned so that the heaviest column of each direction counts upwards.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Without missing values.
    names : list of str
        One a column.
    fitted : int, optional
        How many of the first rows the directions are found from; all by default.

    Examples
    --------
    >>> found = project(np.array([[0.0, 0.0], [2.0, 0.1], [4.0, -0.1]]), ["long", "short"])
    >>> round(found.shares[0], 2), found.leading[0]
    (1.0, ('long', 'short'))
    """
    middle = X[:fitted].mean(axis=0)
    centred = X - middle
    fitted_rows = centred[:fitted]
    if X.shape[1] > len(fitted_rows):
        directions = np.linalg.svd(fitted_rows, full_matrices=False)[2]
    else:
        directions = np.linalg.eigh(fitted_rows.T @ fitted_rows)[1][:, ::-1].T
    directions = directions[:2]
    heaviest = np.abs(directions).argmax(axis=1)
    directions = (
        directions * np.where(directions[np.arange(len(directions)), heaviest] < 0, -1.0, 1.0)[:, None]
    )
    points = np.zeros((len(X), 2))
    points[:, : len(directions)] = centred @ directions.T
    total = float(np.square(fitted_rows).sum())
    along = np.square(points[:fitted]).sum(axis=0)
    shares = along / total if total > 0 else np.zeros(2)
    leading = []
    for direction in directions:
        order = np.argsort(-np.abs(direction), kind="stable")[:_NAMED]
        leading.append(tuple(names[i] for i in order if direction[i] != 0))
    return Projection(points, (float(shares[0]), float(shares[1])), tuple(leading))

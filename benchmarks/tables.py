"""Tables: how a benchmark's table is read, cleaned, sampled and split, the same for every system.

Knows a folder of tables (``manifest.json`` beside Parquet or CSV files; README.md says how to make one) and nothing of
the systems. One entry of the manifest has ``name``, ``file``, ``target`` and ``task``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split
from tables_list import DROP, entry, path_of

__all__ = ["Data", "load", "plain_frame", "task_of"]

MOST_ROWS = 100_000
FEWEST_OF_A_CLASS = 8


@dataclass(frozen=True, slots=True)
class Data:
    """One table, split.

    Parameters
    ----------
    train, test : DataFrame
        Three quarters and one quarter of the rows, target included; raw columns as pandas reads them.
    target : str
        The column to predict: strings for classes, floats for numbers.
    task : {"binary", "multiclass", "regression"}
    """

    train: pd.DataFrame
    test: pd.DataFrame
    target: str
    task: str


def task_of(task: str, target: pd.Series) -> str:
    """Return the manifest's task, or what the target says where that is another word (``text``, ``scale``)."""
    if task in ("binary", "multiclass", "regression"):
        return task
    n_values = target.nunique()
    if n_values == 2:
        return "binary"
    return "regression" if pd.api.types.is_numeric_dtype(target) and n_values > 20 else "multiclass"


def plain_frame(table: str, folder: Path, drop: tuple[str, ...] = ()) -> tuple[pd.DataFrame, str, str]:
    """Return all rows with a target, without the columns of `DROP` and `drop`; the target; the task."""
    told, path = entry(table, folder), path_of(table, folder)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    target = told["target"]
    frame = frame[frame[target].notna()]
    frame = frame.drop(columns=[c for c in (*DROP.get(table, ()), *drop) if c in frame and c != target])
    task = task_of(told["task"], frame[target])
    if task == "regression":
        frame[target] = frame[target].astype(float)
    else:
        frame[target] = frame[target].astype(str)
        counts = frame[target].value_counts()
        frame = frame[frame[target].isin(counts[counts >= FEWEST_OF_A_CLASS].index)]
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
    return frame, target, task


def load(table: str, folder: Path, seed: int, drop: tuple[str, ...] = ()) -> Data:
    """Return a table split 75/25 by the seed, stratified for classes; over 100,000 rows it is sampled to that."""
    frame, target, task = plain_frame(table, folder, drop)
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=seed)
    frame = frame.reset_index(drop=True)
    strata = None if task == "regression" else frame[target]
    train, test = train_test_split(frame, test_size=0.25, random_state=seed, stratify=strata)
    return Data(train, test, target, task)

"""The task follows from the target, and what cannot be learned is refused with its reason."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.errors import DataError, UsageError
from mlwright.data.infer import has_target, infer, infer_task, target_values
from mlwright.data.schema import Kind, Role, Task, TaskKind
from mlwright.data.table import Table

N = 60


def table(y: list[Any], **more: Any) -> Table:
    raw = pa.table({"x": [(i * 37) % 23 / 7 for i in range(len(y))], **more, "y": y})
    return Table(raw, infer(raw, target="y"))


@pytest.mark.parametrize(
    ("y", "labels", "codes"),
    [
        (["Yes", "No", "No"], ("No", "Yes"), [1, 0, 0]),
        (["yes", "no", "Yes", "Yes"], ("no", "Yes"), [1, 0, 1, 1]),
        ([1, 0, 0], (0, 1), [1, 0, 0]),
        (["1", "0", "0"], (0, 1), [1, 0, 0]),
        ([1.0, 0.0, 1.0], (0, 1), [1, 0, 1]),
        ([True, False, True], (False, True), [1, 0, 1]),
        ([-1, 1, 1], (-1, 1), [0, 1, 1]),
        ([1, 2, 2], (2, 1), [1, 0, 0]),  # the rarer one is positive
        (["ham", "spam", "spam"], ("ham", "spam"), [0, 1, 1]),
        (["negative", "positive", "positive"], ("negative", "positive"), [0, 1, 1]),
        (["<=50K", ">50K", "<=50K"], ("<=50K", ">50K"), [0, 1, 0]),
        (["007", "7", "007"], ("007", "7"), [0, 1, 0]),
    ],
)
def test_two_classes(y: list[Any], labels: tuple[Any, ...], codes: list[int]) -> None:
    data = table(y * 10)
    task = infer_task(data, "y")
    assert task == Task(TaskKind.BINARY, "y", "roc_auc", labels)
    assert [type(label) for label in task.labels] == [type(label) for label in labels]
    assert target_values(data, task).tolist() == codes * 10


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (["b", "a", "c"], ("a", "b", "c")),
        ([10, 9, 2], (2, 9, 10)),
        (["class10", "class9", "class2"], ("class2", "class9", "class10")),
        ([3.0, 1.0, 2.0], (1, 2, 3)),
    ],
)
def test_many_classes_in_natural_order(y: list[Any], labels: tuple[Any, ...]) -> None:
    data = table(y * 20)
    task = infer_task(data, "y")
    assert task == Task(TaskKind.MULTICLASS, "y", "log_loss", labels)
    assert target_values(data, task)[:3].tolist() == [labels.index(v) for v in y]


def test_quantities() -> None:
    prices = [f"${1000 + 37 * i % 997:,}.50" for i in range(N)]
    data = table(prices)
    task = infer_task(data, "y")
    assert task == Task(TaskKind.REGRESSION, "y", "rmse")
    assert target_values(data, task).tolist() == [1000.5 + 37 * i % 997 for i in range(N)]
    assert infer_task(table(list(range(N))), "y").kind is TaskKind.REGRESSION
    assert infer_task(table([i % 3 + 0.5 for i in range(N)]), "y").kind is TaskKind.REGRESSION
    counts = table([i % 3 for i in range(N)])
    assert infer_task(counts, "y").kind is TaskKind.MULTICLASS
    given = infer_task(counts, "y", kind="regression", metric="mae")
    assert given == Task(TaskKind.REGRESSION, "y", "mae")
    assert target_values(counts, given).tolist() == [i % 3 for i in range(N)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("quality", TaskKind.REGRESSION),
        ("userRating", TaskKind.REGRESSION),
        ("n_count", TaskKind.REGRESSION),
        ("cluster", TaskKind.MULTICLASS),
    ],
)
def test_a_name_may_say_that_whole_numbers_are_quantities(name: str, kind: TaskKind) -> None:
    raw = pa.table({"x": [i * 0.37 for i in range(N)], name: [i % 6 + 3 for i in range(N)]})
    data = Table(raw, infer(raw, target=name))
    assert infer_task(data, name).kind is kind
    assert infer_task(data, name, kind="multiclass").labels == (3, 4, 5, 6, 7, 8)


def test_two_values_are_classes_whatever_the_name() -> None:
    raw = pa.table({"x": [i * 0.37 for i in range(N)], "score": [i % 2 + 1 for i in range(N)]})
    assert infer_task(Table(raw, infer(raw, target="score")), "score").kind is TaskKind.BINARY


def test_a_value_that_stands_once_is_the_tail_of_a_count_but_a_word_that_does_is_a_class() -> None:
    seen = [i % 4 for i in range(N - 1)]
    assert infer_task(table([*seen, 9]), "y").kind is TaskKind.REGRESSION
    assert infer_task(table([*(f"c{n}" for n in seen), "c9"]), "y").labels == ("c0", "c1", "c2", "c3", "c9")


def test_missing_and_unknown_targets_are_nan() -> None:
    data = table(["Yes", "No", None, "NA"] * 10)
    task = infer_task(data, "y")
    y = target_values(data, task)
    assert has_target(y).tolist() == [True, True, False, False] * 10
    later = pa.table({"x": [1.0, 2.0], "y": ["Yes", "Maybe"]})
    assert np.isnan(target_values(Table(later, data.schema), task)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        (table([1, 0] * 20), {"target": "yy"}, UsageError, "did you mean 'y'"),
        (table([1, 0] * 20), {"kind": "ranking"}, UsageError, "binary, multiclass, regression"),
        (table([1, 0] * 20), {"metric": "roc_au"}, UsageError, "did you mean 'roc_auc'"),
        (table([1, 0] * 20), {"kind": "multiclass"}, UsageError, "has 2 classes"),
        (table(["a", "b", "c"] * 20), {"kind": "binary"}, UsageError, "has 3 classes"),
        (table(["a"] * 20), {}, DataError, "one class only"),
        (table([True] * 20), {}, DataError, "one class only"),
        (table([5] * 20), {"kind": "regression"}, DataError, "one value only"),
        (table([None] * 20), {}, DataError, "missing in all 20 rows"),
        (table([1, 0, 1]), {}, DataError, "only 3 rows of 3"),
        (table([1] + [None] * 20), {}, DataError, "only 1 row of 21"),
        (table(["a"] * 20 + ["c", "d"]), {}, DataError, "2 classes of.*have one row.*'c', 'd'"),
        (table([0] * 40 + [1]), {}, DataError, "1 class of .* has one row"),
        (table([f"name {i}" for i in range(40)]), {}, DataError, "40 classes in 40 rows"),
        (table([dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(40)]), {}, DataError, "is a date"),
        (table(["oops"] + [str(i * 1.5) for i in range(40)]), {}, DataError, "1 values.*no numbers.*'oops'"),
        (table(["a", "b"] * 20), {"kind": "regression"}, DataError, "no numbers.*'a', 'b'"),
        (table([1, 0] * 20, z=["1", "0"] * 20), {}, DataError, "'z' is a copy of the target 'y'"),
        (
            table([i * 1.5 for i in range(40)], z=[f"{i * 1.5:.2f}" for i in range(40)]),
            {},
            DataError,
            "'z' is a copy",
        ),
        (
            table(["Yes", None] * 10 + ["No", "No"], z=["Yes", "No"] * 10 + ["No", "No"]),
            {},
            DataError,
            "'z' is a copy",
        ),
    ],
)
def test_what_cannot_be_learned(
    data: Table, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        infer_task(data, **{"target": "y", **options})


def test_a_recoding_or_an_ignored_copy_is_no_copy() -> None:
    recoded = table(["Yes", "No"] * 20, z=["1", "0"] * 20)
    assert infer_task(recoded, "y").kind is TaskKind.BINARY
    copy = table([1, 0] * 20, z=[1, 0] * 20)
    assert infer_task(Table(copy.arrow, copy.schema.with_role("z", Role.IGNORED)), "y").labels == (0, 1)
    late = table([1.5 * i for i in range(3000)], z=[1.5 * i for i in range(2999)] + [0.0])
    assert infer_task(late, "y").kind is TaskKind.REGRESSION


def test_no_feature_is_left() -> None:
    raw = pa.table({"id": range(40), "c": ["x"] * 40, "y": [1, 0] * 20})
    with pytest.raises(DataError, match=r"no column is left.*identifier.*constant"):
        infer_task(Table(raw, infer(raw, target="y")), "y")


def test_a_target_is_never_an_identifier() -> None:
    raw = pa.table({"x": [i % 7 for i in range(N)], "id": list(range(N))})
    schema = infer(raw, target="id")
    assert (schema["id"].kind, schema["id"].role) == (Kind.NUMERIC, Role.TARGET)
    assert infer_task(Table(raw, schema), "id").kind is TaskKind.REGRESSION

"""Tests of the gate before LightGBM's number of threads, which is the process's own."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from mlwright.models.lightgbm_threads import ThreadNumber

# Sparse columns have a buffer for each thread of the moment in which a data set is built; a prediction for many rows sets
# another number. Ended with a segmentation fault in a second or so before there was the gate.
_SIDE_BY_SIDE = """
import threading
import numpy as np
from mlwright.data.schema import Task, TaskKind
from mlwright.models import lightgbm_native
from mlwright.models.base import FitContext
from mlwright.models.lightgbm import LightGBM

lightgbm_native._cores = lambda: 4
draw = np.random.default_rng(0)
X = (draw.random((4_000, 150)) < 0.05) * draw.integers(1, 4, (4_000, 150)).astype(float)
y = draw.random(4_000)
context = FitContext(Task(TaskKind.REGRESSION, "y", "rmse"), n_iterations=1)
model = LightGBM().fit(X, y, context)
model.settle()
want = model.predict(X)
done, wrong = threading.Event(), []

def ask():
    while not done.is_set():
        if not (model.predict(X) == want).all():
            wrong.append(1)

others = [threading.Thread(target=ask) for _ in range(2)]
for other in others:
    other.start()
for _ in range(120):
    assert (LightGBM().fit(X, y, context).predict(X) == want).all()
done.set()
for other in others:
    other.join()
print("wrong" if wrong else "ended")
"""


def test_a_prediction_beside_a_fit_does_not_end_the_process():
    words = [sys.executable, "-c", _SIDE_BY_SIDE]
    made = subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)
    assert (made.returncode, made.stdout.strip()) == (0, "ended"), made.stderr[-2000:]


def test_one_number_is_held_by_many_and_another_waits():
    gate, entered = ThreadNumber(), threading.Event()

    def other():
        with gate.held(2):
            entered.set()

    waiting = threading.Thread(target=other)
    with gate.held(1), gate.held(1):
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(30)
    waiting.join()


def test_nobody_waits_for_ever_while_others_come_and_go():
    gate, done = ThreadNumber(), threading.Event()

    def busy():
        while not done.is_set():
            with gate.held(1):
                done.wait(0.001)

    others = [threading.Thread(target=busy) for _ in range(4)]
    for other in others:
        other.start()
    for _ in range(20):
        with gate.held(2):
            pass
    done.set()
    for other in others:
        other.join()


def test_an_error_within_gives_it_back():
    gate = ThreadNumber()
    with pytest.raises(ValueError, match="torn"), gate.held(1):
        raise ValueError("torn")
    with gate.held(2):
        pass

"""Mutated bodies: no 5xx, and every 4xx names its cause. `benchmarks/fuzz_serving.py` sends a hundred thousand."""

from __future__ import annotations

import pytest
from mutated_bodies import check, seeds, sent
from real_predictors import BINARY, REGRESSION, build
from serving_fakes import Client

from mlwright.serving import App


@pytest.mark.parametrize("task", [BINARY, REGRESSION], ids=lambda t: str(t.kind))
def test_no_mutated_body_makes_a_5xx(task, capsys):
    client = Client(App(build(task)))
    wrong = [fault for number in range(1_500) if (fault := check(*sent(client, number))) is not None]
    assert wrong == [], capsys.readouterr().err[-3000:]


def test_the_seeds_themselves_are_answered():
    client = Client(App(build(BINARY)))
    for path, headers, body in seeds():
        assert client.request("POST", path, body, headers).status == 200, (path, body[:80])

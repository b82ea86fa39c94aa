"""Fixtures for the serving tests."""

from __future__ import annotations

import pytest
from serving_fakes import Client, make

from mlwright.serving import App


@pytest.fixture(scope="session")
def predictor():
    predictor = make()
    predictor.verify_golden()
    return predictor


@pytest.fixture
def client(predictor):
    app = App(predictor)
    yield Client(app)
    app.close()


@pytest.fixture
def client_of():
    made = []

    def build(app):
        made.append(app)
        return Client(app)

    yield build
    for app in made:
        app.close()

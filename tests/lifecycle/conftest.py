"""One small model, trained once, for the tests that look at what a run leaves behind."""

import shutil

import pytest
from commands import Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A model that tests may read and must not change."""
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the model's folder, moved elsewhere: a store can be copied."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(made.folder, folder)
    return Made(folder, folder / "customers.csv", made.printed)

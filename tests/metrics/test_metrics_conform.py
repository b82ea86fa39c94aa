import pytest

from mlwright.testing.metrics import cases


@pytest.mark.parametrize("case", [pytest.param(check, id=name) for name, check in cases()])
def test_conforms(case):
    case()

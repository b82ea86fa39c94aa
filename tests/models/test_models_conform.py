import pytest

from mlwright.testing.models import cases


@pytest.mark.parametrize("case", [pytest.param(check, id=name) for name, check in cases()])
def test_conforms(case):
    case()

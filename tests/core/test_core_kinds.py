import subprocess
import sys

import pytest

from mlwright.core import kinds
from mlwright.core.errors import BundleKindError


def test_require_says_where_a_kind_lives_and_imports_nothing():
    code = (
        "import sys\n"
        "from mlwright.core import kinds\n"
        "assert kinds.require(kinds.MODELS, 'dummy', family='model') == 'mlwright.models.dummy:Dummy'\n"
        "assert 'mlwright.models' not in sys.modules\n"
        "assert kinds.load(kinds.MODELS, 'dummy', family='model').__name__ == 'Dummy'\n"
        "assert 'mlwright.models.dummy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_unknown_kind_is_refused_with_the_nearest_one():
    with pytest.raises(BundleKindError, match=r"unknown model: got 'lightgmb'.*did you mean 'lightgbm'\?"):
        kinds.load(kinds.MODELS, "lightgmb", family="model")


@pytest.mark.parametrize(
    "kind",
    ["os:system", "mlwright.models.dummy:Dummy", "", "Dummy", "dummy ", "builtins:exec", None, 7, ["dummy"]],
)
def test_a_path_or_another_type_is_no_kind(kind):
    with pytest.raises(BundleKindError):
        kinds.load(kinds.MODELS, kind, family="model")


def test_a_kind_of_another_family_is_refused():
    with pytest.raises(BundleKindError):
        kinds.require(kinds.TRANSFORMS, "dummy", family="transform")

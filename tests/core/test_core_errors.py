import re

import pytest

from mlwright.core import errors


def tree(cls, depth=0):
    """Return ``(depth, name)`` of a class and its children, in the order of their definition."""
    found = [(depth, cls.__name__)]
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            found += tree(child, depth + 1)
    return found


def test_the_tree_in_the_docstring_is_the_real_one():
    drawn = [
        (len(indent) // 2 - 2, name)
        for indent, name in re.findall(r"^( +)([A-Z]\w+Error) ", errors.__doc__, re.MULTILINE)
    ]
    assert drawn == tree(errors.MlwrightError)
    assert {name for _, name in drawn} == set(errors.__all__)


def test_exit_codes_in_the_docstring_are_the_real_ones():
    said = {name: int(code) for name, code in re.findall(r"(\w+Error) +exit code (\d)", errors.__doc__)}
    assert said == {"MlwrightError": 1, "UsageError": 2, "RefusedError": 3}
    for name in errors.__all__:
        cls = getattr(errors, name)
        nearest = next(parent.__name__ for parent in cls.__mro__ if parent.__name__ in said)
        assert cls.exit_code == said[nearest]


def test_a_wrong_parameter_is_a_value_error_too():
    assert issubclass(errors.ParameterError, ValueError)
    assert not issubclass(errors.DataError, ValueError)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "the thing is wrong"),
        ({"got": None}, "the thing is wrong: got None"),
        ({"got": 7, "allowed": "1 to 5"}, "the thing is wrong: got 7; allowed: 1 to 5"),
        ({"allowed": ["a", "b"]}, "the thing is wrong; allowed: a, b"),
        ({"fix": "mend it"}, "the thing is wrong. Next: mend it"),
        (
            {"got": "x", "allowed": ["a"], "fix": "mend it"},
            "the thing is wrong: got 'x'; allowed: a. Next: mend it",
        ),
    ],
)
def test_a_message_has_up_to_four_parts(parts, text):
    error = errors.MlwrightError("the thing is wrong", **parts)
    assert str(error) == text
    assert error.what == "the thing is wrong"
    assert error.fix == parts.get("fix")


def test_a_long_value_is_cut_at_200_characters():
    fits = str(errors.MlwrightError("x", got="a" * 198))
    assert fits == f"x: got '{'a' * 198}'"
    cut = str(errors.MlwrightError("x", got="a" * 199))
    assert cut.endswith("...")
    assert len(cut) == len("x: got ") + 200


def test_a_record_error_speaks_of_the_first_problem_and_counts_the_others():
    first = {"field": "age", "problem": "required, but missing", "got": None, "allowed": "a number"}
    alone = errors.RecordError([first])
    assert str(alone) == "field 'age': required, but missing: got None; allowed: a number"
    three = errors.RecordError([first, first, first])
    assert "(and 2 more)" in str(three)
    assert len(three.problems) == 3


def test_a_refusal_holds_what_programs_get():
    assert errors.RefusedError("no", details={"gate": 1}).details == {"gate": 1}
    assert errors.RefusedError("no").details == {}

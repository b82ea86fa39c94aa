"""Columns cut into parts: every row in the part that its own words describe."""

import numpy as np

from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded
from mlwright.evaluate.cuts import Condition, cuts


def test_numbers_are_cut_at_quantiles_and_say_their_ends():
    values = np.append(np.random.default_rng(0).exponential(size=997), [np.nan] * 3)
    (found,) = cuts(Column("x", Kind.NUMERIC), values, fewest=5)
    assert len(found.conditions) == found.n_ordered == 8
    for code, part in enumerate(found.conditions):
        own = values[found.codes == code]
        assert (part.low, part.high) == (own.min(), own.max())
        assert 120 <= len(own) <= 130
    assert (found.codes == -1).sum() == 3


def test_few_values_are_parts_of_their_own_and_a_mass_is_one_part():
    (found,) = cuts(Column("x", Kind.NUMERIC), np.array([1.0, 2, 2, 3]), fewest=1)
    assert [part.low for part in found.conditions] == [1, 2, 3]
    values = np.append(np.zeros(900), np.arange(1.0, 101.0))
    (found,) = cuts(Column("x", Kind.NUMERIC), values, fewest=1)
    assert (found.conditions[0].low, found.conditions[0].high) == (0, 0)
    assert (found.codes == 0).sum() == 900


def test_missing_is_a_part_where_there_is_enough_of_it():
    column, values = Column("x", Kind.CATEGORICAL), Coded(np.array([0, 0, 1, -1, -1], np.int32), ["a", "b"])
    (found,) = cuts(column, values, fewest=2)
    assert found.conditions == [Condition("x", level="a"), Condition("x")]
    assert found.codes.tolist() == [0, 0, -1, 1, 1]
    (found,) = cuts(column, values, fewest=1)
    assert [part.level for part in found.conditions] == ["a", "b", None]


def test_moments_are_cut_by_part():
    days = np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]")
    seconds = days.astype("datetime64[s]").astype(np.float64)
    found = {cut.conditions[0].part: cut for cut in cuts(Column("d", Kind.DATETIME), seconds, fewest=1)}
    assert set(found) == {"year", "month", "weekday"}  # no hours: all are midnight
    sunday = [part.level for part in found["weekday"].conditions].index("Sunday")
    assert str(days[found["weekday"].codes == sunday][0]) == "2020-01-05"
    march = [part.level for part in found["month"].conditions].index("March")
    assert {str(day)[5:7] for day in days[found["month"].codes == march]} == {"03"}
    assert [part.low for part in found["year"].conditions] == [2020, 2021]


def test_booleans_say_what_the_source_said():
    values = np.array([0.0, 1.0, np.nan, 1.0])
    for dtype, words in (("int", ["1", "0"]), ("bool", ["true", "false"]), ("str", ["yes", "no"])):
        (found,) = cuts(Column("b", Kind.BOOLEAN, dtype=dtype), values, fewest=1)
        assert [part.level for part in found.conditions] == [*words, None]


def test_what_does_not_differ_is_not_cut():
    assert cuts(Column("x", Kind.NUMERIC), np.ones(9), fewest=1) == []
    assert cuts(Column("x", Kind.NUMERIC), np.full(9, np.nan), fewest=1) == []

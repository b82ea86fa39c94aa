import math

import pytest

from mlwright.core.clock import Deadline, parse_duration
from mlwright.core.errors import UsageError


class Clock:
    """A clock that goes on when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("5min", 300),
        ("1.5h", 5400),
        ("2d", 172800),
        ("250ms", 0.25),
        (" 7 s ", 7),
        ("90", 90),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    ["", "s", "60 seconds", "1h30m", "-5s", "0", 0, -1, "1e3", True, None, math.nan, math.inf, "4000d"],
)
def test_what_is_no_duration_is_refused_by_name(text):
    with pytest.raises(UsageError, match=r"^patience is (not a duration|out of range)"):
        parse_duration(text, name="patience")


def test_a_deadline_counts_down_and_below_zero():
    clock = Clock()
    deadline = Deadline(10, clock)
    assert (deadline.elapsed, deadline.left) == (0, 10)
    clock.now += 4
    assert (deadline.elapsed, deadline.left) == (4, 6)
    clock.now += 9
    assert deadline.left == -3


def test_a_share_starts_now_and_is_of_what_is_left():
    clock = Clock()
    deadline = Deadline(10, clock)
    clock.now += 4
    share = deadline.share(0.5)
    assert (share.seconds, share.left) == (3, 3)
    clock.now += 2
    assert (share.left, deadline.left) == (1, 4)
    clock.now += 10
    assert deadline.share(0.5).seconds == 0


def test_without_an_end_something_is_always_left():
    clock = Clock()
    deadline = Deadline(math.inf, clock)
    clock.now += 1e9
    assert deadline.left == math.inf
    assert deadline.share(0.1).seconds == math.inf

"""Of many findings the terminal shows the foremost, and says how many more there are."""

from mlwright.cli.show import _foremost


def finding(severity, check, number):
    return {"severity": severity, "check": check, "what": f"{check} {number}."}


def test_all_that_stop_are_shown_and_few_of_the_others():
    stops = [finding("stop", "leak", i) for i in range(9)]
    warns = [finding("warn", check, i) for check in ("missing", "drift", "pii", "proxy") for i in range(4)]
    notes = [finding("info", f"check{i}", i) for i in range(7)]
    shown, more = _foremost([*stops, *warns, *notes])
    assert shown[:9] == stops
    assert [f["what"] for f in shown[9:15]] == [
        f"{c} {i}." for c in ("missing", "drift", "pii") for i in (0, 1)
    ]
    assert shown[15:] == notes[:4]
    assert more == 9 + 16 + 7 - 19


def test_few_are_shown_whole():
    few = [finding("warn", "missing", 0), finding("info", "constant", 0)]
    assert _foremost(few) == (few, 0)

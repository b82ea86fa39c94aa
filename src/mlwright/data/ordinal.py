"""Ordinal words: closed lists of words that have an order, and which of them a column speaks.

A list is used only where nearly all of a column's words stand in it: "low" alone says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["SCALES", "find_scale", "normal_word"]

_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred")
_ONES = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _steps(*steps: str) -> dict[str, float]:
    """Return the words of each step, parted by commas, with the step's number from 1."""
    return {word: float(step) for step, words in enumerate(steps, 1) for word in words.split(",")}


_LISTS: dict[str, dict[str, float]] = {
    "numbers": {word: float(number) for number, word in enumerate(_ONES)}
    | {word: 10.0 * number for number, word in enumerate(_TENS, 2)}
    | {f"{word} or more": float(number) for number, word in enumerate(_ONES)}
    | {"single": 1.0, "none": 0.0, "double": 2.0, "triple": 3.0},
    "months": {form: float(i) for i, m in enumerate(_MONTHS, 1) for form in (m, m[:3])} | {"sept": 9.0},
    "weekdays": {form: float(i) for i, day in enumerate(_DAYS, 1) for form in (day, day[:3], day[:2])}
    | {"tues": 2.0, "wednes": 3.0, "thur": 4.0, "thurs": 4.0},
    "quality codes": _steps("po", "fa", "ta", "gd", "ex"),
    "amounts": _steps(
        "extremely low,lowest", "very low", "low,small,minor,slight,light,mild,mn,minimal,few,weak,short",
        "medium,moderate,med,mid,middle,average,normal,av,standard,regular,avg",
        "high,large,major,severe,heavy,strong,big,many,significant,tall,long",
        "very high,very severe,extreme,huge,very large,critical", "extremely high,highest",
    ),
    "frequencies": _steps(
        "never,non,not at all", "almost never,very rarely", "rarely,seldom,hardly ever",
        "occasionally,sometimes,once in a while", "often,frequently,regularly",
        "usually,very often,mostly,very frequently,almost always", "always,every time,constantly",
    ),
    "agreement": _steps(
        "strongly disagree,completely disagree,totally disagree,disagree strongly",
        "disagree", "somewhat disagree,slightly disagree,disagree somewhat",
        "neutral,neither agree nor disagree,neither,undecided,no opinion",
        "somewhat agree,slightly agree,agree somewhat", "agree",
        "strongly agree,completely agree,totally agree,agree strongly",
    ),
    "satisfaction": _steps(
        "very dissatisfied,very unsatisfied,extremely dissatisfied", "dissatisfied,unsatisfied",
        "somewhat dissatisfied,slightly dissatisfied", "neutral,neither satisfied nor dissatisfied",
        "somewhat satisfied,slightly satisfied", "satisfied", "very satisfied,extremely satisfied",
    ),
    "grades": _steps(
        "terrible,awful,horrible,worst,very poor,very bad", "poor,bad,below average,unsatisfactory",
        "fair,average,okay,ok,acceptable,satisfactory,so so", "good,above average",
        "very good,better", "excellent,premium,great,best", "ideal,outstanding,perfect,exceptional",
    ),
    "clarity": _steps("i3", "i2", "i1", "si2", "si1", "vs2", "vs1", "vvs2", "vvs1", "if", "fl"),
    "importance": _steps(
        "not important,unimportant,not at all important,none", "slightly important,somewhat important",
        "moderately important,important", "very important", "extremely important,essential",
    ),
    "sizes": _steps(
        "xxxs,3xs", "xxs,2xs", "xs,extra small,x-small", "s,small", "m,medium", "l,large", "xl,extra large,x-large",
        "xxl,2xl", "xxxl,3xl", "4xl", "5xl",
    ),
    "schooling": _steps(
        "none,no schooling,illiterate", "preschool,kindergarten", "primary,elementary,basic,primary school",
        "lower secondary,middle school,some high school,less than high school,below college",
        "secondary,high school,hs-grad,high school graduate,upper secondary",
        "some college,vocational,associate,junior college,college,associates,professional certificate",
        "tertiary,bachelor,bachelors,undergraduate,university,bachelor's degree,bachelors degree,university degree",
        "graduate,master,masters,postgraduate,master's degree,masters degree",
        "doctorate,doctor,phd,doctoral,doctoral degree",
    ),
    "likelihood": _steps(
        "very unlikely,extremely unlikely,definitely not", "unlikely,probably not", "neutral,possible,maybe,unsure",
        "likely,probable,probably", "very likely,extremely likely,definitely",
    ),
    "ranks": _steps("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    "medals": _steps("bronze", "silver", "gold", "platinum", "diamond"),
    "trends": _steps("down,decrease,decreasing,falling", "steady,no,same,stable,unchanged", "up,increase,increasing,rising"),
    "parts": _steps("none", "partial,some,half,slightly", "full,all,complete,most"),
    "levels": _steps(
        "novice,beginner,entry,trainee,intern,entry-level,entry level", "basic,junior,elementary",
        "intermediate,mid,mid-level,mid level,associate", "advanced,senior,proficient", "expert,lead,principal,native,master",
        "executive,director,manager",
    ),
}  # fmt: skip
#: Each list by its name: the numbers of its words.
SCALES: Mapping[str, Mapping[str, float]] = MappingProxyType(_LISTS)
_BETWEEN = re.compile(r"[\s_.]+")


def normal_word(text: str) -> str:
    """Return a level as the lists write it: lower case, one space between words.

    Examples
    --------
    >>> normal_word(" Very_High"), normal_word("X-Large")
    ('very high', 'x-large')
    """
    return _BETWEEN.sub(" ", text[:60].lower()).strip()


def find_scale(levels: Iterable[str]) -> str | None:
    """Return the name of the list that holds nearly all of a column's levels, or None.

    One level in four may stand outside ("unknown"); at least three (of a column with two levels both) must stand
    inside, on different steps.

    Examples
    --------
    >>> find_scale(["Low", "Medium", "High"]), find_scale(["TA", "Gd", "Ex", "No"]), find_scale(["red", "low"])
    ('amounts', 'quality codes', None)
    """
    words = sorted({normal_word(level) for level in levels})
    if len(words) < 2:
        return None
    best: tuple[int, str] | None = None
    for name, scale in SCALES.items():
        inside = [word for word in words if word in scale]
        steps = len({scale[word] for word in inside})
        if steps >= min(3, len(words)) and 4 * (len(words) - len(inside)) <= len(words):
            best = max(best or (0, ""), (len(inside), name), key=lambda pair: pair[0])
    return None if best is None else best[1]

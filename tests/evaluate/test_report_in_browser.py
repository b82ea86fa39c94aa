"""Reports in a real browser: axe-core finds nothing serious, nothing is fetched, and the figures are those of ``--json``."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path

import pytest

from browser import AXE_PACKAGE, Browser, axe_source, chromium
from customers import write
from mlwright.evaluate.report import render

ROOT = Path(__file__).resolve().parents[2]
LOOKS = {
    "light": {},
    "dark": {"dark": True},
    "phone": {"width": 390, "height": 844},
}
HOW = f"install Chromium (Debian: apt-get install chromium) and `pip install --no-deps {AXE_PACKAGE.replace('_', '-')}`"


@dataclass(frozen=True)
class Ran:
    """What `mlwright run --json` printed, and the page that it wrote."""

    told: dict
    path: Path

    @property
    def page(self):
        return self.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser():
    program, source = chromium(), axe_source()
    if program is None or source is None:
        lacks = "Chromium" if program is None else "axe-core"
        pytest.skip(f"NOT TESTED: reports in a browser, for want of {lacks}: {HOW}")
    with Browser(program) as opened:
        opened.source = source
        yield opened


def _run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mlwright", "run", *arguments, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Ran(told, Path(told["report"]))


@pytest.fixture(scope="module")
def churn(tmp_path_factory):
    """The churn example with few trials."""
    folder = tmp_path_factory.mktemp("churn")
    shutil.copytree(
        ROOT / "examples" / "churn", folder / "churn", ignore=shutil.ignore_patterns("data", ".*")
    )
    return _run(folder, "churn", "--budget", "60s", "--trials", "3")


@pytest.fixture(scope="module")
def anomaly(tmp_path_factory):
    """Odd customers."""
    folder = tmp_path_factory.mktemp("odd")
    write(folder / "customers.csv")
    return _run(folder, "customers.csv", "--task", "anomaly", "--ignore", "churned", "--budget", "30s")


def _passes(browser, path):
    for name, look in LOOKS.items():
        browser.look(**look)
        browser.open(path)
        found = browser.axe(browser.source)
        assert [each for each in found if each[0] in {"serious", "critical", "moderate"}] == [], name
        assert browser.requests == [path.resolve().as_uri()], name
        assert browser.complaints == [], name
        assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0, name


def test_the_tool_finds_what_is_wrong(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<!DOCTYPE html><html><body><img src="missing.png"><p style="color:#ccc">pale</p></body></html>'
    )
    browser.look()
    browser.open(path)
    rules = {rule for _, rule, _, _ in browser.axe(browser.source)}
    assert {"image-alt", "html-has-lang", "color-contrast"} <= rules
    assert len(browser.requests) == 2


def test_reports_of_every_kind_pass(browser, context, case, tmp_path):
    path = tmp_path / f"{case.task.kind}.html"
    path.write_text(render(context), encoding="utf-8")
    _passes(browser, path)


def test_the_churn_report_passes(browser, churn):
    assert churn.path.stat().st_size < 3_000_000
    _passes(browser, churn.path)


def test_the_report_of_anomalies_passes(browser, anomaly):
    assert anomaly.path.stat().st_size < 3_000_000
    _passes(browser, anomaly.path)


def test_it_can_be_read_by_keyboard(browser, churn):
    browser.look()
    browser.open(churn.path)
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left >= 0")
    levels = browser.run("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert browser.run(
        "[...document.querySelectorAll('svg')].every(s => s.querySelector('title') && s.querySelector('desc'))"
    )
    assert browser.run(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th[scope]'))"
    )


def test_it_prints_light_and_cuts_nothing_off(browser, churn):
    browser.look(paper=True, dark=True)
    browser.open(churn.path)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    printed = browser.call("Page.printToPDF", preferCSSPageSize=True)
    assert len(printed["data"]) > 10_000
    wide = browser.run(
        "[...document.querySelectorAll('.scroll')].filter(s => getComputedStyle(s).overflowX !== 'visible').length"
    )
    assert wide == 0


def test_the_figures_are_those_of_json(churn):
    marked = re.findall(r'<data value="([^"]*)" data-path="([^"]*)">', churn.page)
    paths = [path for _, path in marked]
    assert {f"scores.roc_auc.{end}" for end in ("estimate", "low", "high")} <= set(paths)
    for value, path in marked:
        found = reduce(_step, html.unescape(path).split("."), churn.told)
        assert float(value) == pytest.approx(found, rel=1e-9, abs=1e-12), path
    told = churn.told
    assert told["scores"]["roc_auc"]["estimate"] == told["test_score"]
    assert [told["scores"]["roc_auc"][end] for end in ("low", "high")] == told["test_interval"]


def _step(tree, key):
    return tree[int(key)] if isinstance(tree, list) else tree[key]


def test_the_first_screen_says_what_json_says(churn):
    first = re.search(r'<section class="summary".*?</section>', churn.page, flags=re.DOTALL)[0]
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", "", first.replace("</", " </"))).split())
    shown = re.sub(r" ([.,;:])", r"\1", shown)
    words = churn.told["in_words"]
    sentences = [words["lead"], *(each["text"] for each in words["against"])]
    sentences += [each["text"] for each in [*words["cautions"][:6], *words["steps"]]]
    sentences += words["drivers"]
    assert len(words["drivers"]) >= 3
    for sentence in sentences:
        plain = re.sub(r" ([.,;:])", r"\1", " ".join(sentence.split()))
        assert plain.replace(" ", "") in shown.replace(" ", ""), sentence
    flagged = churn.told["shares"]["flagged"]
    low, high = round(100 * flagged["low"]), round(100 * flagged["high"])
    assert f"{low} to {high} truly are" in words["lead"]
    hits = flagged["count"] / flagged["total"]
    assert flagged["low"] < hits < flagged["high"]

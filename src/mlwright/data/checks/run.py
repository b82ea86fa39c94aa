"""Running all checks, and what a project accepts of what they say."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.findings import Finding, Severity

__all__ = ["refused", "run_checks"]

_MOST_THREADS = 4
_RANK = {Severity.STOP: 0, Severity.WARN: 1, Severity.INFO: 2}


def run_checks(context: CheckContext, accept: Sequence[str] = ()) -> list[Finding]:
    """Run every check of the closed table and return what they found, the worst first.

    Findings of one severity stand in the order of the closed table. The same context gives the same findings.

    Parameters
    ----------
    context : CheckContext
        What to look at.
    accept : sequence of str
        Codes that the project accepts, such as "leak:duration". One that no finding has gives a finding of its own,
        because it is mistyped or has outlived its reason.
    """

    def look(kind: str) -> list[Finding]:
        check: Check = load(CHECKS, kind, family="check")()
        return check.run(context)

    # Side by side: most of what they do is NumPy's, which needs Python's lock for little of it.
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        found = [finding for findings in threads.map(look, CHECKS) for finding in findings]
    codes = {finding.code for finding in found}
    for entry in dict.fromkeys(accept):
        if entry in codes:
            continue
        near = difflib.get_close_matches(entry, sorted(codes), n=1)
        advice = f"Did you mean '{near[0]}'?" if near else "Remove it."
        what = f"The project accepts '{entry}', but there are 0 findings with this code."
        found.append(Finding("accept", Severity.WARN, (), what, advice))
    return sorted(found, key=lambda finding: _RANK[finding.severity])


def refused(findings: Sequence[Finding], accept: Sequence[str] = ()) -> list[Finding]:
    """Return the findings that stop a run: those of severity "stop" whose code is not accepted.

    Examples
    --------
    >>> leak = Finding("leak", Severity.STOP, ("duration",), "AUC 1.", "Leave it out.")
    >>> len(refused([leak])), len(refused([leak], accept=["leak:duration"]))
    (1, 0)
    """
    accepted = set(accept)
    return [
        finding for finding in findings if finding.severity is Severity.STOP and finding.code not in accepted
    ]

"""Send a hundred thousand mutated bodies to the service: no 5xx, no growth of memory, every 4xx names its cause.

``python benchmarks/fuzz_serving.py [--bodies 100000] [--json]``
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "serving"))

from mutated_bodies import check, mutated
from real_predictors import build

from mlwright.serving import App, PredictionLog


def main() -> int:
    """Print what came back; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    statuses: Counter[int] = Counter()
    faults = []
    begun = time.perf_counter()
    warm_kib = 0
    with tempfile.TemporaryDirectory() as folder:
        app = App(build(), log=PredictionLog(folder))
        for number in range(options.bodies):
            path, headers, body = mutated(number)
            given = {key.encode(): value.encode() for key, value in headers.items()}
            reply = app.endpoint.respond(path.partition("?")[0], body, given, path.partition("?")[2])
            statuses[reply.status] += 1
            fault = check(number, path, reply)
            if fault is not None:
                faults.append(fault)
            if number == options.bodies // 5:
                warm_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm_kib
        app.close()
    told = {
        "bodies": options.bodies,
        "seconds": round(time.perf_counter() - begun, 1),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "faults": [repr(fault) for fault in faults[:20]],
        "grown_mib_after_a_fifth": round(grown / 1024, 1),
    }
    print(json.dumps(told) if options.json else json.dumps(told, indent=2))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Swaps under load: another version every second, a damaged one among them; and what explain, log and metrics cost.

    python serving_swap.py [--seconds 30] [--connections 16] [--json]

The model of `serving.py` is served by name. wrk asks first while nothing changes, then while a new version is put in every
second. Beside it, all the time, one connection asks on its own and notes every version that answers. In the middle a version comes whose
model file has one changed byte: it must never answer.

  failed               answers that were no 200, and connections that broke, of both clients: must be 0
  p99_ratio            the 99th percentile while versions change over the quiet one
  versions             how many versions answered
  damaged_answers      answers of the damaged version: must be 0
  swap_faults          how often the server said that a version did not prove itself
  p99_ms               99th percentile with `connections`: plain, without log, and with `?explain=true`
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from serving import RECORD, build, free_port, load, running

SERVER = """
import sys
from pathlib import Path
from mlwright.serving import serve
from mlwright.serving.live import Found
from mlwright.serving.server import Options

folder = Path(sys.argv[1])

def find(alias):
    version = (folder / "champion").read_text()
    return Found(version, folder / version) if alias == "champion" else None

serve(folder / "v0", port=int(sys.argv[2]), name="adult", version="v0", log_directory=sys.argv[3] or None,
      options=Options(find=find))
"""


def put(folder: Path, number: int, *, damaged: bool = False) -> None:
    """Make a version and let the alias name it."""
    version = f"bad{number}" if damaged else f"v{number}"
    shutil.copytree(folder / "v0", folder / version)
    if damaged:
        models = [path for path in (folder / version).rglob("*") if path.is_file()]
        largest = max(models, key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
    temporary = folder / "champion.new"
    temporary.write_text(version)
    temporary.replace(folder / "champion")


def watch(url: str, until: threading.Event, seen: Counter[str], faults: list[str]) -> None:
    """Ask one after the other, and count which version answers."""
    body = json.dumps(RECORD).encode()
    while not until.is_set():
        try:
            request = urllib.request.Request(url, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as reply:
                seen[json.load(reply)["version"]] += 1
        except OSError as error:
            faults.append(str(error))
        time.sleep(0.01)


def changing(folder: Path, seconds: float, until: threading.Event) -> None:
    """Put a version in every second; in the middle a damaged one."""
    began, number = time.monotonic(), 0
    while not until.wait(max(0.0, began + number + 1 - time.monotonic())):
        number += 1
        put(folder, number, damaged=number == max(1, int(seconds) // 2))


def swaps(folder: Path, seconds: int, connections: int) -> dict[str, Any]:
    """Return what happened while versions changed."""
    shutil.copytree(folder / "bundle", folder / "v0")
    (folder / "champion").write_text("v0")
    (folder / "swapping.py").write_text(SERVER)
    port, body = free_port(), json.dumps(RECORD).encode()
    command = [sys.executable, "swapping.py", str(folder), str(port), str(folder / "swap-log")]
    with running(command, port, folder, body, "/predict") as server:
        until, seen, faults = threading.Event(), Counter(), []
        watching = threading.Thread(target=watch, args=(server[0], until, seen, faults))
        watching.start()  # in the quiet time as well: the two differ by the changes alone
        load(server, body, connections, 1, folder)
        quiet = load(server, body, connections, max(2, seconds // 3), folder)
        threads = [watching, threading.Thread(target=changing, args=(folder, seconds, until))]
        threads[1].start()
        failed, busy = 0, {}
        try:
            busy = load(server, body, connections, seconds, folder)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            failed += 1
            faults.append(str(error))
        until.set()
        for thread in threads:
            thread.join()
        address = server[0].rpartition("/")[0]
        with urllib.request.urlopen(f"{address}/metrics", timeout=20) as reply:
            told = reply.read().decode()
    found = re.search(r"^mlwright_swap_faults_total\S* ([\d.]+)", told, re.MULTILINE)
    return {
        "failed": failed + len(faults),
        "faults": faults[:5],
        "quiet_p99_ms": quiet["p99_ms"],
        "swapping_p99_ms": busy.get("p99_ms"),
        "p99_ratio": round(busy["p99_ms"] / quiet["p99_ms"], 2) if busy else None,
        "versions": len(seen),
        "damaged_answers": sum(count for version, count in seen.items() if version.startswith("bad")),
        "swap_faults": int(float(found[1])) if found else 0,
    }


def costs(folder: Path, seconds: int, connections: int) -> dict[str, dict[str, float]]:
    """Return what wrk tells of a server as it is, without its log, and asked to explain."""
    body = json.dumps(RECORD).encode()
    (folder / "swapping.py").write_text(SERVER)
    (folder / "champion").write_text("v0")
    told = {}
    for name, log, path in (
        ("plain", "costs-log", "/predict"),
        ("without log", "", "/predict"),
        ("explain", "costs-log", "/predict?explain=true"),
    ):
        port = free_port()
        command = [sys.executable, "swapping.py", str(folder), str(port), str(folder / log) if log else ""]
        with running(command, port, folder, body, path) as server:
            load(server, body, connections, 1, folder)
            told[name] = load(server, body, connections, seconds, folder)
    return told


def main() -> int:
    """Measure, print; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed")
    with tempfile.TemporaryDirectory(prefix="swapping-") as place:
        folder = Path(place)
        build(folder)
        told = swaps(folder, options.seconds, options.connections)
        found = costs(folder, max(2, options.seconds // 6), options.connections)
    told["p99_ms"] = {name: numbers["p99_ms"] for name, numbers in found.items()}
    told["requests_s"] = {name: round(numbers["rps"]) for name, numbers in found.items()}
    print(json.dumps(told) if options.json else json.dumps(told, indent=2))
    return 1 if told["failed"] or told["damaged_answers"] or not told["swap_faults"] else 0


if __name__ == "__main__":
    sys.exit(main())

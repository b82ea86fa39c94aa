"""Trust: the tables that show whether leaks, splits, intervals, slices and the rest are what they say.

    python trust.py --data TABLES [--only leaks splits] [--json] [--out results/trust.md]

A part is a module beside this one, ``trust_PART.py``, with ``measure(options)``, which returns a JSON tree and prints its
progress to the standard error, and ``markdown(measured)``, which returns the tree as Markdown. `options` holds what this
script was given: ``data`` (a folder of tables as README.md says), ``tables`` (names, or None for the part's own choice),
``seed`` and ``quick``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def parts() -> list[str]:
    """Return the parts that there are, in the order of their names."""
    return sorted(path.stem.removeprefix("trust_") for path in HERE.glob("trust_*.py"))


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    known = parts()
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, help="a folder of tables with its manifest.json")
    made.add_argument("--only", nargs="+", choices=known, metavar="PART", help=f"of {', '.join(known)}")
    made.add_argument("--tables", nargs="+", metavar="NAME", help="only these tables")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--quick", action="store_true", help="fewer draws and tables: to see that it runs")
    made.add_argument("--json", action="store_true", help="print one JSON tree instead of Markdown")
    made.add_argument("--out", type=Path, help="write what is printed into this file as well")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts and print them."""
    options = parser().parse_args(arguments)
    measured, texts = {}, []
    for name in options.only or parts():
        part = importlib.import_module(f"trust_{name}")
        measured[name] = part.measure(options)
        texts.append(part.markdown(measured[name]))
    text = json.dumps(measured, allow_nan=False) if options.json else "\n\n".join(texts)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compared: what ``mlwright report --compare`` prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mlwright.cli.paint import Paint, printable, wrapped

__all__ = ["compare"]


def compare(options: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    """Compare the two runs; return the report's path, the JSON tree, and the lines for people."""
    from mlwright.evaluate.comparison_report import summary_lines
    from mlwright.lifecycle.compare import compare as verb

    made = verb(options.model, options.compare, output=options.output, store=options.store)
    width = Paint(sys.stdout).width
    lines = [line for said in summary_lines(made.comparison) for line in wrapped(printable(said), width, 0)]
    return made.report, made.to_json(), "\n".join([*lines, f"report: {made.report}"])

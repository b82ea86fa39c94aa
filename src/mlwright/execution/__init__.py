"""Execution: where trials run. `Executor` is the seam; `Local` is this machine."""

from mlwright.execution.local import Executor, Local, cores

__all__ = ["Executor", "Local", "cores"]

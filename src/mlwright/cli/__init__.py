"""The command line: parse, call, print. Starts without loading anything heavy."""

from mlwright.cli.main import main

__all__ = ["main"]

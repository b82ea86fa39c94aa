"""Bundle: a fitted pipeline as a directory of plain data files, audited before anything is built from it.

This floor moves `State`s and never imports what it packs; a kind is a name in `mlwright.core.kinds`.
"""

from mlwright.bundle.contents import FORMAT, Contents
from mlwright.bundle.read import read
from mlwright.bundle.state import State
from mlwright.bundle.write import write

__all__ = ["FORMAT", "Contents", "State", "read", "write"]

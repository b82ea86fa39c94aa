"""State: what a fitted part hands to a bundle and is built from again. A JSON tree, named arrays, named blobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["State"]


@dataclass(frozen=True, slots=True)
class State:
    """A fitted part as plain data.

    Parameters
    ----------
    tree : dict
        JSON values only; ``tree["kind"]`` names the part's kind where it has one.
    arrays : dict of str to ndarray
        float64, float32, int64, int32, uint8 or bool, of any shape. Strings belong in the tree.
    blobs : dict of str to bytes
        Native formats; the key becomes the file's ending (``"lgb"``).
    """

    tree: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def nest(cls, children: Mapping[str, State], **tree: Any) -> State:
        """Return one state that holds `children` (which must have no blobs), undone by `child`.

        Examples
        --------
        >>> parent = State.nest({"0": State({"kind": "number"}, {"mean": np.ones(2)})}, view="native")
        >>> sorted(parent.arrays), parent.child("0").tree
        (['0/mean'], {'kind': 'number'})
        """
        if any(child.blobs for child in children.values()):
            raise ValueError("a nested state has no blobs")
        return cls(
            {**tree, "children": {name: child.tree for name, child in children.items()}},
            {
                f"{name}/{key}": array
                for name, child in children.items()
                for key, array in child.arrays.items()
            },
        )

    def child(self, name: str) -> State:
        """Return the child called `name`."""
        prefix = f"{name}/"
        return State(
            self.tree["children"][name],
            {key[len(prefix) :]: array for key, array in self.arrays.items() if key.startswith(prefix)},
        )

    @property
    def children(self) -> dict[str, State]:
        """All children by name, in the tree's order."""
        return {name: self.child(name) for name in self.tree["children"]}

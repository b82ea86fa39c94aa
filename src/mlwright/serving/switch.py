"""Switch: a small file in the store by which a model is stopped and started; servers look at it several times a second."""

from __future__ import annotations

import time
from pathlib import Path

from mlwright.core.files import canonical_json, write_atomic
from mlwright.serving.log import folder_name

__all__ = ["Switch"]

_FOLDER = "serving"


class Switch:
    """Whether a model answers, or its fallback does.

    Parameters
    ----------
    store : Path
        The store's own directory.
    name : str
        The model's.

    Examples
    --------
    >>> import tempfile
    >>> switch = Switch(Path(tempfile.mkdtemp()), "churn")
    >>> switch.stop(), switch.is_stopped(), switch.start(), switch.is_stopped()
    (True, True, True, False)
    """

    def __init__(self, store: Path, name: str) -> None:
        self.path = store / _FOLDER / f"{folder_name(name)}.stopped.json"

    def is_stopped(self) -> bool:
        """Say whether the model is stopped."""
        return self.path.exists()

    def stop(self) -> bool:
        """Stop the model; False if it was stopped already."""
        if self.is_stopped():
            return False
        write_atomic(self.path, canonical_json({"stopped": time.time()}) + b"\n")
        return True

    def start(self) -> bool:
        """Let the model answer again; False if it did already."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

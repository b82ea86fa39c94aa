"""TextTFIDF: a text as the weights of its words and word pairs, for linear models."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.levels import used_levels
from mlwright.features.text_sample import sample
from mlwright.features.vocabulary import Vocabulary, words

__all__ = ["TextTFIDF"]


class TextTFIDF(Transform):
    """One output a term: its TF-IDF weight in the text, see `mlwright.features.vocabulary`.

    A missing text, and one without any known term, is 0 everywhere. All outputs are finite. The matrix is dense, so
    `max_terms` times the number of rows must fit into memory eight bytes each.

    Parameters
    ----------
    column : str
        The raw column's name.
    max_terms : int, default=2000
        Only the terms that the most rows hold.
    min_documents : int, default=2
        How many rows must hold a term.
    longest : int, default=2
        How many words a term may have.

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> notes = {"note": Coded(np.array([0, 1, 2], np.int32), ["no heat", "no light", "heat"])}
    >>> weights = TextTFIDF("note").fit(notes, np.zeros(3), n_classes=0, seed=0)
    >>> [tag.name for tag in weights.tags], weights.row("Heat!")
    (["note: 'heat'", "note: 'no'"], [1.0, 0.0])
    """

    kind: ClassVar[str] = "text_tfidf"
    coded: ClassVar[bool] = True
    rules: ClassVar[dict[str, Rule]] = {
        "max_terms": Number(1, 100_000, integer=True),
        "min_documents": Number(1, 1_000_000, integer=True),
        "longest": Number(1, 3, integer=True),
    }

    def __init__(self, column: str, max_terms: int = 2000, min_documents: int = 2, longest: int = 2) -> None:
        super().__init__(column)
        self.max_terms = max_terms
        self.min_documents = min_documents
        self.longest = longest
        check("TextTFIDF", self.params(), self.rules)

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Find the terms."""
        column: Any = columns[self.column]
        texts, counts = sample(column, seed)
        self.vocabulary_ = Vocabulary.fit(
            texts,
            counts,
            max_terms=self.max_terms,
            min_documents=self.min_documents,
            longest=self.longest,
        )
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, n_terms), with each distinct text read once."""
        column: Any = columns[self.column]
        cells, of_row = used_levels(column)
        found = [([], []) if cell is None else self.vocabulary_.weights(words(cell)) for cell in cells]
        sizes = np.array([len(places) for places, _ in found], dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        places = np.array([place for places, _ in found for place in places], dtype=np.int64)
        weights = np.array([weight for _, weights in found for weight in weights], dtype=np.float64)
        # Row i takes the entries starts[t] .. starts[t] + sizes[t] of its text t.
        repeats = sizes[of_row]
        rows = np.repeat(np.arange(len(of_row)), repeats)
        entries = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        entries += np.repeat(starts[of_row], repeats)
        out = np.zeros((len(of_row), len(self.vocabulary_.terms)))
        out[rows, places[entries]] = weights[entries]
        return out

    def row(self, cell: Cell) -> list[float]:
        """Return one weight a term."""
        out = [0.0] * len(self.vocabulary_.terms)
        if cell is not None:
            for place, weight in zip(*self.vocabulary_.weights(words(str(cell))), strict=True):
                out[place] = weight
        return out

    @property
    def tags(self) -> list[OutputTag]:
        """One tag a term, in alphabetical order."""
        return [OutputTag(f"{self.column}: '{term}'", self.column) for term in self.vocabulary_.terms]

    def state(self) -> State:
        """Return the terms and their inverse document frequencies."""
        part = self.vocabulary_.state()
        return State({**audit.tree(self), **part.tree}, part.arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one weight a term."""
        new = audit.build(cls, state)
        new.vocabulary_ = Vocabulary.from_state(state, new.longest)
        return new

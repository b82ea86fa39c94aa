"""TextSVD: a text as a few numbers, for trees, which cannot use thousands of sparse columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.levels import by_level
from mlwright.features.text_sample import sample
from mlwright.features.vocabulary import Vocabulary, words

__all__ = ["TextSVD"]

_CHUNK = 1024  # texts that are dense at a time


class TextSVD(Transform):
    """The text's TF-IDF weights on the leading right singular vectors of the training texts', and two lengths.

    This is latent semantic analysis [1]_: topics instead of terms. The last two outputs are the numbers of characters
    and of words. A missing text is NaN in all of them.

    Parameters
    ----------
    column : str
        The raw column's name.
    n_components : int, default=32
        The most topics; fewer if the texts span fewer.
    max_terms, min_documents, longest : int, default=1000, 2, 2
        See `mlwright.features.text_tfidf.TextTFIDF`.

    References
    ----------
    .. [1] S. Deerwester et al. (1990), "Indexing by latent semantic analysis", JASIS 41(6).

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> notes = {"note": Coded(np.array([0, 1, 2], np.int32), ["no heat", "no light", "heat"])}
    >>> topics = TextSVD("note", n_components=1).fit(notes, np.zeros(3), n_classes=0, seed=0)
    >>> [round(number, 3) for number in topics.row("No heat.")]
    [1.0, 8.0, 2.0]
    """

    kind: ClassVar[str] = "text_svd"
    coded: ClassVar[bool] = True
    rules: ClassVar[dict[str, Rule]] = {
        "n_components": Number(1, 1000, integer=True),
        "max_terms": Number(1, 10_000, integer=True),
        "min_documents": Number(1, 1_000_000, integer=True),
        "longest": Number(1, 3, integer=True),
    }

    def __init__(
        self,
        column: str,
        *,
        n_components: int = 32,
        max_terms: int = 1000,
        min_documents: int = 2,
        longest: int = 2,
    ) -> None:
        super().__init__(column)
        self.n_components = n_components
        self.max_terms = max_terms
        self.min_documents = min_documents
        self.longest = longest
        check("TextSVD", self.params(), self.rules)

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Find the terms and the singular vectors."""
        column: Any = columns[self.column]
        texts, counts = sample(column, seed)
        self.vocabulary_ = Vocabulary.fit(
            texts,
            counts,
            max_terms=self.max_terms,
            min_documents=self.min_documents,
            longest=self.longest,
        )
        self.vectors_ = _singular_vectors(self.vocabulary_, texts, counts, self.n_components)
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, n_components + 2), with each distinct text read once."""
        column: Any = columns[self.column]
        return by_level(column, self.row, self.vectors_.shape[1] + 2)

    def row(self, cell: Cell) -> Sequence[float]:
        """Return the topics, the characters and the words."""
        if cell is None:
            return [math.nan] * (self.vectors_.shape[1] + 2)
        text = str(cell)
        found = words(text)
        places, weights = self.vocabulary_.weights(found)
        # A sum over the first axis adds row by row, in order; a matrix product's order would hang on its shape.
        topics = (np.array(weights)[:, None] * self.vectors_[places]).sum(axis=0) if places else None
        return [
            *([0.0] * self.vectors_.shape[1] if topics is None else topics.tolist()),
            float(len(text)),
            float(len(found)),
        ]

    @property
    def tags(self) -> list[OutputTag]:
        """One tag a topic, then those of the lengths."""
        names = [f"{self.column}: topic {i + 1}" for i in range(self.vectors_.shape[1])]
        names += [f"{self.column}: characters", f"{self.column}: words"]
        return [OutputTag(name, self.column) for name in names]

    def state(self) -> State:
        """Return the terms, their weights, and the vectors of shape (n_terms, n_components)."""
        part = self.vocabulary_.state()
        tree = {**audit.tree(self), **part.tree, "components": self.vectors_.shape[1]}
        return State(tree, {**part.arrays, "vectors": self.vectors_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one weight and one row of the vectors a term."""
        new = audit.build(cls, state)
        new.vocabulary_ = Vocabulary.from_state(state, new.longest)
        shape = (len(new.vocabulary_.terms), audit.whole(state, "components", high=new.n_components))
        new.vectors_ = audit.array(state, "vectors", shape)
        return new


def _singular_vectors(
    vocabulary: Vocabulary, texts: Sequence[str], counts: Sequence[int], most: int
) -> Floats:
    """Return the leading right singular vectors, shape (n_terms, n_components), from the terms' Gram matrix."""
    from threadpoolctl import threadpool_limits  # training only

    n_terms = len(vocabulary.terms)
    gram = np.zeros((n_terms, n_terms))
    with threadpool_limits(1):  # the same bits with any number of cores
        for start in range(0, len(texts), _CHUNK):
            part = range(start, min(start + _CHUNK, len(texts)))
            dense = np.zeros((len(part), n_terms))
            for i, text in enumerate(part):
                places, weights = vocabulary.weights(words(texts[text]))
                dense[i, places] = np.array(weights) * math.sqrt(counts[text])
            gram += dense.T @ dense
        values, vectors = np.linalg.eigh(gram)
    order = np.argsort(-values, kind="stable")[:most]
    order = order[values[order] > 1e-10 * max(values.max(initial=0.0), 1e-300)]
    vectors = vectors[:, order]
    # A singular vector's sign is free: make its largest entry positive.
    if vectors.size:
        largest = np.argmax(np.abs(vectors).round(9), axis=0)
        vectors = vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    return np.ascontiguousarray(vectors)

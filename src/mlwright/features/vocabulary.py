"""Vocabulary: which words and word pairs of a text count, and how much. The ground of both text transforms.

Weights are TF-IDF: a term's count in the text times ``log((1 + n) / (1 + df)) + 1``, where ``df`` of the ``n`` training
texts hold it; a text's weights have unit length.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.types import Floats, Ints
from mlwright.features import audit

__all__ = ["MAX_CHARACTERS", "Vocabulary", "words"]

MAX_CHARACTERS = 20_000  # what is read of a text, in training and serving alike: a bound on a request's cost
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    r"""Return the lower-case words of a text: runs of Unicode letters, digits and underscores.

    Examples
    --------
    >>> words("Great value - 5 of 5!")
    ['great', 'value', '5', 'of', '5']
    """
    return _WORD.findall(text[:MAX_CHARACTERS].lower())


class Vocabulary:
    """Terms in alphabetical order and their inverse document frequencies.

    Parameters
    ----------
    terms : list of str
        Words, and sequences of words joined by one space.
    idf : ndarray of shape (n_terms,)
        Their weights.
    longest : int
        How many words a term may have.
    """

    def __init__(self, terms: list[str], idf: Floats, longest: int) -> None:
        self.terms = terms
        self.idf = idf
        self.longest = longest
        self._place = {term: place for place, term in enumerate(terms)}
        self._idf: list[float] = idf.tolist()

    @classmethod
    def fit(
        cls, texts: Sequence[str], counts: Sequence[int], *, max_terms: int, min_documents: int, longest: int
    ) -> Vocabulary:
        """Keep the terms that occur in the most rows, ties in alphabetical order.

        Parameters
        ----------
        texts, counts : sequence of str, of int
            Distinct texts and how many rows have each.
        max_terms, min_documents, longest : int
            The most terms, the fewest rows that must hold a term, and how many words a term may have.
        """
        held: Counter[str] = Counter()
        for text, count in zip(texts, counts, strict=True):
            for term in set(_terms(words(text), longest)):
                held[term] += count
        frequent = [(term, count) for term, count in held.items() if count >= min_documents]
        frequent.sort(key=lambda pair: (-pair[1], pair[0]))
        kept = sorted(frequent[:max_terms])
        n = sum(counts)
        return cls([term for term, _ in kept], _idf([count for _, count in kept], n), longest)

    @classmethod
    def fit_weights(
        cls, texts: Sequence[str], counts: Sequence[int], *, max_terms: int, min_documents: int, longest: int
    ) -> tuple[Vocabulary, tuple[Floats, Ints, Ints]]:
        """Do as `fit`, and return also the damped weights of all texts, reading each of them once.

        Returns
        -------
        Vocabulary
            The same that `fit` gives.
        (values, places, starts) : tuple of ndarray
            The rows of a sparse matrix, as `weights` gives them: text i has ``values[starts[i]:starts[i + 1]]``.
        """
        place_of: defaultdict[str, int] = defaultdict()
        place_of.default_factory = place_of.__len__
        ids, sizes = array("q"), []
        for text in texts:
            terms = _terms(words(text), longest)
            sizes.append(len(terms))
            ids.extend(map(place_of.__getitem__, terms))
        all_terms = list(place_of)
        width = max(1, len(all_terms))
        owners = np.repeat(np.arange(len(texts), dtype=np.int64), sizes)
        pairs, often = np.unique(owners * width + np.frombuffer(ids, dtype=np.int64), return_counts=True)
        owners, found = np.divmod(pairs, width)
        held = np.bincount(found, weights=np.asarray(counts, dtype=np.float64)[owners], minlength=width)
        frequent = [(all_terms[i], int(held[i]), i) for i in np.flatnonzero(held >= min_documents)]
        frequent.sort(key=lambda term: (-term[1], term[0]))
        kept = sorted(frequent[:max_terms])
        vocabulary = cls([term for term, _, _ in kept], _idf([n for _, n, _ in kept], sum(counts)), longest)
        new_place = np.full(width, -1, np.int64)
        new_place[[i for _, _, i in kept]] = np.arange(len(kept))
        inside = new_place[found] >= 0
        owners, places, often = owners[inside], new_place[found[inside]], often[inside]
        order = np.lexsort((places, owners))
        owners, places, often = owners[order], places[order], often[order]
        values = (1.0 + np.log(often)) * vocabulary.idf[places]
        lengths = np.sqrt(np.bincount(owners, weights=values * values, minlength=len(texts)))
        starts = np.searchsorted(owners, np.arange(len(texts) + 1))
        return vocabulary, (values / lengths[owners], places, starts)

    def weights(self, words_of_text: list[str], *, damped: bool = False) -> tuple[list[int], list[float]]:
        """Return the places of a text's terms, rising, and their weights, of unit length; see `words`.

        With `damped`, a term that occurs n times counts ``1 + log(n)``.

        Examples
        --------
        >>> Vocabulary(["bad", "good"], np.array([1.0, 1.0]), 1).weights(words("Good, good! Not bad."))
        ([0, 1], [0.4472135954999579, 0.8944271909999159])
        """
        place_of = self._place.get
        found: dict[int, int] = {}
        for place in map(place_of, _terms(words_of_text, self.longest)):
            if place is not None:
                found[place] = found.get(place, 0) + 1
        places = sorted(found)
        if damped:
            raw = [(1.0 + math.log(found[place])) * self._idf[place] for place in places]
        else:
            raw = [found[place] * self._idf[place] for place in places]
        length = math.sqrt(math.fsum(value * value for value in raw))
        return places, [value / length for value in raw]

    def state(self) -> State:
        """Return the terms and their weights, for a transform to put among its own."""
        return State({"terms": self.terms}, {"idf": self.idf})

    @classmethod
    def from_state(cls, state: State, longest: int) -> Vocabulary:
        """Build it again; there must be one weight a term."""
        terms = audit.strings(state, "terms")
        idf = audit.array(state, "idf", (len(terms),))
        if (idf < 1).any():  # the formula gives no less, and zero would leave a text without a length
            raise audit.wrong(state, "idf", float(idf.min()), "numbers from 1")
        return cls(terms, idf, longest)


def _idf(counts: Sequence[int], n: int) -> Floats:
    return np.array([math.log((1 + n) / (1 + count)) + 1 for count in counts], dtype=np.float64)


def _terms(found: list[str], longest: int) -> list[str]:
    terms = found.copy()
    for n in range(2, longest + 1):
        terms += map(" ".join, zip(*(found[i:] for i in range(n)), strict=False))  # the shortest ends them
    return terms

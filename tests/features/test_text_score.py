"""TextScore and TextStatistics: against scikit-learn and the standard library; no row sees its own target."""

from __future__ import annotations

import string
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from mlwright.data.values import Coded
from mlwright.features.text_score import TextScore, _logistic
from mlwright.features.text_statistics import TextStatistics
from mlwright.features.vocabulary import Vocabulary, words

WORDS = [a + b for a in "bcdfghklmn" for b in ("a", "e", "i", "o", "u")]


def reviews(n, seed=0):
    """Texts whose first five words speak for, and the next five against."""
    random = np.random.default_rng(seed)
    drawn = random.choice(len(WORDS), (n, 12))
    odds = (drawn < 5).sum(axis=1) - ((drawn >= 5) & (drawn < 10)).sum(axis=1)
    y = (odds + random.normal(0, 1.0, n) > 0).astype(np.float64)
    return [" ".join(WORDS[i] for i in row) for row in drawn.tolist()], odds, y


def column(texts):
    places: dict[str, int] = {}
    codes = [-1 if text is None else places.setdefault(text, len(places)) for text in texts]
    return {"note": Coded(np.array(codes, np.int32), list(places))}


def test_weights_are_those_of_scikit_learn():
    texts, _, _ = reviews(60)
    texts[0] = "ba ba ba be"
    oracle = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\w+")
    expected = oracle.fit_transform(texts).toarray()
    vocabulary, (values, places, starts) = Vocabulary.fit_weights(
        texts, [1] * 60, max_terms=10**6, min_documents=2, longest=2
    )
    assert vocabulary.terms == sorted(oracle.vocabulary_)
    got = np.zeros(expected.shape)
    for i in range(60):
        got[i, places[starts[i] : starts[i + 1]]] = values[starts[i] : starts[i + 1]]
        alone, by_row = vocabulary.weights(words(texts[i]), damped=True)
        assert alone == places[starts[i] : starts[i + 1]].tolist()
        assert np.allclose(by_row, values[starts[i] : starts[i + 1]], rtol=1e-14)
    assert np.allclose(got, expected, rtol=1e-12)


def test_the_vocabulary_is_that_of_the_plain_fit():
    texts, _, _ = reviews(80, seed=3)
    for options in ({"max_terms": 30, "min_documents": 1}, {"max_terms": 500, "min_documents": 3}):
        plain = Vocabulary.fit(texts, list(range(1, 81)), longest=2, **options)
        other, _ = Vocabulary.fit_weights(texts, list(range(1, 81)), longest=2, **options)
        assert other.terms == plain.terms
        assert other.idf.tolist() == plain.idf.tolist()


def test_unweighed_it_is_the_logistic_regression_over_the_same_words():
    texts, _, y = reviews(600)
    fresh, _, truth = reviews(400, seed=1)
    oracle = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+", min_df=2)
    known, unknown = oracle.fit_transform(texts), oracle.transform(fresh)
    exact = LogisticRegression(C=0.5, solver="liblinear", tol=1e-8).fit(
        known, y
    )  # the primal way to the same place
    score = (
        TextScore("note", alpha=2.0, weighed=False)
        .fit(column(texts), y, n_classes=2, seed=0)
        .batch(column(fresh))
    )
    assert score.shape == (400, 1)
    assert np.abs(score[:, 0] - exact.decision_function(unknown)).max() < 0.05
    assert roc_auc_score(truth, score[:, 0]) > 0.8


def test_no_row_sees_its_own_target():
    """Of a target without any reason, scores of the rows of the fit know nothing; those of the whole fit all."""
    random = np.random.default_rng(5)
    texts = [f"{text} own{i // 2}" for i, text in enumerate(reviews(400)[0])]
    y = random.integers(0, 2, 400).astype(np.float64)
    transform = TextScore("note", min_documents=1)
    inside = transform.fit_batch(column(texts), y, n_classes=2, seed=0)[:, 0]
    assert 0.35 < roc_auc_score(y, inside) < 0.65
    assert roc_auc_score(y, transform.batch(column(texts))[:, 0]) > 0.9


def test_regression_is_a_ridge_over_the_words():
    texts, odds, _ = reviews(300)
    y = odds * 3.0 + 7.0
    oracle = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\w+")
    terms = oracle.fit_transform(texts)
    expected = (
        Ridge(alpha=1.0, fit_intercept=False, tol=1e-10).fit(terms, (y - y.mean()) / y.std()).predict(terms)
    )
    got = TextScore("note", alpha=1.0).fit(column(texts), y, n_classes=0, seed=0).batch(column(texts))[:, 0]
    assert np.abs(got - expected).max() < 1e-3


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_missing_and_unknown_texts_have_the_score_of_an_empty_one(n_classes):
    texts, odds, _ = reviews(120)
    y = odds % n_classes if n_classes else odds
    score = TextScore("note").fit(
        column([*texts[:-1], None]), y.astype(np.float64), n_classes=n_classes, seed=0
    )
    assert score.row(None) == score.row("") == score.row("zzz") == score.bias_.tolist()
    assert len(score.tags) == (3 if n_classes == 3 else 1)


def test_statistics_are_those_that_one_counts_by_hand():
    text = "WOW, 2 dogs!\nReally?"
    got = TextStatistics("note").row(text)
    n = len(text)
    assert got == [
        np.mean([len(part) for part in text.split()]),
        sum(c in string.ascii_uppercase for c in text) / n,
        1 / n,
        sum(c in string.punctuation for c in text) / n,
        2.0,
        2.0,
    ]


def test_fits_side_by_side_give_the_same_bits_as_one_after_the_other():
    """liblinear draws from one sequence a process, which fits in threads would share."""
    matrix = sparse.random(1_500, 800, density=0.03, random_state=0, format="csr")
    target = (np.random.default_rng(0).random(1_500) < 0.5).astype(float)

    def fitted(seed):
        return _logistic(matrix, target, 0.05, seed)[0].tobytes()

    seeds = [1, 2] * 4
    alone = [fitted(seed) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fitted, seeds)) == alone

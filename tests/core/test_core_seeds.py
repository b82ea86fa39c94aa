import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlwright.core.seeds import derive, generator


@given(st.integers(0, 2**31 - 1), st.lists(st.text(max_size=8), max_size=3))
def test_a_seed_is_the_first_31_bits_of_a_hash(seed, names):
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).hexdigest()
    assert derive(seed, *names) == int(digest[:8], 16) % 2**31


def test_streams_of_other_names_or_seeds_differ():
    names = [(), ("split",), ("folds",), ("fold", 0), ("fold", 1), ("fold", 0, 0)]
    seeds = [derive(seed, *parts) for seed in range(200) for parts in names]
    assert len(set(seeds)) == len(seeds)


def test_streams_of_two_names_are_not_alike():
    one, two = (generator(0, name).normal(size=20_000) for name in ("a", "b"))
    # Of independent draws the correlation is normal with deviation 1 / sqrt(20,000) = 0.007.
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.04
    assert np.array_equal(one, generator(0, "a").normal(size=20_000))

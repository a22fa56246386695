"""The split: decided by the galaxy's IDENT alone, for ever."""

import numpy as np
import pytest

from training.data.split import SPLITS, split_fraction, split_of

# By hand, with Python's integers: IDENT * 2654435761 % 2**32 / 2**32.
FRACTIONS = {
    1: 2654435761 / 2**32,
    2: 1013904226 / 2**32,
    3: 3668339987 / 2**32,
    782514: 782514 * 2654435761 % 2**32 / 2**32,
    1286742: 1286742 * 2654435761 % 2**32 / 2**32,
    2**31 - 1: (2**31 - 1) * 2654435761 % 2**32 / 2**32,
}


@pytest.mark.parametrize(("ident", "fraction"), FRACTIONS.items())
def test_fraction_is_that_of_the_formula(ident, fraction):
    assert split_fraction(np.array([ident], dtype=np.int32))[0] == fraction


@pytest.mark.parametrize(("ident", "split"), [(1, "train"), (2, "train"), (3, "validation")])
def test_a_few_galaxies_are_where_they_always_were(ident, split):
    assert SPLITS[split_of([ident])[0]] == split


def test_shares_are_eighty_ten_ten():
    counts = np.bincount(split_of(np.arange(100_000, 181_499)), minlength=3) / 81_499
    # Fibonacci hashing spreads consecutive numbers more evenly than chance (0.0014) would.
    np.testing.assert_allclose(counts, [0.8, 0.1, 0.1], atol=0.0014)


def test_split_depends_neither_on_order_nor_on_company():
    rng = np.random.default_rng(1)
    idents = rng.integers(1, 2_000_000, 1000)
    order = rng.permutation(1000)
    assert np.array_equal(split_of(idents)[order], split_of(idents[order]))
    assert [split_of([i])[0] for i in idents[:20]] == list(split_of(idents[:20]))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
def test_split_does_not_depend_on_the_type_of_the_column(dtype):
    idents = np.arange(1, 1000)
    assert np.array_equal(split_of(idents.astype(dtype)), split_of(idents))

"""From rng and ids to seeds, from seeds to normals: fixed for ever."""

from __future__ import annotations

import datetime
import hashlib
import math
import uuid

import galsim
import numpy as np
import pytest

from galsim_hub.errors import RandomDeviateError, SeedError
from galsim_hub.latents import (
    check_rng,
    check_seed,
    draw_seed,
    generator,
    seed_from_id,
    standard_normals,
)

N_SEEDS = 4000


def test_a_seed_is_two_raw_draws_upper_half_first(rng):
    twin = rng.duplicate()
    seed = draw_seed(rng)
    assert seed == twin.raw() * 2**32 + twin.raw()
    assert rng == twin


def test_any_kind_of_galsim_deviate_may_be_given(rng):
    assert draw_seed(galsim.GaussianDeviate(rng.duplicate())) == draw_seed(rng)


@pytest.mark.parametrize("wrong", [np.random.default_rng(1), np.random, 1234, "rng"])
def test_an_rng_that_is_not_galsims_is_refused(wrong):
    with pytest.raises(RandomDeviateError, match=r"rng=galsim\.BaseDeviate\(1234\)"):
        check_rng(wrong)


def test_numpy_integers_are_seeds():
    assert check_seed(np.uint64(2**64 - 1)) == 2**64 - 1


@pytest.mark.parametrize("wrong", [-1, 2**64, 1.5, "7", True, None])
def test_a_seed_that_is_no_64_bit_integer_is_refused(wrong):
    with pytest.raises(SeedError, match="integer from 0 to"):
        check_seed(wrong)


def test_the_seed_of_an_id_never_changes():
    # By hand, from the documented encoding: tag, length, ':', content.
    encoded = b"t11:s3:abci2:17"
    digest = hashlib.blake2b(encoded, digest_size=8, person=b"galsim_hub.id").digest()
    assert seed_from_id(("abc", 17)) == int.from_bytes(digest, "little")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (17, np.int64(17)),
        (17, 17.0),
        (2.5, np.float32(2.5)),
        ("abc", b"abc"),
        ("abc", np.str_("abc")),
        ((1, "a"), (np.int8(1), b"a")),
        (frozenset([1, 2]), frozenset([2, 1])),
    ],
)
def test_ids_that_readers_of_one_catalogue_give_are_equal(one, other):
    assert seed_from_id(one) == seed_from_id(other)


def test_different_ids_give_different_seeds():
    ids = [1, -1, "1", (1,), ("1",), ("1", ""), ("", "1"), (1, 1), ((1,), 1), ((1, 1),), (), ""]
    ids += [1.5, "1.5", frozenset(), frozenset([1]), uuid.UUID(int=1), str(uuid.UUID(int=1))]
    ids += [datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2), "2026-01-02", "\ud800"]
    assert len({seed_from_id(obj_id) for obj_id in ids}) == len(ids)


@pytest.mark.parametrize("wrong", [None, math.nan, (1, math.inf), 1j, object(), (1, [2])])
def test_an_id_that_identifies_nothing_is_refused(wrong):
    with pytest.raises(SeedError, match="Convert it to an int or a str"):
        seed_from_id(wrong)


def _first_pair(seed):
    """Follow the documented order with Python's own arithmetic."""
    key = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=16, person=b"galsim_hub.key")
    raw = np.random.Philox(key=int.from_bytes(key.digest(), "little")).random_raw(2).tolist()
    u1, u2 = ((number >> 11) / 2**53 for number in raw)
    radius = math.sqrt(-2 * math.log1p(-u1))
    return [radius * math.cos(2 * math.pi * u2), radius * math.sin(2 * math.pi * u2)]


@pytest.mark.parametrize("seed", [0, 1, 1234, 2**64 - 1])
def test_normals_follow_the_documented_order(seed):
    normals = standard_normals([seed], 2)
    assert normals.dtype == np.float32
    # One unit in the last place of float32: libm and numpy may round differently.
    np.testing.assert_allclose(normals[0], _first_pair(seed), rtol=2e-7)


def test_a_longer_draw_starts_with_the_shorter_one():
    assert (standard_normals([5], 16)[0, :7] == standard_normals([5], 7)[0]).all()


def test_a_row_depends_on_its_seed_only():
    seeds = [3, 1, 4, 1, 5]
    together = standard_normals(seeds, 16)
    alone = np.concatenate([standard_normals([seed], 16) for seed in seeds])
    assert together.tobytes() == alone.tobytes()


def test_no_seeds_give_no_rows():
    assert standard_normals([], 16).shape == (0, 16)


def test_sequential_seeds_give_independent_standard_normals():
    normals = standard_normals(range(N_SEEDS), 16).astype(float)
    # Five standard errors of the mean, the variance and the correlation of 4000 numbers.
    error = 5 / math.sqrt(N_SEEDS)
    assert np.abs(normals.mean(axis=0)).max() < error
    assert np.abs(normals.var(axis=0) - 1).max() < error * math.sqrt(2)
    columns = np.hstack([normals[:-1], normals[1:]])
    assert np.abs(np.corrcoef(columns, rowvar=False) - np.eye(32)).max() < error


def test_purposes_and_numbers_of_a_seed_share_nothing_with_each_other_or_with_its_user():
    rngs = [np.random.default_rng(3), np.random.default_rng([3, 0]), generator("noise", 3)]
    rngs += [generator("field", 3), generator("field", 3, 0), generator("field", 3, 1)]
    numbers = np.stack([rng.standard_normal(N_SEEDS) for rng in rngs])
    off_diagonal = np.corrcoef(numbers)[np.triu_indices(len(rngs), 1)]
    # numpy takes [3, 0] for 3: that pair is one stream, the others are five errors from it.
    assert off_diagonal[0] == pytest.approx(1.0)
    assert np.abs(off_diagonal[1:]).max() < 5 / math.sqrt(N_SEEDS)
    assert generator("field", 3, 1).random() == generator("field", np.uint64(3), 1).random()


@pytest.mark.parametrize("seed", [-1, 0.5, 2**64, True])
def test_generator_refuses_what_is_no_seed(seed):
    with pytest.raises(SeedError, match="integer from 0"):
        generator("noise", seed)

"""Halves of the training split share no galaxy, and the other splits stay whole."""

import dataclasses

import numpy as np
import pytest

from training.data.pipeline import StampSet
from training.data.split import half_of
from training.errors import ConfigError
from training.recipe_file import load_config


@pytest.fixture(scope="module")
def halves(stamp_config):
    return [StampSet(stamp_config.directory, half) for half in (None, 0, 1)]


def idents(stamps: StampSet, split: str) -> list[int]:
    return [int(i) for batch in stamps.ordered(split, 16) for i in batch["ident"]]


def test_halves_share_no_galaxy_and_together_are_the_split(halves):
    whole, zero, one = (set(idents(stamps, "train")) for stamps in halves)
    assert not zero & one
    assert zero | one == whole
    assert all(half_of(np.array(sorted(zero))) == 0)
    assert [s.count("train") for s in halves] == [len(whole), len(zero), len(one)]


def test_other_splits_stay_whole(halves):
    whole, zero, one = (idents(stamps, "validation") for stamps in halves)
    assert whole == zero == one


def test_training_sees_one_half_only_epoch_after_epoch(halves):
    zero = halves[1]
    batches, seen = zero.training("train", 8, seed=1), set()
    for _ in range(2 * (zero.count("train") // 8) + 1):
        seen |= set(next(batches)["ident"].numpy().tolist())
    assert seen <= set(idents(zero, "train"))


def test_a_half_is_another_stamp_set_to_what_is_fitted_on_it(halves):
    assert len({stamps.identity for stamps in halves}) == 3


def test_third_half_is_refused(make_recipe, write_recipe):
    with pytest.raises(ConfigError, match="half"):
        load_config(write_recipe(make_recipe()), ["half=2"])
    assert dataclasses.replace(make_recipe(), half=1).half == 1

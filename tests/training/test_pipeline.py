"""The feed: the same batches after a resume, and augmentation that physics allows."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from training import losses
from training.data.pipeline import StampSet, dihedral, flux_of

BATCH = 16


@pytest.fixture(scope="module")
def stamps(stamp_config):
    return StampSet(stamp_config.directory)


def take(stamps, count: int, step: int = 0, seed: int = 1) -> list[dict[str, np.ndarray]]:
    batches = itertools.islice(stamps.training("train", BATCH, seed, step), count)
    return [{k: v.numpy() for k, v in batch.items()} for batch in batches]


@pytest.mark.parametrize("step", [1, 4, 5, 6, 13])
def test_batches_after_a_resume_are_those_of_an_uninterrupted_run(stamps, step):
    per_epoch = stamps.count("train") // BATCH
    assert per_epoch in (5, 6)  # so that the steps above lie before, at and behind an epoch's end
    whole = take(stamps, 16)
    resumed = take(stamps, 16 - step, step)
    for one, other in zip(whole[step:], resumed, strict=True):
        for name in one:
            assert np.array_equal(one[name], other[name]), name


def test_an_epoch_shows_no_galaxy_twice(stamps):
    per_epoch = stamps.count("train") // BATCH
    idents = np.concatenate([batch["ident"] for batch in take(stamps, per_epoch)])
    assert len(set(idents)) == per_epoch * BATCH


def test_epochs_and_seeds_come_in_different_orders(stamps):
    per_epoch = stamps.count("train") // BATCH
    first, second = take(stamps, 1)[0], take(stamps, 1, per_epoch)[0]
    other_seed = take(stamps, 1, seed=2)[0]
    assert not np.array_equal(first["ident"], second["ident"])
    assert not np.array_equal(first["ident"], other_seed["ident"])


def test_augmented_stamp_is_the_stored_one_turned_as_stated(stamps):
    stored = {}
    for batch in stamps.ordered("train", BATCH):
        for ident, image, psf in zip(batch["ident"], batch["image"], batch["psf"], strict=True):
            stored[int(ident)] = image.numpy(), psf.numpy()
    batch = take(stamps, 1)[0]
    assert len(set(batch["turn"])) > 3
    for i, turn in enumerate(batch["turn"]):
        image, psf = stored[batch["ident"][i]]
        assert np.array_equal(batch["image"][i], by_numpy(image, turn))
        assert np.array_equal(batch["psf"][i], by_numpy(psf, turn))


def test_ordered_stamps_are_upright(stamps):
    batches = list(stamps.ordered("validation", 4))
    assert not any(batch["turn"].numpy().any() for batch in batches)
    assert sum(len(batch["ident"]) for batch in batches) == stamps.count("validation")


def by_numpy(image: np.ndarray, turn: int) -> np.ndarray:
    """Flip and turn by numpy's own functions."""
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)


@pytest.mark.parametrize("turn", range(8))
def test_dihedral_is_numpys_flip_then_quarter_turns(turn):
    image = np.arange(25.0, dtype=np.float32).reshape(5, 5)
    assert np.array_equal(dihedral(image[None], tf.constant([turn]))[0], by_numpy(image, turn))


def test_dihedral_has_eight_elements_of_which_the_first_is_nothing():
    image = np.arange(9.0, dtype=np.float32).reshape(1, 3, 3)
    turned = dihedral(np.repeat(image, 8, axis=0), tf.range(8)).numpy()
    assert len({t.tobytes() for t in turned}) == 8
    assert np.array_equal(turned[0], image[0])


def test_turning_galaxy_and_psf_turns_what_is_seen():
    rng = np.random.default_rng(3)
    images = np.repeat(rng.random((1, 16, 16), dtype=np.float32), 8, axis=0)
    psfs = np.repeat(rng.random((1, 7, 7), dtype=np.float32), 8, axis=0)
    turns = tf.range(8)
    seen = losses.convolve(dihedral(images, turns), dihedral(psfs, turns))
    expected = dihedral(losses.convolve(images, psfs), turns)
    np.testing.assert_allclose(seen, expected, rtol=1e-4)  # FFTs in single precision


def test_flux_of_the_zero_point_is_one_count():
    np.testing.assert_allclose(flux_of(tf.constant([25.94, 23.44])), [1.0, 10.0], rtol=1e-5)


def test_batch_larger_than_the_split_is_an_error_not_a_division_by_zero(stamps):
    from training.errors import TrainingError

    with pytest.raises(TrainingError, match="batch"):
        next(stamps.training("train", 1000, 1))

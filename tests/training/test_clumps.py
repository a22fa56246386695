"""Clumps: they move light without changing its mean, and their share is found again in stamps."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from training import clumpiness, losses
from training.models import base, clumps

SIZE = 64


def heads(index=(0.0, 0.0), e1=0.3) -> tf.Tensor:
    """Return head outputs (1, 14) of two components, by default flat enough to host clumps."""
    x = y = [0.0, 0.0]
    return tf.constant([[*x, *y, -0.5, 0.0, e1, -0.2, 0.1, 0.0, *index, 0.5, 0.0]], tf.float32)


def normals(count: int, seed: int = 1) -> tf.Tensor:
    return tf.random.stateless_normal([count, clumps.noise_size(2)], [seed, 7])


def drawn(raw: tf.Tensor, largest: float, noise: tf.Tensor) -> np.ndarray:
    count = noise.shape[0]
    share = tf.fill([count], tf.constant(largest))
    return base.base_light(tf.repeat(raw, count, 0), SIZE, 2, (share, noise)).numpy()


def test_the_mean_over_many_draws_is_the_smooth_galaxy():
    raw = heads()
    smooth = base.base_light(raw, SIZE, 2)[0].numpy()
    mean = np.mean([drawn(raw, 1.0, normals(200, seed)).mean(axis=0) for seed in range(10)], axis=0)
    # Behind a PSF of 2 pixels, so that the width of a clump and single clumps hardly count.
    axis = np.arange(-8, 9)
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 8.0).astype(np.float32)
    both = losses.convolve(tf.constant(np.stack([smooth, mean])), np.repeat(psf[None], 2, 0))
    smooth, mean = both.numpy() / psf.sum()
    assert np.abs(mean - smooth).max() < 0.03 * smooth.max()
    assert mean.sum() == pytest.approx(smooth.sum(), abs=0.01)


def test_no_share_gives_the_smooth_galaxy():
    raw = heads()
    light = drawn(raw, 0.0, normals(2))
    np.testing.assert_allclose(light[0], base.base_light(raw, SIZE, 2)[0], rtol=1e-5, atol=1e-9)


def test_no_noise_makes_finite_light():
    light = drawn(heads(), 0.5, tf.zeros([1, clumps.noise_size(2)]))
    assert np.all(np.isfinite(light))


def test_steep_profiles_host_no_clumps():
    raw = heads(index=(3.0, 3.0))
    light = drawn(raw, 1.0, normals(2))
    np.testing.assert_allclose(light[0], base.base_light(raw, SIZE, 2)[0], rtol=1e-5, atol=1e-9)


def test_shares_are_even_up_to_the_largest():
    shares = clumps.draw_share(tf.fill([4000], 0.3), normals(4000))[:, 0].numpy()
    assert shares.min() >= 0.0
    assert shares.max() <= 0.3
    # Four standard errors of a mean over 4,000.
    assert shares.mean() == pytest.approx(0.15, abs=4 * 0.3 / np.sqrt(12 * 4000))
    assert np.mean(shares**2) == pytest.approx(0.03, rel=0.06)


@pytest.mark.parametrize("largest", [0.0, 0.5])
def test_the_score_test_finds_the_clumps_of_stamps(largest):
    count, flux, deviation = 400, 30.0, 3e-3
    raw = heads()
    params = base.base_parameters(tf.repeat(raw, count, 0), 2)
    profiles = base.softened_sersic(params, SIZE)
    profiles /= tf.reduce_sum(profiles, axis=[2, 3], keepdims=True)
    smooth = base.base_light(raw, SIZE, 2).numpy()
    axis = np.arange(-8, 9)
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 8.0).astype(np.float32)
    psf = np.repeat((psf / psf.sum())[None], count, 0)
    left_over = flux * (drawn(raw, largest, normals(count)) - smooth)
    noise = deviation * np.random.default_rng(5).standard_normal((count, SIZE, SIZE))
    residual = losses.convolve(tf.constant(left_over), psf) + noise.astype(np.float32)
    estimate, information = clumpiness.score_test(
        residual,
        tf.constant(psf),
        tf.ones([SIZE, SIZE // 2 + 1]),
        tf.fill([count], deviation**2),
        profiles,
        flux * params["share"] * clumps.hosting(params),
    )
    found = estimate.numpy() / clumpiness.UNIT
    error = found.std() / np.sqrt(count)
    # The mean over share and number: a third of the largest squared, in units of a third.
    assert found.mean() == pytest.approx(largest**2, abs=4 * error)
    if largest:
        assert error < 0.1 * largest**2  # so that the line above says something
    else:
        # What the estimate says of its own scatter without clumps is right, to 400 draws' error.
        assert found.std() * clumpiness.UNIT * np.sqrt(information[0]) == pytest.approx(1.0, abs=0.2)

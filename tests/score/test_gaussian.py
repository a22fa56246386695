"""The Gaussian prior answers in closed form, and dense linear algebra agrees."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import FieldError

SIDE = 16


@pytest.fixture(scope="module")
def covariance(red_power):
    """Give the covariance of a 4x5 field, column by column from its power spectrum."""
    shape = (4, 5)
    small = score.GaussianPrior(red_power, shape)
    units = np.eye(20).reshape(20, *shape)
    columns = np.fft.irfft2(np.fft.rfft2(units) * small.power, s=shape)
    return small, columns.reshape(20, 20)


def test_score_and_density_are_those_of_the_dense_gaussian(covariance, rng):
    small, matrix = covariance
    x, sigma = rng.standard_normal((3, 4, 5)), 0.3
    noisy = matrix + sigma**2 * np.eye(20)
    solved = np.linalg.solve(noisy, x.reshape(3, 20).T).T
    np.testing.assert_allclose(small.score(x, sigma), -solved.reshape(x.shape), atol=1e-4)
    expected = -0.5 * (np.sum(solved * x.reshape(3, 20), axis=1) + 20 * np.log(2 * np.pi))
    expected -= 0.5 * np.linalg.slogdet(noisy)[1]
    np.testing.assert_allclose(small.log_prob(x, sigma=sigma), expected, rtol=1e-5)


def test_denoiser_is_tweedies_formula_and_leaves_clean_fields(prior):
    x = prior.sample(2, seed=3)
    sigma = np.array([0.2, 1.0])
    tweedie = x + sigma[:, None, None] ** 2 * prior.score(x, sigma).numpy()
    np.testing.assert_allclose(prior.denoise(x, sigma), tweedie, atol=1e-5)
    np.testing.assert_allclose(prior.denoise(x, 0.0), x, atol=1e-5)


def test_samples_have_the_power_spectrum(prior):
    fields = prior.sample(400, seed=4)
    power = np.mean(np.abs(np.fft.rfft2(fields, norm="ortho")) ** 2, axis=0)
    # 400 draws: 5% a mode of two degrees of freedom, 7% of one; 137 modes reach 4 sigma.
    np.testing.assert_allclose(power / prior.power, 1.0, atol=0.3)
    assert fields.std() == pytest.approx(prior.std, rel=0.03)
    np.testing.assert_array_equal(fields, prior.sample(400, seed=4))


def test_sample_knows_nothing_of_its_users_noise():
    prior = score.GaussianPrior(lambda k: np.ones_like(k), (64, 64))
    noise = np.random.default_rng(5).standard_normal((64, 64))
    assert abs(np.mean(prior.sample(1, seed=5)[0] * noise)) < 5 / 64  # five errors


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda p: p.score(np.full((1, SIDE, SIDE), np.nan), 1.0), "not finite"),
        (lambda p: p.score(np.zeros((1, SIDE, 8)), 1.0), "Expected a batch of fields"),
        (lambda p: p.score(np.zeros((SIDE, SIDE)), 1.0), r"field\[None\]"),
        (lambda p: p.score(np.zeros((1, SIDE, SIDE)), -1.0), "not negative"),
        (lambda p: p.score(np.zeros((2, SIDE, SIDE)), [1.0, 2.0, 3.0]), "3 noise levels"),
        (lambda p: p.sample(1, seed=1, shape=(SIDE, 8)), r"\(16, 16\), not \(16, 8\)"),
        (lambda p: p.sample(1, seed=1, shape=SIDE), "GaussianPrior of the other shape"),
        (lambda p: p.log_prob(np.zeros((1, SIDE, SIDE)), sigma=[0.1, 0.2]), "one number for all"),
        (lambda p: p.log_prob(np.zeros((1, SIDE, SIDE)), sigma=-0.1), "not negative"),
        (lambda p: score.GaussianPrior(lambda k: 1.0 / k, (4, 4)), "asked at 0 too"),
        (lambda p: score.GaussianPrior(np.ones((4, 4)), (4, 4)), r"\(4, 3\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")  # what a spectrum without k = 0 does
def test_bad_input_is_named(prior, ask, words):
    with pytest.raises(FieldError, match=words):
        ask(prior)


def test_shape_of_a_sample_may_be_given_as_to_a_module(prior):
    same = prior.sample(2, seed=3, shape=(SIDE, SIDE))
    np.testing.assert_array_equal(same, prior.sample(2, seed=3))


def test_precision_of_a_tensor_does_not_matter(prior):
    x = tf.constant(prior.sample(1, seed=1), tf.float64)
    sigma = tf.constant(0.5, tf.float64)
    np.testing.assert_array_equal(prior.score(x, sigma), prior.score(x.numpy(), 0.5))


def test_score_works_inside_a_graph(prior):
    x = prior.sample(1, seed=1)
    np.testing.assert_allclose(tf.function(prior.score)(x, 0.5), prior.score(x, 0.5), atol=1e-6)

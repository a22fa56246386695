"""The likelihood is that of the dense Gaussian, sharp and annealed."""

from __future__ import annotations

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import ObservationError

SHAPE = (6, 4)


def dense(operator):
    """Give the operator as a matrix."""
    units = np.eye(24, dtype=np.float32).reshape(24, *SHAPE)
    return operator.forward(units).numpy().reshape(24, -1).T


@pytest.fixture(scope="module")
def blurred():
    """Give an operator whose Gram matrix is dense, data, noise that varies, and a mask."""
    rng = np.random.default_rng(3)
    operator = score.Blur(np.outer([1, 2, 1], [1, 2, 1]) / 16, 2)
    data, std = rng.standard_normal((3, 2)), rng.uniform(0.2, 0.5, (3, 2))
    mask = np.array([[True, True], [False, True], [True, True]])
    data[1, 0] = np.nan  # not observed
    return operator, data, std, mask


@pytest.mark.parametrize("sigma", [0.0, 0.1, 1.0])
def test_annealed_covariance_is_that_of_noise_seen_through_the_operator(blurred, sigma, rng):
    operator, data, std, mask = blurred
    likelihood = score.GaussianLikelihood(operator, data, std, mask)
    matrix = dense(operator)[mask.ravel()]
    covariance = np.diag(std[mask] ** 2) + sigma**2 * matrix @ matrix.T
    x = rng.standard_normal((2, *SHAPE)).astype(np.float32)
    residuals = data[mask] - x.reshape(2, -1) @ matrix.T
    solved = np.linalg.solve(covariance, residuals.T).T
    expected = (solved @ matrix).reshape(x.shape)
    # Conjugate gradients stop at a residual of 1e-3: the score is that accurate ...
    np.testing.assert_allclose(
        likelihood.score(x, sigma), expected, atol=3e-3 * np.abs(expected).max()
    )
    # ... and the density to its square.
    np.testing.assert_allclose(
        likelihood.log_prob(x, sigma), -0.5 * np.sum(residuals * solved, axis=1), rtol=2e-5
    )


def test_score_is_the_gradient_of_the_density(blurred, rng):
    likelihood = score.GaussianLikelihood(*blurred)
    x = tf.constant(rng.standard_normal((2, *SHAPE)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        density = likelihood.log_prob(x)
    np.testing.assert_allclose(tape.gradient(density, x), likelihood.score(x), atol=1e-4)


def test_chi2_counts_what_is_observed(blurred):
    operator, _, std, mask = blurred
    likelihood = score.GaussianLikelihood(operator, np.where(mask, 2 * std, np.nan), std, mask)
    assert likelihood.n_data == 5
    assert likelihood.chi2(np.zeros((1, *SHAPE))).numpy() == pytest.approx([20.0], rel=1e-5)


def test_a_batch_of_observations_is_one_a_field(rng):
    data = rng.standard_normal((3, *SHAPE)).astype(np.float32)
    batch = score.GaussianLikelihood(score.Identity(), data, 0.5, is_batch=True)
    x = rng.standard_normal((3, *SHAPE)).astype(np.float32)
    for i in range(3):
        single = score.GaussianLikelihood(score.Identity(), data[i], 0.5)
        np.testing.assert_allclose(single.score(x[i : i + 1]), batch.score(x)[i : i + 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"mask": np.zeros(SHAPE, bool)}, "mask"),
        ({"mask": np.ones((3, 3), bool)}, "mask"),
        ({"data": np.full(SHAPE, np.nan)}, "data"),
        ({"noise_std": 0.0}, "noise_std"),
        ({"noise_std": np.full(SHAPE, np.inf)}, "noise_std"),
        ({"noise_std": np.ones(5)}, "noise_std"),
        ({"noise_std": "low"}, "noise_std"),
        ({"noise_std": np.ma.masked_greater(np.ones(SHAPE), 0.0)}, "noise_std"),
        ({"mask": "everything"}, "mask"),
        ({"mask": galsim.Image(np.ones((3, 3), np.int16))}, "mask"),
        ({"data": [["a"]]}, "data"),
        ({"mask": np.arange(SHAPE[0])[:, None] * np.ones(SHAPE) > 0, "is_batch": True}, "mask"),
    ],
)
def test_observation_that_makes_no_sense_is_refused(arguments, name):
    given = {"operator": score.Identity(), "data": np.zeros(SHAPE), "noise_std": 1.0} | arguments
    with pytest.raises(ObservationError) as caught:
        score.GaussianLikelihood(**given)
    assert caught.value.name == name


def test_fields_with_masks_of_their_own_count_their_mean():
    data = np.zeros((2, *SHAPE))
    mask = np.ones(data.shape, bool)
    mask[0, 0, 0] = False
    likelihood = score.GaussianLikelihood(score.Identity(), data, 1.0, mask, is_batch=True)
    assert likelihood.n_data == np.prod(SHAPE) - 0.5


def test_a_masked_array_brings_its_mask():
    data = np.ma.masked_greater(np.arange(np.prod(SHAPE)).reshape(SHAPE), 2)
    assert score.GaussianLikelihood(score.Identity(), data, 1.0).n_data == 3


def test_images_of_galsim_are_their_arrays(rng):
    data, std = rng.standard_normal(SHAPE), rng.uniform(0.5, 1.0, SHAPE)
    mask = (rng.random(SHAPE) < 0.5).astype(np.int16)
    arrays = score.GaussianLikelihood(score.Identity(), data, std, mask)
    images = score.GaussianLikelihood(score.Identity(), *map(galsim.Image, (data, std, mask)))
    for name in ("data", "noise_variance", "mask"):
        np.testing.assert_array_equal(getattr(images, name), getattr(arrays, name))


def test_what_a_mask_masks_is_not_observed():
    mask = np.ma.masked_array(np.ones(SHAPE), mask=False)
    mask[0, 0] = np.ma.masked
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros(SHAPE), 1.0, mask)
    assert likelihood.n_data == np.prod(SHAPE) - 1


def test_precision_of_a_tensor_does_not_matter(rng):
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros(SHAPE), 1.0)
    x = tf.constant(rng.standard_normal((1, *SHAPE)), tf.float64)
    np.testing.assert_array_equal(likelihood.score(x), likelihood.score(x.numpy()))


def test_field_of_another_size_is_refused():
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros(SHAPE), 1.0)
    with pytest.raises(ObservationError, match="Check the field's size"):
        likelihood.score(np.zeros((1, 4, 4)))

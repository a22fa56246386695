"""The likelihood, against direct sums and another library's densities."""

import numpy as np
import pytest
import tensorflow as tf

from training import losses


def direct_convolution(image: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """Sum shifted copies of the PSF, one a pixel, on a canvas that holds them all."""
    size, side = len(image), len(psf)
    canvas = np.zeros((size + side - 1, size + side - 1))
    for (y, x), value in np.ndenumerate(image):
        canvas[y : y + side, x : x + side] += value * psf
    half = side // 2
    return canvas[half : half + size, half : half + size]


@pytest.mark.parametrize(("size", "side"), [(16, 5), (16, 15), (15, 7), (12, 17)])
def test_convolution_is_the_direct_sum_for_an_asymmetric_psf(size, side):
    rng = np.random.default_rng(4)
    images, psfs = rng.random((3, size, size)), rng.random((3, side, side))
    seen = losses.convolve(tf.constant(images, tf.float32), tf.constant(psfs, tf.float32))
    expected = [direct_convolution(i, p) for i, p in zip(images, psfs, strict=True)]
    np.testing.assert_allclose(seen, expected, rtol=1e-4)  # FFTs in single precision


def test_convolution_keeps_the_phase():
    image, psf = np.zeros((1, 9, 9), np.float32), np.zeros((1, 5, 5), np.float32)
    image[0, 4, 4] = psf[0, 3, 1] = 1.0  # one pixel up, one to the left of the centre
    seen = losses.convolve(image, psf)[0].numpy()
    assert np.unravel_index(seen.argmax(), seen.shape) == (5, 3)


def test_light_that_leaves_the_stamp_does_not_come_back_on_the_other_side():
    image, psf = np.zeros((1, 16, 16), np.float32), np.ones((1, 9, 9), np.float32)
    image[0, 0, 0] = 1.0
    seen = losses.convolve(image, psf)[0].numpy()
    assert np.abs(seen[5:, :]).max() < 1e-6
    assert np.abs(seen[:, 5:]).max() < 1e-6


@pytest.mark.parametrize("minimum", [*range(2, 40), 97, 160, 161, 331])
def test_good_size_is_the_smallest_even_one_of_small_factors(minimum):
    powers = [2**a * 3**b * 5**c for a in range(1, 11) for b in range(7) for c in range(5)]
    assert losses.good_size(minimum) == min(n for n in powers if n >= minimum)


def test_chi_square_of_white_noise_is_the_sum_over_pixels():
    rng = np.random.default_rng(6)
    residuals, variance = rng.normal(size=(3, 16, 16)), np.array([0.5, 1.0, 7.0])
    flat = np.ones((3, 16, 9), np.float32)
    got = losses.chi_square(tf.constant(residuals, tf.float32), flat, variance.astype(np.float32))
    expected = (residuals**2).sum(axis=(1, 2)) / variance
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_chi_square_of_periodic_noise_is_that_of_its_covariance_matrix():
    size, rng = 6, np.random.default_rng(7)
    kernel = np.zeros((size, size))
    kernel[:2, :2] = rng.random((2, 2)) + np.diag([2, 0])
    power = np.abs(np.fft.rfft2(kernel)) ** 2
    correlation = np.fft.irfft2(power, (size, size))
    grid = np.stack(np.mgrid[:size, :size], axis=-1).reshape(-1, 2)
    covariance = np.array([[correlation[tuple((p - q) % size)] for q in grid] for p in grid])
    residual = rng.normal(size=(1, size, size))
    expected = residual.ravel() @ np.linalg.solve(covariance, residual.ravel())
    got = losses.chi_square(
        tf.constant(residual, tf.float32), power[None].astype(np.float32), tf.ones(1)
    )
    np.testing.assert_allclose(got, [expected], rtol=1e-4)


def test_divergence_is_that_of_the_integral():
    mean, log_scale = np.array([[0.7]]), np.array([[-0.4]])
    z = np.linspace(-12.0, 12.0, 200_001)
    scale = np.exp(log_scale)
    log_q = -0.5 * ((z - mean) / scale) ** 2 - np.log(scale)
    integrand = np.exp(log_q) / np.sqrt(2 * np.pi) * (log_q + 0.5 * z**2)
    expected = np.trapezoid(integrand[0], z)
    np.testing.assert_allclose(losses.kl_divergence(mean, log_scale), [expected], rtol=1e-8)


def test_divergence_of_the_prior_is_zero_and_latents_add_up():
    assert losses.kl_divergence(tf.zeros((1, 5)), tf.zeros((1, 5))).numpy() == [0.0]
    one, five = losses.kl_divergence(tf.ones((1, 1)), tf.ones((1, 1))), tf.ones((1, 5))
    np.testing.assert_allclose(losses.kl_divergence(five, five), 5 * one, rtol=1e-6)


def test_bright_galaxies_weigh_as_the_inverse_square_of_their_flux():
    weights = losses.flux_weight(tf.constant([0.0, 30.0, 3000.0]), 30.0).numpy()
    np.testing.assert_allclose(weights, [1.0, 0.5, 1e-4], rtol=1e-3)


def test_robust_misfit_is_itself_up_to_its_scale_and_a_logarithm_beyond():
    misfit = tf.Variable([-5.0, 0.0, 299.0, 300.0, 3000.0])
    with tf.GradientTape() as tape:
        value = losses.robust(misfit, 300.0)
    beyond = 300.0 * (1 + np.log(10.0))
    np.testing.assert_allclose(value, [-5.0, 0.0, 299.0, 300.0, beyond], rtol=1e-6)
    pull = tape.gradient(value, misfit).numpy()
    np.testing.assert_allclose(pull[[0, 1, 2, 4]], [1.0, 1.0, 1.0, 0.1], rtol=1e-6)
    assert np.all(np.isfinite(pull))


def test_roughness_sees_a_checkerboard_but_no_slope():
    y, x = np.mgrid[:16, :16].astype(np.float32)
    images = tf.constant(np.stack([3 * x - 2 * y, (-1.0) ** (x + y)]))
    slope, checkerboard = losses.roughness(images).numpy()
    assert slope == pytest.approx(0.0, abs=1e-8)
    assert checkerboard == pytest.approx(64.0)  # the Laplacian of +-1 is -+8

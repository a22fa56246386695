"""A refined code is the one that fits best, with the errors that the noise leaves it."""

import numpy as np
import pytest

from galsim_hub.refinement import refine

SIZE, NOISE = 32, 0.02
AXIS = np.arange(SIZE) - (SIZE - 1) / 2
PSF_AXIS = np.arange(9) - 4
TRUTH = np.array([0.3, -0.4, 0.8])


def gaussians(codes: np.ndarray) -> np.ndarray:
    """Decode log flux, log size and position into round Gaussians."""
    flux, size, place = (codes[:, k, None, None].astype(float) for k in range(3))
    sigma = 3.0 * np.exp(0.3 * size)
    square = (AXIS - place) ** 2 + AXIS[:, None] ** 2
    return (np.exp(flux - 0.5 * square / sigma**2) / sigma**2).astype(np.float32)


@pytest.fixture
def psf() -> np.ndarray:
    kernel = np.exp(-(PSF_AXIS**2 + PSF_AXIS[:, None] ** 2) / 4.0)
    kernel[:, 5:] *= 1.3  # lopsided: a PSF taken the wrong way round would show
    return (kernel / kernel.sum()).astype(np.float32)


def observe(psf: np.ndarray, rng: np.random.Generator, code: np.ndarray = TRUTH) -> np.ndarray:
    galaxy = np.pad(gaussians(code[None])[0], 4)
    seen = sum(
        psf[j, i] * galaxy[8 - j : 8 - j + SIZE, 8 - i : 8 - i + SIZE]
        for j in range(9)
        for i in range(9)
    )
    return (seen + NOISE * rng.standard_normal(seen.shape) / 10).astype(np.float32)


WEIGHT = np.full((SIZE, SIZE), (10 / NOISE) ** 2)


def test_refined_codes_scatter_about_the_truth_as_their_errors_say(psf):
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(60):
        mean, scale = refine(gaussians, observe(psf, rng), psf, WEIGHT, np.zeros(3, np.float32))
        pulls.append((mean - TRUTH) / scale)
    spread = np.std(pulls, axis=0)
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 4 / np.sqrt(60))
    assert np.all((spread > 0.7) & (spread < 1.35))


def test_masked_neighbour_does_not_count(psf):
    image = observe(psf, np.random.default_rng(2))
    image[4:12, 4:12] += 1.0
    weight = WEIGHT.copy()
    weight[2:14, 2:14] = 0.0
    start = np.zeros(3, np.float32)
    masked, scale = refine(gaussians, image, psf, weight, start)
    fooled, _ = refine(gaussians, image, psf, WEIGHT, start)
    assert np.all(np.abs(masked - TRUTH) < 5 * scale)
    assert np.any(np.abs(fooled - TRUTH) > 20 * scale)


def test_without_signal_the_prior_answers(psf):
    image = np.zeros((SIZE, SIZE), np.float32)
    mean, scale = refine(gaussians, image, psf, 1e-12 * WEIGHT, np.float32([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(mean, 0.0, atol=1e-3)
    np.testing.assert_allclose(scale, 1.0, rtol=1e-3)

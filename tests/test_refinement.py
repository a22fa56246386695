"""A refined code is the one that fits best, with the errors that the noise leaves it."""

import numpy as np
import pytest

from galsim_hub.refinement import refine

SIZE, NOISE = 32, 0.02
AXIS = np.arange(SIZE) - (SIZE - 1) / 2
PSF_AXIS = np.arange(9) - 4
TRUTH = np.array([0.3, -0.4, 0.8])
OFFSET = np.array([0.7, -1.2])


def gaussians(codes: np.ndarray) -> np.ndarray:
    """Decode log flux, log size and stretch into Gaussians."""
    return gaussians_at(codes, np.zeros(2))


def gaussians_at(codes: np.ndarray, offset: np.ndarray) -> np.ndarray:
    flux, size, stretch = (codes[:, k, None, None].astype(float) for k in range(3))
    sigma, stretch = 3.0 * np.exp(0.3 * size), np.exp(0.2 * stretch)
    square = (AXIS - offset[0]) ** 2 / stretch + (AXIS[:, None] - offset[1]) ** 2 * stretch
    return (np.exp(flux - 0.5 * square / sigma**2) / sigma**2).astype(np.float32)


@pytest.fixture
def psf() -> np.ndarray:
    kernel = np.exp(-(PSF_AXIS**2 + PSF_AXIS[:, None] ** 2) / 4.0)
    kernel[:, 5:] *= 1.3  # lopsided: a PSF taken the wrong way round would show
    return (kernel / kernel.sum()).astype(np.float32)


def observe(psf: np.ndarray, rng: np.random.Generator, code: np.ndarray = TRUTH) -> np.ndarray:
    galaxy = np.pad(gaussians_at(code[None], OFFSET)[0], 4)
    seen = sum(
        psf[j, i] * galaxy[8 - j : 8 - j + SIZE, 8 - i : 8 - i + SIZE]
        for j in range(9)
        for i in range(9)
    )
    return (seen + NOISE * rng.standard_normal(seen.shape) / 10).astype(np.float32)


WEIGHT = np.full((SIZE, SIZE), (10 / NOISE) ** 2)


def test_refined_codes_scatter_about_the_truth_as_their_errors_say(psf):
    rng = np.random.default_rng(1)
    pulls, offsets = [], []
    for _ in range(60):
        found = refine(gaussians, observe(psf, rng), psf, WEIGHT, np.zeros(3, np.float32))
        pulls.append((found.mean - TRUTH) / found.scale)
        offsets.append(found.offset)
    spread = np.std(pulls, axis=0)
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 4 / np.sqrt(60))
    assert np.all((spread > 0.7) & (spread < 1.35))
    error = np.std(offsets, axis=0)
    assert np.all(error < 0.02)
    assert np.all(np.abs(np.mean(offsets, axis=0) - OFFSET) < 4 * error / np.sqrt(60))


def test_masked_neighbour_does_not_count(psf):
    image = observe(psf, np.random.default_rng(2))
    image[4:12, 4:12] += 1.0
    weight = WEIGHT.copy()
    weight[2:14, 2:14] = 0.0
    start = np.zeros(3, np.float32)
    masked = refine(gaussians, image, psf, weight, start)
    fooled = refine(gaussians, image, psf, WEIGHT, start)
    assert np.all(np.abs(masked.mean - TRUTH) < 5 * masked.scale)
    assert np.any(np.abs(fooled.mean - TRUTH) > 20 * masked.scale)


def test_without_signal_the_prior_answers(psf):
    image = np.zeros((SIZE, SIZE), np.float32)
    found = refine(gaussians, image, psf, 1e-12 * WEIGHT, np.float32([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(found.mean, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.scale, 4.0, rtol=1e-3)  # as wide as the prior
    np.testing.assert_allclose(found.offset, 0.0, atol=1e-3)

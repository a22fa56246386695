"""Correlated noise: its expected periodogram makes the chi^2 of pure noise one a pixel."""

import galsim
import numpy as np
import pytest

from training import losses
from training.data.noise import dihedral_spectra, expected_periodogram, noise_covariance
from training.data.pipeline import dihedral

SIZE, SCALE = 64, 0.03
REACH = 40  # [pixel] how far GalSim's COSMOS correlation function reaches: it is 81 pixels wide


@pytest.fixture(scope="module")
def correlation():
    return noise_covariance(galsim.getCOSMOSNoise(), SIZE, SCALE)


def draw_fields(count: int, size: int, margin: int) -> np.ndarray:
    """Draw unit-variance COSMOS noise on wider fields and cut stamps out of their middle."""
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(5), variance=1.0)
    fields = []
    for _ in range(count):
        image = galsim.Image(size + 2 * margin, size + 2 * margin, scale=SCALE, dtype=float)
        image.addNoise(noise)
        fields.append(image.array[margin : margin + size, margin : margin + size])
    return np.array(fields, dtype=np.float32)


def chi_square(fields: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Return the chi^2 a pixel of each field."""
    powers = np.broadcast_to(power.astype(np.float32), (len(fields), *power.shape))
    return losses.chi_square(fields, powers, np.ones(len(fields), np.float32)).numpy() / SIZE**2


def test_correlation_is_one_at_zero_lag_and_symmetric(correlation):
    assert correlation.shape == (2 * SIZE - 1, 2 * SIZE - 1)
    assert correlation[SIZE - 1, SIZE - 1] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(correlation, correlation[::-1, ::-1], atol=1e-12)


def test_correlation_reaches_as_far_as_these_tests_assume(correlation):
    lags = np.abs(np.arange(1 - SIZE, SIZE))
    assert not correlation[lags > REACH].any()
    assert correlation[lags == REACH].any()


def test_chi_square_of_cosmos_noise_cut_from_a_wider_field_is_one_a_pixel(correlation):
    fields = draw_fields(200, SIZE, REACH)
    values = chi_square(fields, expected_periodogram(correlation))
    error = values.std() / np.sqrt(len(values))
    assert error < 0.003
    assert values.mean() == pytest.approx(1.0, abs=4 * error)  # 4 sigma: false alarm in 16,000


def test_galsim_noise_is_periodic_on_the_image_it_fills(correlation):
    """Say why stamps need noise cut from a wider field.

    `addNoise` draws by FFT on the image's own grid, so that opposite edges are neighbours. Such
    noise has the periodogram of the folded correlation without the window's shares.
    """
    fields = draw_fields(200, SIZE, 0)
    lags = np.arange(-(SIZE // 2), SIZE // 2)
    folded = np.zeros((SIZE, SIZE))
    folded[np.ix_(lags, lags)] = correlation[np.ix_(lags + SIZE - 1, lags + SIZE - 1)]
    periodic = chi_square(fields, np.abs(np.fft.rfft2(folded)))
    assert periodic.mean() == pytest.approx(1.0, abs=4 * periodic.std() / np.sqrt(len(fields)))
    windowed = chi_square(fields, expected_periodogram(correlation))
    assert windowed.mean() < 0.98  # 1.6% low at 128 pixels, twice that at 64


def test_drawn_noise_has_the_variance_that_galsim_states():
    fields = draw_fields(200, SIZE, REACH)
    values = fields.var(axis=(1, 2), dtype=float, mean=np.zeros((200, 1, 1)))
    assert values.mean() == pytest.approx(1.0, abs=4 * values.std() / np.sqrt(len(values)))


def test_periodogram_of_white_noise_is_exactly_one():
    white = np.zeros((2 * SIZE - 1, 2 * SIZE - 1))
    white[SIZE - 1, SIZE - 1] = 1.0
    np.testing.assert_allclose(expected_periodogram(white), 1.0, atol=1e-12)


def test_periodogram_is_the_mean_over_pixel_pairs():
    size, rng = 4, np.random.default_rng(2)
    lag_kernel = rng.normal(size=(3, 3))
    full = np.zeros((2 * size - 1, 2 * size - 1))
    for (y, x), a in np.ndenumerate(lag_kernel):  # the autocorrelation of a kernel is a covariance
        for (v, u), b in np.ndenumerate(lag_kernel):
            full[size - 1 + y - v, size - 1 + x - u] += a * b
    grid = np.stack(np.mgrid[:size, :size], axis=-1).reshape(-1, 2)
    covariance = np.array([[full[tuple(p - q + size - 1)] for q in grid] for p in grid])
    waves = np.exp(-2j * np.pi * (grid @ grid.T) / size) / size
    expected = np.einsum("kp,pq,kq->k", waves, covariance, waves.conj()).real
    expected = expected.reshape(size, size)[:, : size // 2 + 1]
    np.testing.assert_allclose(expected_periodogram(full), expected, rtol=1e-10)


def test_turning_a_stamp_and_its_spectrum_leaves_chi_square_alone(correlation):
    spectra = dihedral_spectra(correlation)
    assert not np.allclose(spectra[0], spectra[1])  # the noise has a direction, so this test bites
    fields = np.repeat(draw_fields(1, SIZE, REACH), 8, axis=0)
    turned = dihedral(fields, np.arange(8)).numpy()
    values = losses.chi_square(turned, spectra, np.ones(8, np.float32)).numpy()
    np.testing.assert_allclose(values, values[0], rtol=1e-4)  # 4096 terms in single precision

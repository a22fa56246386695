"""Correlated noise of the drizzled COSMOS images: draw it, and weigh residuals by it."""

import galsim
import numpy as np

CORRELATION_LENGTH = 40  # [pixel] as far as the COSMOS correlation function reaches


def draw_noise(noise: galsim.BaseCorrelatedNoise, size: int, pixel_scale: float) -> np.ndarray:
    """Draw noise as a stamp cut out of a wide field has it, float64 (size, size).

    GalSim draws by a transform on the image's own grid, on which opposite edges are neighbours;
    cutting the stamp out of a larger one undoes that.
    """
    wide = size + 2 * CORRELATION_LENGTH
    image = galsim.Image(wide, wide, scale=pixel_scale, dtype=float)
    image.addNoise(noise)
    return image.array[
        CORRELATION_LENGTH:-CORRELATION_LENGTH, CORRELATION_LENGTH:-CORRELATION_LENGTH
    ]


def noise_covariance(
    noise: galsim.BaseCorrelatedNoise, size: int, pixel_scale: float
) -> np.ndarray:
    """Return the correlation of pixels at every lag, (2 size - 1, 2 size - 1), 1 at zero lag."""
    lags = galsim.Image(2 * size - 1, 2 * size - 1, scale=pixel_scale, dtype=float)
    noise.drawImage(lags)
    return lags.array / noise.getVariance()


def expected_periodogram(correlation: np.ndarray) -> np.ndarray:
    """Return the mean of |rfft2(noise)|^2 / n^2 for a stamp of unit-variance noise.

    The stamp is cut out of a wider field, so its periodogram is not the power spectrum but that
    spectrum seen through the stamp's window: each lag counts by the share of pixel pairs that
    the stamp holds. With this the mean chi^2 of pure noise is exactly one a pixel.

    Parameters
    ----------
    correlation
        Correlation at all lags, (2 n - 1, 2 n - 1), symmetric, 1 at the centre.

    Returns
    -------
    float64 (n, n // 2 + 1), positive.
    """
    size = (correlation.shape[0] + 1) // 2
    share = 1.0 - np.abs(np.arange(1 - size, size)) / size
    weighted = correlation * np.outer(share, share)
    folded = np.zeros((size, size))
    index = np.arange(1 - size, size) % size
    np.add.at(folded, np.ix_(index, index), weighted)
    power = np.fft.rfft2(folded).real
    return np.maximum(power, 1e-4 * power.max())


def dihedral_spectra(correlation: np.ndarray) -> np.ndarray:
    """Return the periodograms for the eight flips and quarter turns of `pipeline.dihedral`."""
    turned = [np.rot90(c, k) for c in (correlation, correlation[:, ::-1]) for k in range(4)]
    return np.stack([expected_periodogram(c) for c in turned]).astype(np.float32)

"""Fourier space of a flat patch of sky: multipoles, power spectra, and what lensing does to modes.

Axes are (y, x): x grows along a row of pixels, y from row to row. The shear g1 is positive where
images are stretched along x, g2 where they are stretched along the diagonal x = y.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ARCMIN", "multipoles", "power_spectrum", "shear_response"]

ARCMIN = np.pi / 180 / 60  # [rad]


def multipoles(
    shape: tuple[int, int], pixel_scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the multipoles along y and x of each Fourier mode of a map.

    Parameters
    ----------
    shape : tuple of 2 int
        Of the map, (y, x).
    pixel_scale : float
        [arcmin]

    Returns
    -------
    tuple of 2 arrays of float64
        Of shapes (y, 1) and (1, x), in the order of `numpy.fft.fft2`.
    """
    along_y, along_x = (
        np.asarray(2 * np.pi * np.fft.fftfreq(n, pixel_scale * ARCMIN), dtype=np.float64)
        for n in shape
    )
    return along_y[:, None], along_x[None, :]


def shear_response(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return what turns modes of convergence into modes of shear.

    Parameters
    ----------
    shape : tuple of 2 int
        Of the map, (y, x).

    Returns
    -------
    ndarray of float64, shape (2, y, x // 2 + 1)
        Of g1 and g2, in the order of `numpy.fft.rfft2`. Their squares add up to one, but for the
        mean, which causes no shear. The highest modes of even sides lack the sign of one component
        of their wavevector, and with it g2.

    Source: Kaiser and Squires 1993, ApJ 404, 441, equation 2.1.5, in Fourier space.
    """
    ky = np.fft.fftfreq(shape[0])[:, None]
    kx = np.fft.rfftfreq(shape[1])[None, :]
    square = ky**2 + kx**2
    square[0, 0] = 1.0
    response = np.stack([(kx**2 - ky**2) / square, 2.0 * kx * ky / square])
    for axis, side in enumerate(shape):
        if side % 2 == 0:
            np.moveaxis(response[1], axis, 0)[side // 2] = 0.0
    response[0, 0, 0] = 0.0
    return response


def power_spectrum(
    maps: ArrayLike, pixel_scale: float, n_bins: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the mean power spectrum of maps that do not repeat.

    Each is tapered to zero at its edges first: the spectrum of convergence falls steeply, and what
    leaks from untapered edges would cover its end.

    Parameters
    ----------
    maps : array_like
        Shape (..., y, x); what comes before is averaged over.
    pixel_scale : float
        [arcmin]
    n_bins : int
        Of equal ratio, from the patch's own multipole to the pixel's; those without a mode are
        left out.

    Returns
    -------
    tuple of 2 arrays of float64
        Mean multipoles of the bins, and power [sr].

    Examples
    --------
    >>> noise = np.random.default_rng(1).standard_normal((80, 32, 32))
    >>> ell, power = power_spectrum(noise, pixel_scale=1.0, n_bins=2)
    >>> (power / ARCMIN**2).round(1).tolist()  # white: the variance times the pixel's area
    [1.0, 1.0]
    """
    maps = np.asarray(maps)
    shape = maps.shape[-2:]
    taper = np.outer(*(np.hanning(n + 2)[1:-1] for n in shape))
    ell = np.hypot(*multipoles((shape[0], shape[1]), pixel_scale)).ravel()
    edges = np.geomspace(0.99 * ell[ell > 0].min(), np.pi / (pixel_scale * ARCMIN), n_bins + 1)
    bins = np.digitize(ell, edges)
    total = np.zeros(len(edges) + 1)
    flat = maps.reshape(-1, *shape)
    for one in flat:
        modes = np.abs(np.fft.fft2((one - one.mean()) * taper)) ** 2
        total += np.bincount(bins, modes.ravel(), minlength=len(total))
    area = (pixel_scale * ARCMIN) ** 2 / (np.sum(taper**2) * len(flat))
    count = np.bincount(bins, minlength=len(total))
    used = np.flatnonzero(count[1:-1]) + 1
    mean_ell = np.bincount(bins, ell, minlength=len(total))[used] / count[used]
    return mean_ell, total[used] / count[used] * area

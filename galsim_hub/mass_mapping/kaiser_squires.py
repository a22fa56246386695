"""The direct inversion of Kaiser and Squires: quick, linear, and as noisy as the data.

Reach for it first. Without a prior it cannot tell mass from noise, which is why it is smoothed, and
knows nothing of the mean convergence of the field, which it takes to be zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from ..flat_sky import ARCMIN, multipoles, shear_response
from .shear_map import ShearMap

__all__ = ["DirectMap", "invert", "kaiser_squires", "smooth"]

FAINTEST = 0.1  # of the median depth: pixels that see less of the galaxies are not mapped


class DirectMap(NamedTuple):
    """The outcome of an inversion; NaN where too few galaxies are near.

    Attributes
    ----------
    convergence : ndarray of float64, shape (y, x)
    b_mode : ndarray of float64, shape (y, x)
        What lensing cannot cause: noise and systematic errors alone.
    noise_std : ndarray of float64, shape (y, x)
        Of both, by the noise of the galaxies within the smoothing.
    """

    convergence: NDArray[np.float64]
    b_mode: NDArray[np.float64]
    noise_std: NDArray[np.float64]


def kaiser_squires(shear_map: ShearMap, smoothing: float = 1.0) -> DirectMap:
    """Smooth the shear around holes and faint pixels, then invert it.

    Parameters
    ----------
    shear_map : ShearMap
    smoothing : float
        Standard deviation of the Gaussian [arcmin].

    Returns
    -------
    DirectMap

    Raises
    ------
    MassMapError
        If the smoothing is not positive, or wider than the map.

    Source: Kaiser and Squires 1993, ApJ 404, 441; the smoothed mean is that of Seitz and Schneider
    1995, A&A 297, 287, equation 2.14.
    """
    scale = shear_map.field.pixel_scale
    if not 0 < smoothing <= scale * max(shear_map.field.shape):
        raise MassMapError(
            f"A smoothing of {smoothing} arcmin: give a positive number, not above the map's "
            f"{scale * max(shear_map.field.shape):g} arcmin.",
            "smoothing",
            smoothing,
        )
    precision = shear_map.precision
    depth = smooth(precision, smoothing, scale)
    # The square of a Gaussian is a narrower one, of less than its weight.
    share = scale**2 / (4 * np.pi * smoothing**2)
    squared = share * smooth(precision, smoothing / np.sqrt(2), scale)
    is_deep = depth > FAINTEST * np.median(depth[shear_map.is_seen])
    shear = np.zeros_like(shear_map.shear)
    for smoothed, component in zip(shear, shear_map.shear, strict=True):
        np.divide(smooth(precision * component, smoothing, scale), depth, smoothed, where=is_deep)
    convergence, b_mode = invert(shear)
    std = np.sqrt(np.maximum(squared, 0)) / np.where(is_deep, depth, np.nan)
    blank = np.where(is_deep, 0.0, np.nan)
    return DirectMap(convergence + blank, b_mode + blank, std)


def invert(shear: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the convergence of a map of shear, and the part that no convergence causes.

    Parameters
    ----------
    shear : ndarray of float64, shape (2, y, x)
        g1 and g2; the map is taken to repeat.

    Returns
    -------
    tuple of 2 arrays of float64, shape (y, x)
        Of zero mean.
    """
    ny, nx = shear.shape[1:]
    first, second = shear_response((ny, nx))
    g1, g2 = np.fft.rfft2(shear)
    e_modes, b_modes = first * g1 + second * g2, first * g2 - second * g1
    return np.fft.irfft2(e_modes, s=(ny, nx)), np.fft.irfft2(b_modes, s=(ny, nx))


def smooth(image: NDArray[np.float64], width: float, pixel_scale: float) -> NDArray[np.float64]:
    """Convolve a map with a Gaussian; it repeats, as its Fourier transform does.

    Parameters
    ----------
    image : ndarray of float64, shape (y, x)
    width : float
        Standard deviation of the Gaussian [arcmin].
    pixel_scale : float
        [arcmin]

    Returns
    -------
    ndarray of float64, shape (y, x)
    """
    ny, nx = image.shape
    along_y, along_x = multipoles((ny, nx), pixel_scale)
    beam = np.exp(-0.5 * (along_y**2 + along_x**2) * (width * ARCMIN) ** 2)
    return np.fft.ifft2(np.fft.fft2(image) * beam).real

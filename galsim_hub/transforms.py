"""The Fourier transform of a stamp, at the very wavenumbers that an image asks for.

`galsim.InterpolatedImage` transforms the padded stamp and interpolates in that. But an image says
which wavenumbers it needs before it is drawn, and unless the galaxy is sheared they are a grid
along both axes. There the transform is a product of three small matrices: exact, without padding,
and cheaper, for two of them are those of the galaxy before.
"""

from __future__ import annotations

import functools

import galsim
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_transform", "is_along_axes"]

# OpenBLAS computes smaller products in one thread. In more, each would wait for the others and for
# whatever else runs; nor must the order of sums depend on their number.
_LARGEST_PRODUCT = 1 << 17
_SIDES = 128  # pixels: waves are kept for stamps of so many and its multiples


def is_along_axes(jac: NDArray[np.float64] | None) -> bool:
    """Tell whether a transformation leaves both axes where they are.

    Parameters
    ----------
    jac : ndarray of shape (2, 2) or None

    Returns
    -------
    bool
    """
    return jac is None or bool(jac[0, 1] == 0.0 == jac[1, 0])


def draw_transform(
    pixels: NDArray[np.float64],
    scale: float,
    gsparams: galsim.GSParams,
    image: galsim.Image,
    jac: NDArray[np.float64] | None,
) -> None:
    """Fill an image with the transform of a stamp, interpolated between pixels by a quintic.

    Parameters
    ----------
    pixels : ndarray of float64, shape (n, n)
        Flux per pixel, centred.
    scale : float
        Side of a pixel [arcsec].
    gsparams : galsim.GSParams
    image : galsim.Image of complex, shape (ky, kx)
    jac : ndarray of shape (2, 2) or None
        What the profile is transformed by; `is_along_axes`.
    """
    bounds = image.bounds
    stretch = (1.0, 1.0) if jac is None else (jac[0, 0], jac[1, 1])
    step_x, step_y = (float(image.scale * scale * factor) for factor in stretch)
    x = _waves(len(pixels), step_x, bounds.xmin, bounds.xmax, gsparams)
    y = _waves(len(pixels), step_y, bounds.ymin, bounds.ymax, gsparams)
    # All products are real, of real and imaginary parts side by side.
    along_x = _multiply(pixels, x.view(np.float64)).view(np.complex128)
    turned = np.concatenate([along_x, 1j * along_x]).view(np.float64)
    transform = _multiply(np.concatenate([y.real, y.imag]).T, turned).view(np.complex128)
    image.array[:] = transform


def _waves(
    side: int, step: float, first: int, last: int, gsparams: galsim.GSParams
) -> NDArray[np.complex128]:
    """Return waves from a stamp's centre, shape (pixel, wavenumber), times the interpolant's."""
    # Cut out of those of a larger stamp, which serve all that were trimmed.
    whole = _SIDES * -(-side // _SIDES) + side % 2
    cut = (whole - side) // 2
    return _waves_of_many(whole, step, first, last, gsparams)[cut : cut + side]


@functools.lru_cache(maxsize=32)
def _waves_of_many(
    side: int, step: float, first: int, last: int, gsparams: galsim.GSParams
) -> NDArray[np.complex128]:
    k = step * np.arange(first, last + 1)  # [radian / pixel]
    positions = np.arange(side) - (side - 1) / 2
    heights = galsim.Quintic(gsparams=gsparams).kval(k)
    waves: NDArray[np.complex128] = np.exp(-1j * positions[:, None] * k) * heights
    return waves


def _multiply(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a product of matrices, a few rows at a time."""
    rows = max(1, _LARGEST_PRODUCT // right.size)
    product = np.empty((len(left), right.shape[1]))
    for start in range(0, len(left), rows):
        np.matmul(left[start : start + rows], right, out=product[start : start + rows])
    return product

"""The Fourier transform of a stamp, at the very wavenumbers that an image asks for.

`galsim.InterpolatedImage` transforms the padded stamp and interpolates in that. But an image says
which wavenumbers it needs before it is drawn, and unless the galaxy is sheared they are a grid
along both axes. There the transform is a product of three small matrices: exact, without padding,
and cheaper, for two of them are those of the galaxy before. Pixels equally far from the centre
share their waves, but for a sign, so that their sums and differences are multiplied instead: half
as many along each axis.
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
_HALVES = 64  # pixels from the centre: waves are kept for so many and its multiples


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
    bounds, side = image.bounds, len(pixels)
    stretch = (1.0, 1.0) if jac is None else (jac[0, 0], jac[1, 1])
    step_x, step_y = (float(image.scale * scale * factor) for factor in stretch)
    most = max(-bounds.ymin, bounds.ymax, 0)
    cos_x, sin_x = _waves(side, step_x, bounds.xmin, bounds.xmax, gsparams)
    cos_y, sin_y = _waves(side, step_y, 0, most, gsparams)
    sums, differences = _fold(np.concatenate(_fold(pixels)).T)
    along_x = np.empty((len(sums.T), cos_x.shape[1]), dtype=np.complex128)
    along_x.real, along_x.imag = _multiply(sums.T, cos_x), _multiply(differences.T, -sin_x)
    half = len(along_x) // 2
    # All products are real, of real and imaginary parts side by side.
    even = _multiply(cos_y.T, along_x[:half].view(np.float64)).view(np.complex128)
    odd = _multiply(sin_y.T, (-1j * along_x[half:]).view(np.float64)).view(np.complex128)
    transform = np.empty((2 * most + 1, even.shape[1]), dtype=np.complex128)
    np.add(even, odd, out=transform[most:])
    np.subtract(even[1:], odd[1:], out=transform[:most][::-1])
    image.array[:] = transform[most + bounds.ymin : most + bounds.ymax + 1]


def _fold(pixels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and differences of rows equally far from the centre, from there outwards."""
    side = len(pixels)
    upper, lower = pixels[side // 2 :], pixels[: (side + 1) // 2][::-1]
    sums, differences = upper + lower, upper - lower
    if side % 2:  # the row in the centre is its own counterpart
        sums[0] /= 2.0
    return sums, differences


def _waves(
    side: int, step: float, first: int, last: int, gsparams: galsim.GSParams
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosines and sines, (pixel from the centre, wavenumber), times the interpolant's."""
    half = (side + 1) // 2
    # Those of a larger stamp begin with those of all that were trimmed.
    whole = _HALVES * -(-half // _HALVES)
    cos, sin = _waves_of_many(whole, side % 2, step, first, last, gsparams)
    return cos[:half], sin[:half]


@functools.lru_cache(maxsize=32)
def _waves_of_many(
    half: int, is_odd: int, step: float, first: int, last: int, gsparams: galsim.GSParams
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k = step * np.arange(first, last + 1)  # [radian / pixel]
    phases = (np.arange(half) + (0.0 if is_odd else 0.5))[:, None] * k
    heights = galsim.Quintic(gsparams=gsparams).kval(k)
    return np.cos(phases) * heights, np.sin(phases) * heights


def _multiply(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a product of matrices, a few rows at a time."""
    rows = max(1, _LARGEST_PRODUCT // right.size)
    product = np.empty((len(left), right.shape[1]))
    for start in range(0, len(left), rows):
        np.matmul(left[start : start + rows], right, out=product[start : start + rows])
    return product

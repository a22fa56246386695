"""Two-dimensional Fourier modes of real fields, and the fields that a power spectrum draws.

Modes are orthonormal: white noise of variance v a pixel has modes of mean square v, and a power
spectrum is in units of the variance of a pixel. A C_ell is one after division by the solid
angle of a pixel; its wavenumber is ell times the pixel's side, in radians a pixel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["filtered", "multiplicity", "to_field", "to_modes", "wavenumbers"]

Tensor = Any


def wavenumbers(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the length of every kept mode's wavevector.

    Parameters
    ----------
    shape : tuple of 2 int
        Pixels along y and x.

    Returns
    -------
    ndarray of float64, shape (y, x // 2 + 1)
        [radian / pixel]

    Examples
    --------
    >>> wavenumbers((2, 2)).round(3).tolist()
    [[0.0, 3.142], [3.142, 4.443]]
    """
    ky, kx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    return 2.0 * np.pi * np.hypot(ky[:, None], kx[None, :])


def multiplicity(nx: int) -> NDArray[np.float64]:
    """Return how many modes of the whole transform each column of kept ones stands for.

    Parameters
    ----------
    nx : int
        Pixels along x.

    Returns
    -------
    ndarray of float64, shape (nx // 2 + 1,)

    Examples
    --------
    >>> multiplicity(4).tolist(), multiplicity(5).tolist()
    ([1.0, 2.0, 1.0], [1.0, 2.0, 2.0])
    """
    counts = np.full(nx // 2 + 1, 2.0)
    counts[0] = 1.0
    if nx % 2 == 0:
        counts[-1] = 1.0
    return counts


def to_modes(fields: Tensor) -> Tensor:
    """Transform fields.

    Parameters
    ----------
    fields : tensor, shape (..., y, x)

    Returns
    -------
    tensor of complex64, shape (..., y, x // 2 + 1)
    """
    root = math.sqrt(fields.shape[-1] * fields.shape[-2])
    return tf.signal.rfft2d(fields) / tf.constant(root, tf.complex64)


def to_field(modes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Transform modes back.

    Parameters
    ----------
    modes : tensor of complex64, shape (..., y, x // 2 + 1)
    shape : tuple of 2 int

    Returns
    -------
    tensor of float32, shape (..., y, x)
    """
    root = math.sqrt(shape[0] * shape[1])
    return tf.signal.irfft2d(modes, fft_length=shape) * tf.constant(root, tf.float32)


def filtered(fields: Tensor, response: Tensor) -> Tensor:
    """Multiply the modes of fields by a real response.

    Parameters
    ----------
    fields : tensor, shape (n, y, x)
    response : tensor, shape (y, x // 2 + 1) or (n, y, x // 2 + 1)

    Returns
    -------
    tensor of float32, shape (n, y, x)
    """
    response = tf.convert_to_tensor(response, tf.float32)
    # Not a cast, whose gradient would warn of the imaginary part that it drops.
    modes = to_modes(fields) * tf.complex(response, tf.zeros_like(response))
    return to_field(modes, (fields.shape[-2], fields.shape[-1]))

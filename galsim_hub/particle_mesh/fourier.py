"""Real Fourier transforms of fields, with the gradients that TensorFlow lacks.

The convention is numpy's: `to_modes` is a plain sum over cells, `to_field` divides by their number.
Half of the modes of a real field are kept, so that in an adjoint the modes that stand for two count
twice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["multiplicity", "to_field", "to_modes"]

Tensor = Any


@tf.custom_gradient
def to_modes(field: Tensor) -> tuple[Tensor, Any]:
    """Transform real fields over their last three axes.

    Parameters
    ----------
    field : tensor
        Shape (..., nx, ny, nz), nz even.

    Returns
    -------
    tensor of complex
        Shape (..., nx, ny, nz / 2 + 1).
    """
    field = tf.convert_to_tensor(field)
    shape = tuple(field.shape[-3:])

    def gradient(upstream: Tensor) -> Tensor:
        weights = tf.cast(math.prod(shape) / multiplicity(shape[-1]), upstream.dtype)
        return to_field(upstream * weights, shape)

    return tf.signal.rfft3d(field), gradient


def to_field(modes: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Transform modes back into real fields.

    Parameters
    ----------
    modes : tensor of complex
        Shape (..., nx, ny, nz / 2 + 1).
    shape : tuple of 3 int
        Cells along each side, (nx, ny, nz).

    Returns
    -------
    tensor
        Shape (..., nx, ny, nz).
    """

    @tf.custom_gradient
    def transformed(modes: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> Tensor:
            weights = tf.cast(multiplicity(shape[-1]) / math.prod(shape), modes.dtype)
            return to_modes(upstream) * weights

        return tf.signal.irfft3d(modes, fft_length=shape), gradient

    return transformed(modes)


def multiplicity(nz: int) -> np.ndarray:
    """Return how many modes of the whole transform each kept one stands for.

    Parameters
    ----------
    nz : int
        Cells along the last side, even.

    Returns
    -------
    ndarray of float64
        1 at both ends of the last axis and 2 between, shape (nz / 2 + 1,).

    Examples
    --------
    >>> multiplicity(6).tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    counts = np.full(nz // 2 + 1, 2.0)
    counts[[0, -1]] = 1.0
    return counts

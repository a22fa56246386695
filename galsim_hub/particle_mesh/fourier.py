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

from ..errors import BoxError

__all__ = ["Transform", "multiplicity", "to_field", "to_modes"]

Tensor = Any


class Transform:
    """Transform fields over the three sides of a grid, and back, with gradients.

    Parameters
    ----------
    shape : tuple of 3 int
        Cells along each side, the last even.
    counts : ndarray, optional
        How many modes of the whole transform each kept one stands for; those of `multiplicity` by
        default. Where only some modes are here, theirs.
    """

    def __init__(self, shape: tuple[int, int, int], counts: np.ndarray | None = None) -> None:
        self.shape = shape
        self.counts = multiplicity(shape[2]) if counts is None else counts

    def to_modes(self, field: Tensor) -> Tensor:
        """Return the modes of real fields.

        Parameters
        ----------
        field : tensor
            Its last three axes are transformed.

        Returns
        -------
        tensor of complex
        """

        @tf.custom_gradient
        def transformed(field: Tensor) -> tuple[Tensor, Any]:
            def gradient(upstream: Tensor) -> Tensor:
                weights = tf.cast(math.prod(self.shape) / self.counts, upstream.dtype)
                return self.to_field(upstream * weights)

            return self.forward(tf.stop_gradient(field)), gradient

        return transformed(tf.convert_to_tensor(field))

    def to_field(self, modes: Tensor) -> Tensor:
        """Return the real fields of modes.

        Parameters
        ----------
        modes : tensor of complex
            As of `to_modes`.

        Returns
        -------
        tensor
        """

        @tf.custom_gradient
        def transformed(modes: Tensor) -> tuple[Tensor, Any]:
            def gradient(upstream: Tensor) -> Tensor:
                weights = tf.cast(self.counts / math.prod(self.shape), modes.dtype)
                return self.to_modes(upstream) * weights

            return self.inverse(tf.stop_gradient(modes)), gradient

        return transformed(tf.convert_to_tensor(modes))

    def forward(self, field: Tensor) -> Tensor:
        """Return the modes of real fields, without a gradient.

        Parameters
        ----------
        field : tensor
            Its last three axes are transformed.

        Returns
        -------
        tensor of complex
        """
        return tf.signal.rfft3d(field)

    def inverse(self, modes: Tensor) -> Tensor:
        """Return the real fields of modes, without a gradient.

        Parameters
        ----------
        modes : tensor of complex
            As of `forward`.

        Returns
        -------
        tensor
        """
        return tf.signal.irfft3d(modes, fft_length=self.shape)


def to_modes(field: Tensor) -> Tensor:
    """Transform real fields over their last three axes.

    Parameters
    ----------
    field : tensor
        Shape (..., nx, ny, nz), nz even.

    Returns
    -------
    tensor of complex
        Shape (..., nx, ny, nz / 2 + 1).

    Raises
    ------
    BoxError
        If nz is odd, or there are less than three axes.
    """
    field = tf.convert_to_tensor(field)
    _check_sides(tuple(field.shape[-3:]))
    return Transform(tuple(field.shape[-3:])).to_modes(field)


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

    Raises
    ------
    BoxError
        If nz is odd, or the modes are not those of such a field.
    """
    modes = tf.convert_to_tensor(modes)
    _check_sides(shape)
    nx, ny, nz = shape
    if not (modes.dtype.is_complex and tuple(modes.shape[-3:]) == (nx, ny, nz // 2 + 1)):
        raise BoxError(
            f"Modes are {modes.dtype.name} of shape {tuple(modes.shape)}; a field of {nx}, {ny}, "
            f"{nz} cells has complex ones of shape (..., {nx}, {ny}, {nz // 2 + 1}). Give the "
            "shape of the field that they were made of.",
            tuple(modes.shape),
        )
    return Transform(shape).to_field(modes)


def _check_sides(shape: tuple[int, ...]) -> None:
    if np.ndim(shape) != 1 or len(shape) != 3 or shape[2] is None or shape[2] % 2:
        raise BoxError(
            f"A field of {shape} cells was to be transformed; it needs three sides, the last with "
            "an even number of cells. Choose the next even number.",
            shape,
        )


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

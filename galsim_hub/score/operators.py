"""Linear operators between fields and data, each with its exact adjoint.

An operator is what the data would be without noise. Batches come first, everything is real:
complex data are their real and imaginary parts.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ..errors import ObservationError
from .fields import as_numbers, as_tensor, check_shape
from .fourier import multiplicity

__all__ = ["Blur", "Identity", "LinearOperator", "MaskedFourier"]

Tensor = Any


class LinearOperator(Protocol):
    """Say what a likelihood needs of an operator A.

    Attributes
    ----------
    gram : float or None
        The number that A A^T is times the identity, None if it is something else. With it, white
        noise of the field is white noise of the data, and annealing costs nothing.
    """

    gram: float | None

    def forward(self, x: Tensor) -> Tensor:
        """Compute A x.

        Parameters
        ----------
        x : tensor, shape (n, ...)

        Returns
        -------
        tensor, shape (n, ...)
        """
        ...

    def adjoint(self, y: Tensor) -> Tensor:
        """Compute A^T y.

        Parameters
        ----------
        y : tensor, shape (n, ...)

        Returns
        -------
        tensor, shape (n, ...)
        """
        ...


class Identity:
    """See the field itself."""

    gram: float | None = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the field.

        Parameters
        ----------
        x : tensor, shape (n, ...)

        Returns
        -------
        tensor, shape (n, ...)
        """
        return as_tensor(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the data.

        Parameters
        ----------
        y : tensor, shape (n, ...)

        Returns
        -------
        tensor, shape (n, ...)
        """
        return as_tensor(y, "y")


class MaskedFourier:
    """See some of the Fourier modes of a field, as an interferometer or an MRI scanner does.

    Data are real and imaginary parts of the measured modes, each mode once and scaled so that the
    operator's rows are orthonormal: white noise on the field's pixels is white noise of the same
    level on the data. The field repeats at its edges: what does not, such as a square cut out of a
    larger map, has modes of its edges, which a prior knows nothing of.

    Parameters
    ----------
    mask : array_like of bool, shape (y, x // 2 + 1)
        Which modes of ``numpy.fft.rfft2`` are measured. Where the transform has both a mode and its
        mirror image, in the first and last column, either counts.

    Raises
    ------
    ObservationError
        If no mode is measured, or the shape cannot be that of a mask.
    """

    gram: float | None = 1.0

    def __init__(self, mask: ArrayLike, nx: int) -> None:
        wanted = np.asarray(mask, dtype=bool)
        if wanted.ndim != 2 or wanted.shape[1] != nx // 2 + 1:
            raise ObservationError(
                f"The mask of fields {nx} pixels wide has shape (y, {nx // 2 + 1}), got "
                f"{wanted.shape}.",
                "mask",
                wanted.shape,
            )
        if not wanted.any():
            raise ObservationError("No mode is measured: the mask is empty.", "mask", 0)
        self.field_shape = (wanted.shape[0], nx)
        weights = self._weights(wanted)
        self._kept = np.flatnonzero(weights)
        self._scale = tf.constant(
            weights.ravel()[self._kept] / math.sqrt(math.prod(self.field_shape)), tf.float32
        )
        inverse = np.full(weights.size, len(self._kept))  # the last entry of padded data is zero
        inverse[self._kept] = np.arange(len(self._kept))
        self._inverse = inverse

    @property
    def n_data(self) -> int:
        """How many real numbers are measured."""
        return len(self._kept)

    def forward(self, x: Tensor) -> Tensor:
        """Return the measured parts of modes.

        Parameters
        ----------
        x : tensor, shape (n, y, x)

        Returns
        -------
        tensor of float32, shape (n, n_data)
        """
        x = as_tensor(x)
        check_shape(tuple(x.shape), self.field_shape)
        modes = tf.signal.rfft2d(x)
        parts = tf.stack([tf.math.real(modes), tf.math.imag(modes)], axis=1)
        flat = tf.reshape(parts, [-1, self._inverse.size])
        return tf.gather(flat, self._kept, axis=1) * self._scale

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the field whose measured modes these are, and whose others are zero.

        Parameters
        ----------
        y : tensor, shape (n, n_data)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        ny, nx = self.field_shape
        data = tf.pad(as_tensor(y, "y") * self._scale, [[0, 0], [0, 1]])
        parts = tf.reshape(tf.gather(data, self._inverse, axis=1), [-1, 2, ny, nx // 2 + 1])
        half = tf.pad(tf.complex(parts[:, 0], parts[:, 1]), [[0, 0], [0, 0], [0, nx - nx // 2 - 1]])
        return tf.math.real(tf.signal.ifft2d(half)) * float(ny * nx)

    def _weights(self, wanted: np.ndarray) -> np.ndarray:
        """Return the factor of every real and imaginary part, 0 where it is not kept."""
        ny, nx = self.field_shape
        rows, is_edge = np.arange(ny), multiplicity(nx) == 1.0
        mirror = (-rows) % ny
        wanted = np.where(is_edge, wanted | wanted[mirror], wanted)
        is_own = rows == mirror  # real modes: their own mirror images, in the edge columns
        first = (rows <= mirror)[:, None] | ~is_edge  # of two mirror images, the first is kept
        is_real = is_own[:, None] & is_edge
        real = np.where(is_real, 1.0, math.sqrt(2.0)) * (wanted & first)
        imaginary = math.sqrt(2.0) * (wanted & first & ~is_real)
        return np.stack([real, imaginary])


class Blur:
    """See a field behind a PSF, on larger pixels; outside of the field there is nothing.

    Parameters
    ----------
    psf : array_like, shape (y, x)
        On the field's pixels, both sides odd, centred on the middle pixel.
    factor : int
        Pixels of the field along the side of one of the data; they are summed.

    Raises
    ------
    ObservationError
        If the PSF has an even side or is not finite, or the factor is no positive integer.
    """

    def __init__(self, psf: ArrayLike, factor: int = 1) -> None:
        kernel = as_numbers("psf", psf).astype(np.float32)
        if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape):
            raise ObservationError(
                f"A PSF has two odd sides, so that it has a middle pixel, got {kernel.shape}.",
                "psf",
                kernel.shape,
            )
        if not np.isfinite(kernel).all():
            raise ObservationError("The PSF is not finite everywhere.", "psf", kernel.shape)
        if not isinstance(factor, int | np.integer) or factor < 1:
            raise ObservationError(f"factor must be 1, 2, ..., got {factor!r}.", "factor", factor)
        self.gram: float | None = None
        self._kernel, self._factor = kernel, int(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and sum.

        Parameters
        ----------
        x : tensor, shape (n, y, x)
            Sides are multiples of the factor.

        Returns
        -------
        tensor of float32, shape (n, y / factor, x / factor)
        """
        x = as_tensor(x)
        check_shape(tuple(x.shape), (None, None))
        ny, nx = x.shape[1:]
        size, response, (top, left) = self._response(ny, nx)
        whole = tf.signal.irfft2d(tf.signal.rfft2d(x, size) * response, size)
        seen = whole[:, top : top + ny, left : left + nx]
        step = self._factor
        if ny % step or nx % step:
            raise ObservationError(
                f"Fields of {ny}x{nx} pixels do not divide into pixels of {step}.", "x", (ny, nx)
            )
        return tf.reduce_sum(tf.reshape(seen, [-1, ny // step, step, nx // step, step]), [2, 4])

    def adjoint(self, y: Tensor) -> Tensor:
        """Spread and correlate.

        Parameters
        ----------
        y : tensor, shape (n, y / factor, x / factor)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        spread = as_tensor(y, "y")
        check_shape(tuple(spread.shape), (None, None))
        for axis in (1, 2):
            spread = tf.repeat(spread, self._factor, axis=axis)
        ny, nx = spread.shape[1:]
        size, response, (top, left) = self._response(ny, nx)
        padding = [[0, 0], [top, size[0] - ny - top], [left, size[1] - nx - left]]
        modes = tf.signal.rfft2d(tf.pad(spread, padding)) * tf.math.conj(response)
        return tf.signal.irfft2d(modes, size)[:, :ny, :nx]

    def _response(self, ny: int, nx: int) -> tuple[list[int], Tensor, tuple[int, int]]:
        """Return the size without wrapping, the PSF's modes on it, and where its middle is."""
        (height, width) = self._kernel.shape
        size = [ny + height - 1, nx + width - 1]
        return size, tf.signal.rfft2d(self._kernel, size), (height // 2, width // 2)

"""Weak lensing on a flat sky: from convergence to shear.

Maps have axes (y, x), x towards the west and y towards the north, as `galsim_hub.mass_mapping`
makes them. The shear g1 is positive where images are stretched along x, g2 where they are stretched
along the diagonal x = y. The field repeats beyond its edges; where there are no galaxies, mask the
likelihood.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..errors import ObservationError
from ..flat_sky import shear_response
from .fields import as_sides, as_tensor, check_shape

__all__ = ["KaiserSquires"]

Tensor = Any


class KaiserSquires:
    """See the shear that convergence causes; its adjoint is the inversion of Kaiser and Squires.

    Parameters
    ----------
    shape : tuple of 2 int
        Pixels along y and x.

    Raises
    ------
    ObservationError
        If the shape is no pair of whole numbers, or a side has fewer than two pixels.

    Source: Kaiser and Squires 1993, ApJ 404, 441.
    """

    # A A^T keeps what convergence can cause of a shear, and drops the other half of white noise. To
    # take it for one widens the noise of annealed levels a little, and their end not at all.
    gram: float | None = 1.0

    def __init__(self, shape: tuple[int, int]) -> None:
        sides = as_sides(shape)
        if sides is None or len(sides) != 2 or min(sides) < 2:
            raise ObservationError(
                f"A map of shear has two or more pixels along each side, got {shape}. Give the "
                "pixels along y and x, such as (64, 64).",
                "shape",
                shape,
            )
        self.field_shape = (sides[0], sides[1])
        self._response = tf.constant(shear_response(self.field_shape), tf.complex64)

    def forward(self, x: Tensor) -> Tensor:
        """Return the shear of convergence.

        Parameters
        ----------
        x : tensor, shape (n, y, x)

        Returns
        -------
        tensor of float32, shape (n, 2, y, x)
        """
        x = as_tensor(x)
        check_shape(tuple(x.shape), self.field_shape)
        modes = tf.signal.rfft2d(x)
        return tf.signal.irfft2d(modes[:, None] * self._response, self.field_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the convergence that a shear would be due to; its mean is zero.

        Parameters
        ----------
        y : tensor, shape (n, 2, y, x)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        y = as_tensor(y, "y")
        check_shape(tuple(y.shape), (2, *self.field_shape))
        modes = tf.signal.rfft2d(y)
        return tf.signal.irfft2d(tf.reduce_sum(modes * self._response, 1), self.field_shape)

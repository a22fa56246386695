"""Biased tracers: galaxies or haloes as weights of the particles that they formed from.

Every particle carries the weight 1 + b1 d + b2 (d^2 - <d^2>) + bs (s^2 - <s^2>) of the linear
density d and the tidal field s at its beginning (Schmittfull et al. 2019, arXiv:1811.10640;
Modi et al. 2019, arXiv:1907.02330), and takes it to where it moves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from ..errors import BoxError
from .box import Box
from .fields import as_field
from .fourier import to_field, to_modes
from .gravity import grid_points, mesh_positions
from .kernels import gradient_kernels, inverse_laplacian
from .paint import paint

__all__ = ["Bias", "biased_density", "tidal_square"]

Tensor = Any


class Bias(NamedTuple):
    """Parameters of a Lagrangian bias of second order; zeros are matter itself.

    Attributes
    ----------
    b1, b2, bs : float or tensor
        Of the linear density, its square and the square of the tidal field.
    """

    b1: Tensor = 0.0
    b2: Tensor = 0.0
    bs: Tensor = 0.0


def biased_density(linear: Tensor, displacement: Tensor, box: Box, bias: Bias) -> Tensor:
    """Paint the density of a tracer.

    Parameters
    ----------
    linear : tensor
        Linear density contrast at the time of the tracer, shape (..., nx, ny, nz).
    displacement : tensor
        Of the particles [Mpc/h], shape (..., 3, nx, ny, nz).
    box : Box
        Their box.
    bias : Bias
        Gradients flow to its parameters.

    Returns
    -------
    tensor
        1 on average, shape (..., nx, ny, nz). Differentiable.

    Raises
    ------
    BoxError
        If the fields are not those of the box, or differ in number or precision.

    Examples
    --------
    >>> zeros = tf.zeros([8, 8, 8])
    >>> density = biased_density(zeros, tf.zeros([3, 8, 8, 8]), Box(8, 100.0), Bias(b1=1.0))
    >>> float(density[0, 0, 0])
    1.0
    """
    linear, displacement = as_field(linear, box), as_field(displacement, box, components=3)
    _check_pair(linear, displacement)
    terms = [linear, linear**2, tidal_square(linear, box)]
    weights = 1.0 + sum(
        tf.cast(b, linear.dtype) * (term - tf.reduce_mean(term, axis=[-3, -2, -1], keepdims=True))
        for b, term in zip(bias, terms, strict=True)
    )
    positions = mesh_positions(tf.reshape(displacement, [-1, 3, *box.shape]), box)
    origins = grid_points(box, box, linear.dtype)
    weights = tf.reshape(weights, [-1, box.n_cells])
    painted = paint(positions, weights, box.shape, origins=origins)
    return tf.reshape(painted, linear.shape)


def _check_pair(linear: Tensor, displacement: Tensor) -> None:
    counts = linear.shape.num_elements(), displacement.shape.num_elements()
    is_known = None not in counts
    if linear.dtype != displacement.dtype or (is_known and 3 * counts[0] != counts[1]):
        raise BoxError(
            f"Linear densities are {linear.dtype.name} of shape {tuple(linear.shape)}, and "
            f"displacements {displacement.dtype.name} of shape {tuple(displacement.shape)}. Give "
            "as many of both, in one precision.",
            (tuple(linear.shape), tuple(displacement.shape)),
        )


def tidal_square(linear: Tensor, box: Box) -> Tensor:
    """Return the square of the tidal field of a density, summed over its components.

    Parameters
    ----------
    linear : tensor
        Density contrast, shape (..., nx, ny, nz).
    box : Box
        Its grid.

    Returns
    -------
    tensor
        s_ij s_ij with s_ij = (k_i k_j / k^2 - delta_ij / 3) delta, same shape.
    """
    modes = to_modes(linear)
    potential = modes * tf.cast(inverse_laplacian(box), modes.dtype)
    kernels = gradient_kernels(box)
    total = -(linear**2) / 3.0
    for i in range(3):
        for j in range(i, 3):
            kernel = tf.cast(-kernels[i] * kernels[j], modes.dtype)
            component = to_field(potential * kernel, box.shape)
            total += (1.0 if i == j else 2.0) * component**2
    return total

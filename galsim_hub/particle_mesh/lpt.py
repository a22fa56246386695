"""Lagrangian perturbation theory: where particles start, to first or second order.

A particle that began at q is at x = q + D1 psi1 + D2 psi2, with psi1 = -grad phi1 and psi2 = grad
phi2 (Bouchet et al. 1995, A&A 296, 575). Its momentum is p = a^2 E dx / d ln a.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from ..errors import BoxError, StepsError
from .box import Box
from .fields import FLOATS, as_field, leading
from .fourier import Transform
from .growth import Growth, check_growth
from .kernels import gradient_kernels, inverse_laplacian

__all__ = ["Particles", "check_particles", "displacements", "move", "start"]

Tensor = Any


class Particles(NamedTuple):
    """Particles, each known by the cell that it began in.

    Attributes
    ----------
    displacement : tensor
        From the particle's own corner of the grid [Mpc/h], shape (..., 3, nx, ny, nz).
    momentum : tensor
        a^2 E dx / d ln a [Mpc/h], same shape.
    """

    displacement: Tensor
    momentum: Tensor

    def positions(self, box: Box) -> Tensor:
        """Return where the particles are, inside the box.

        Parameters
        ----------
        box : Box
            The box that they live in.

        Returns
        -------
        tensor
            Positions [Mpc/h], from 0 to below the side, shape (..., nx * ny * nz, 3).
        """
        x = as_field(self.displacement, box, components=3)
        corners = [
            tf.cast(tf.range(n), x.dtype) * h for n, h in zip(box.shape, box.cell, strict=True)
        ]
        x += tf.stack(tf.meshgrid(*corners, indexing="ij"))
        side = tf.reshape(tf.constant(box.size, x.dtype), [3, 1, 1, 1])
        x = tf.math.floormod(x, side)
        # Of a place just below 0 the remainder is rounded to the side itself, which is place 0.
        x = tf.where(x < side, x, x - side)
        flat = tf.reshape(x, [*leading(x, 4), 3, box.n_cells])
        return tf.linalg.matrix_transpose(flat)


def check_particles(particles: Particles, box: Box) -> tuple[Tensor, Tensor]:
    """Return displacements and momenta as tensors, or raise.

    Parameters
    ----------
    particles : Particles
        Of `box`.
    box : Box
        The box that they live in, or a rank's share of it.

    Returns
    -------
    displacement, momentum : tensor
        Of one shape and precision.

    Raises
    ------
    BoxError
        If they are not particles of this box.
    """
    x, p = (tf.convert_to_tensor(field) for field in particles)
    box.check_field(x.shape, components=3)
    if x.shape != p.shape or x.dtype != p.dtype or x.dtype not in FLOATS:
        raise BoxError(
            f"Displacements are {x.dtype.name} of shape {tuple(x.shape)}, and momenta "
            f"{p.dtype.name} of shape {tuple(p.shape)}. Give both as float32 or both as float64, "
            "of one shape, as `start` does.",
            (tuple(x.shape), tuple(p.shape)),
        )
    return x, p


def start(
    linear: Tensor,
    box: Box,
    growth: Growth,
    a: float | Tensor,
    *,
    order: int = 2,
    gradient: str = "spectral",
) -> Particles:
    """Move particles from the grid to where perturbation theory puts them.

    Parameters
    ----------
    linear : tensor
        Linear density contrast today, shape (..., nx, ny, nz).
    box : Box
        Its grid.
    growth : Growth
        Of the cosmology; gradients flow to its parameters.
    a : float or tensor
        Scale factor to start at.
    order : int
        1 (Zel'dovich) or 2.
    gradient : str
        ``"spectral"`` or ``"four_point"``.

    Returns
    -------
    Particles
        In the precision of `linear`.

    Raises
    ------
    StepsError
        If the order is neither 1 nor 2.
    BoxError
        If `linear` is not a field of the box.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import Box, Growth, Planck15
    >>> particles = start(tf.zeros([8, 8, 8]), Box(8, 100.0), Growth(Planck15()), 0.1)
    >>> particles.momentum.shape
    TensorShape([3, 8, 8, 8])
    """
    linear = as_field(linear, box)
    fields = displacements(linear, box, order=order, gradient=gradient)
    return move(fields, growth, a)


def move(fields: list[Tensor], growth: Growth, a: float | Tensor) -> Particles:
    """Give particles the displacements and momenta of growing modes.

    Parameters
    ----------
    fields : list of tensor
        psi1, and psi2 if it is wanted [Mpc/h], as `displacements` gives them.
    growth : Growth
        Of the cosmology; gradients flow to its parameters.
    a : float or tensor
        Scale factor.

    Returns
    -------
    Particles
    """
    check_growth(growth)
    size = [growth.first(a), growth.second(a)]
    momentum = [growth.momentum(a), growth.speed(a) * growth.second_rate(a) * size[1]]
    x, p = (
        sum(tf.cast(factor, f.dtype) * f for factor, f in zip(factors, fields, strict=False))
        for factors in (size, momentum)
    )
    return Particles(x, p)


def displacements(
    linear: Tensor,
    box: Box,
    *,
    order: int = 2,
    gradient: str = "spectral",
    transform: Transform | None = None,
) -> list[Tensor]:
    """Return psi1, and psi2 if it is asked for [Mpc/h].

    Parameters
    ----------
    linear : tensor
        Linear density contrast today, shape (..., nx, ny, nz).
    box : Box
        Gives the wavenumbers of the modes.
    order : int
        1 or 2.
    gradient : str
        ``"spectral"`` or ``"four_point"``.
    transform : Transform, optional
        Between field and modes; that of the whole box by default.

    Returns
    -------
    list of tensor
        Shape (..., 3, nx, ny, nz) each.

    Raises
    ------
    StepsError
        If the order is neither 1 nor 2.
    """
    if order not in (1, 2):
        raise StepsError(
            f"Perturbation theory of order {order!r} is not known. Give 1 or 2.", order
        )
    transform = transform or Transform(box.shape)
    modes = transform.to_modes(linear)
    fields = [_first_order(modes, box, gradient, transform)]
    if order == 2:
        fields.append(_second_order(modes, box, gradient, transform))
    return fields


def _first_order(modes: Tensor, box: Box, gradient: str, transform: Transform) -> Tensor:
    """Return psi1 = -grad of the inverse Laplacian of a density [Mpc/h]."""
    potential = _times(modes, inverse_laplacian(box))
    fields = [
        transform.to_field(_times(potential, -1j * kernel))
        for kernel in gradient_kernels(box, gradient)
    ]
    return tf.stack(fields, axis=-4)


def _second_order(modes: Tensor, box: Box, gradient: str, transform: Transform) -> Tensor:
    """Return psi2 = grad phi2 [Mpc/h], of the transform of the linear density contrast."""
    kernels = gradient_kernels(box, gradient)
    potential = _times(modes, inverse_laplacian(box))

    def curvature(i: int, j: int) -> Tensor:
        return transform.to_field(_times(potential, -kernels[i] * kernels[j]))

    xx, yy, zz = (curvature(i, i) for i in range(3))
    source = xx * yy + yy * zz + zz * xx
    for i, j in ((0, 1), (1, 2), (2, 0)):
        source -= curvature(i, j) ** 2
    return -_first_order(transform.to_modes(source), box, gradient, transform)


def _times(modes: Tensor, kernel: Any) -> Tensor:
    return modes * tf.cast(kernel, modes.dtype)

"""The long-range force: from particles to the acceleration of each.

Poisson's equation is solved in units without cosmology: `g = -grad phi` with `lap phi = delta`, in
Mpc/h, which is the displacement that would have made the density. Time stepping supplies the rest.

The potential comes from one pair of real transforms. Its gradient is taken in real space by the
four-point difference, which is that of FastPM (arXiv:1603.00476) without its three inverse
transforms. Momentum is conserved: force and density use the same weights and an odd stencil.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from .box import Box
from .fields import as_field, leading
from .kernels import inverse_laplacian
from .paint import gather, gather_with_slope, paint, scatter

__all__ = [
    "Solver",
    "acceleration",
    "density",
    "grid_points",
    "mesh_positions",
    "solver_of",
]

Tensor = Any


def density(displacement: Tensor, box: Box, *, resolution: int = 1) -> Tensor:
    """Paint the density of particles.

    Parameters
    ----------
    displacement : tensor
        From the grid [Mpc/h], shape (..., 3, nx, ny, nz).
    box : Box
        The box of the particles.
    resolution : int
        Mesh cells along a particle cell.

    Returns
    -------
    tensor
        1 + delta, shape (..., resolution * nx, ...), whose mean is 1. Differentiable.

    Raises
    ------
    BoxError
        If the displacements are not those of the box, or the resolution is no whole number.

    Examples
    --------
    >>> float(density(tf.zeros([3, 8, 8, 8]), Box(8, 100.0))[0, 0, 0])
    1.0
    """
    displacement = as_field(displacement, box, components=3)
    mesh = box.refined(resolution)
    x = tf.reshape(displacement, [-1, 3, *box.shape])
    positions = mesh_positions(x, mesh)
    weights = tf.ones_like(positions[:, 0]) * (mesh.n_cells / box.n_cells)
    painted = paint(positions, weights, mesh.shape, origins=grid_points(box, mesh, x.dtype))
    return tf.reshape(painted, [*leading(displacement, 4), *mesh.shape])


def acceleration(
    displacement: Tensor, box: Box, *, resolution: int = 1, kernel: Tensor | None = None
) -> Tensor:
    """Return the acceleration of every particle by all others.

    Parameters
    ----------
    displacement : tensor
        From the grid [Mpc/h], shape (..., 3, nx, ny, nz).
    box : Box
        The box of the particles.
    resolution : int
        Mesh cells along a particle cell; 2 resolves forces on the scale of a cell.
    kernel : tensor, optional
        Turns density into potential, shape (nx, ny, nz / 2 + 1) of the mesh [(Mpc/h)^2]; the
        inverse Laplacian by default.

    Returns
    -------
    tensor
        -grad of the potential [Mpc/h], same shape as `displacement`. Differentiable.

    Raises
    ------
    BoxError
        If the displacements are not those of the box, or the resolution is no whole number.
    """
    displacement = as_field(displacement, box, components=3)
    mesh = box.refined(resolution)
    kernel = inverse_laplacian(mesh) if kernel is None else kernel
    kernel = tf.cast(kernel, displacement.dtype)
    geometry = box.shape, box.size, mesh.shape

    @tf.custom_gradient
    def accelerated(x: Tensor) -> tuple[Tensor, Any]:
        x = tf.stop_gradient(x)  # or TensorFlow would look for the gradient of what is inside
        return _accelerate(x, kernel, geometry), lambda g: _pull_back(x, g, kernel, geometry)

    g = accelerated(tf.reshape(displacement, [-1, 3, *box.shape]))
    return tf.reshape(g, [*leading(displacement, 4), 3, *box.shape])


@tf.function(jit_compile=True, autograph=False)
def _accelerate(x: Tensor, kernel: Tensor, geometry: Any) -> Tensor:
    return solver_of(geometry, kernel).accelerate(x)


@tf.function(jit_compile=True, autograph=False)
def _pull_back(x: Tensor, upstream: Tensor, kernel: Tensor, geometry: Any) -> Tensor:
    return solver_of(geometry, kernel).pull_back(x, upstream)[1]


class Solver:
    """Compute accelerations and their gradient.

    Every operation on particles is a method that knows nothing of other machines, and `solve` is
    the only one that looks past the mesh it is given. So a rank of a distributed run is a solver
    with a mesh that is wider than its own cells by a margin, and with another `solve`.

    Parameters
    ----------
    box, mesh : Box
        The grid of the particles and that of the force, of the same size.
    kernel : tensor
        Turns density into potential, shape (nx, ny, nz / 2 + 1) of the mesh [(Mpc/h)^2].
    margin : tuple of 3 int
        Cells that painted and read meshes have beyond `mesh` on both ends of each side. Where it is
        0 positions wrap around.
    sum_dtype : dtype, optional
        Precision of what is painted, until `solve` has it; by default that of the particles.
    """

    def __init__(
        self,
        box: Box,
        mesh: Box,
        kernel: Tensor,
        margin: tuple[int, int, int] = (0, 0, 0),
        sum_dtype: Any = None,
    ) -> None:
        self._box = box
        self._sum_dtype = sum_dtype
        self._mesh = mesh
        self._kernel = kernel
        self._margin = margin
        self._shape = tuple(n + 2 * m for n, m in zip(mesh.shape, margin, strict=True))

    def accelerate(self, x: Tensor) -> Tensor:
        """Return the acceleration.

        Parameters
        ----------
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Same shape [Mpc/h].
        """
        return self.read(self.solve(self.paint(x)), x)

    def pull_back(self, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the acceleration, and the gradient of its product with `upstream`.

        Every step of the force is undone in reverse: reading becomes painting, the difference
        changes sign, the inverse Laplacian is its own adjoint, painting becomes reading.

        Parameters
        ----------
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).
        upstream : tensor
            Gradient of a scalar by the acceleration, same shape.

        Returns
        -------
        acceleration, gradient : tensor
            Same shape.
        """
        potential = self.solve(self.paint(x))
        values, slope, divergence = self.read_back(potential, x, upstream)
        return values, slope + self.slope(self.solve(divergence), x)

    def solve(self, source: Tensor) -> Tensor:
        """Return the potential of a source.

        Parameters
        ----------
        source : tensor
            Shape (batch, *mesh).

        Returns
        -------
        tensor
            Same shape.
        """
        modes = tf.signal.rfft3d(source)
        return tf.signal.irfft3d(
            modes * tf.cast(self._kernel, modes.dtype), fft_length=self._mesh.shape
        )

    def paint(self, x: Tensor) -> Tensor:
        """Return the density of the particles, 1 on average.

        Parameters
        ----------
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Shape (batch, *mesh).
        """
        positions = mesh_positions(x, self._mesh)
        weights = self._summed(self._weights(positions))
        return scatter(positions, weights, self._shape, self._origins(x))[..., 0]

    def read(self, potential: Tensor, x: Tensor) -> Tensor:
        """Return the acceleration of the particles in a potential.

        Parameters
        ----------
        potential : tensor
            Shape (batch, *mesh) [(Mpc/h)^2].
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Shape of `x` [Mpc/h].
        """
        positions = mesh_positions(x, self._mesh)
        return tf.reshape(
            gather(self._forces(potential), positions, self._origins(x)), [-1, *x.shape[1:]]
        )

    def read_back(
        self, potential: Tensor, x: Tensor, upstream: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the acceleration, and the gradients of its product with `upstream`.

        Parameters
        ----------
        potential : tensor
            Shape (batch, *mesh) [(Mpc/h)^2].
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).
        upstream : tensor
            Gradient of a scalar by the acceleration, same shape.

        Returns
        -------
        acceleration : tensor
            Shape of `x` [Mpc/h].
        slope : tensor
            Gradient by `x` while the potential stays as it is.
        divergence : tensor
            Gradient by the potential.
        """
        positions, origins = mesh_positions(x, self._mesh), self._origins(x)
        upstream = tf.reshape(upstream, [-1, *positions.shape[1:]])
        values, slope = gather_with_slope(self._forces(potential), positions, upstream, origins)
        painted = scatter(positions, self._summed(upstream), self._shape, origins)
        divergence = sum(
            _difference(painted[..., i], i + 1, h) for i, h in enumerate(self._mesh.cell)
        )
        return tf.reshape(values, [-1, *x.shape[1:]]), self._per_length(slope, x), divergence

    def slope(self, source: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the product of the painted density with `source`.

        Parameters
        ----------
        source : tensor
            Shape (batch, *mesh).
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Shape of `x`.
        """
        positions = mesh_positions(x, self._mesh)
        weights = self._weights(positions)
        slope = gather_with_slope(source[..., None], positions, weights, self._origins(x))[1]
        return self._per_length(slope, x)

    def _forces(self, potential: Tensor) -> Tensor:
        gradient = [_difference(potential, i + 1, h) for i, h in enumerate(self._mesh.cell)]
        return -tf.stack(gradient, axis=-1)

    def _origins(self, x: Tensor) -> tuple[Tensor, ...]:
        return grid_points(self._box, self._mesh, x.dtype, self._margin)

    def _weights(self, positions: Tensor) -> Tensor:
        """Return the weight of each particle, for a mean density of 1."""
        return tf.ones_like(positions[:, :1]) * (self._mesh.n_cells / self._box.n_cells)

    def _summed(self, weights: Tensor) -> Tensor:
        return tf.cast(weights, self._sum_dtype or weights.dtype)

    def _per_length(self, slope: Tensor, x: Tensor) -> Tensor:
        """Turn a change a cell into a change a length."""
        return tf.reshape(
            slope / tf.constant(self._mesh.cell, x.dtype)[:, None], [-1, *x.shape[1:]]
        )


def solver_of(geometry: Any, kernel: Tensor) -> Solver:
    """Return the solver of a geometry that can be an argument of a compiled function.

    Parameters
    ----------
    geometry : tuple
        Shape of the box, its size and the shape of the mesh.
    kernel : tensor
        Turns density into potential.

    Returns
    -------
    Solver
    """
    shape, size, mesh = geometry
    return Solver(Box(shape, size), Box(mesh, size), kernel)


def mesh_positions(x: Tensor, mesh: Box) -> Tensor:
    """Turn displacements into cells of a mesh.

    Parameters
    ----------
    x : tensor
        Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).
    mesh : Box
        The mesh.

    Returns
    -------
    tensor
        From where particles began, `grid_points`; shape (batch, 3, nx * ny * nz).
    """
    cells = tf.constant(mesh.cell, x.dtype)[:, None]
    return tf.reshape(x, [-1, 3, math.prod(x.shape[2:])]) / cells


def grid_points(
    box: Box, mesh: Box, dtype: Any, margin: tuple[int, int, int] = (0, 0, 0)
) -> tuple[Tensor, ...]:
    """Return the mesh points that particles began at.

    Parameters
    ----------
    box, mesh : Box
        The grid of the particles and the mesh, whose cells divide the grid's.
    dtype : dtype
        float32 or float64.
    margin : tuple of 3 int
        Points of the mesh before the box's first, along each side.

    Returns
    -------
    tuple of 3 tensors
        Whole numbers, an open grid.
    """
    sides = zip(box.shape, mesh.shape, margin, strict=True)
    points = (np.arange(n) * (finer // n) + before for n, finer, before in sides)
    return tuple(tf.constant(axis, dtype) for axis in np.ix_(*points))


def _difference(field: Tensor, axis: int, cell: float) -> Tensor:
    """Return the derivative along an axis by four-point central differences."""
    near = tf.roll(field, -1, axis) - tf.roll(field, 1, axis)
    far = tf.roll(field, -2, axis) - tf.roll(field, 2, axis)
    return (8.0 * near - far) / (12.0 * cell)

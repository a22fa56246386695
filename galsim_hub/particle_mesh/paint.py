"""Cloud in cell: particles onto a mesh, and a mesh read at particles.

A particle shares its weight among the 2^d mesh points around it, linearly in each direction
(Hockney and Eastwood 1988, section 5-2-3). Reading with the same weights is the adjoint of
painting, so each is the other's gradient; both gradients are written by hand and nothing is
kept for them but the positions.

Positions are counted in mesh cells and wrap around. They are kept by component, (batch, d,
particle), so that each component is contiguous. Where particles came from a grid, positions may be
counted from its points, the `origins`: a small number loses less to rounding, and loses the same in
a mesh that is cut. Everything is compiled by XLA, whose scatter is
many times faster on a CPU than TensorFlow's own and adds in a fixed order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..errors import BoxError

__all__ = ["from_origin", "gather", "gather_with_slope", "paint", "read", "scatter"]

Tensor = Any
Shape = tuple[int, ...]
Origins = Sequence[Tensor]


def paint(positions: Tensor, weights: Tensor, shape: Shape, *, origins: Origins = ()) -> Tensor:
    """Add the weights of particles to an empty mesh.

    Parameters
    ----------
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    weights : tensor
        Shape (batch, particle).
    shape : tuple of int
        Points of the mesh along each of its d sides.
    origins : sequence of d tensors, optional
        Mesh points that positions are counted from, whole numbers: an open grid of as many points
        as there are particles, as `numpy.ix_` gives it.

    Returns
    -------
    tensor
        Shape (batch, ...), as `shape`. Its sum is that of the weights.

    Raises
    ------
    BoxError
        If the meshes of the batch have more than 2**31 points, shapes do not fit each other, or
        origins are not as many as particles.
    """
    positions, weights = tf.convert_to_tensor(positions), tf.convert_to_tensor(weights)
    _check_particles(positions, len(shape), weights.shape)
    n_origins = math.prod(math.prod(axis.shape) for axis in origins)
    if origins and n_origins != positions.shape[-1]:
        raise BoxError(
            f"The origins make a grid of {n_origins} points, and there are {positions.shape[-1]} "
            "particles. Give one axis a side, as numpy.ix_ does.",
            n_origins,
        )

    @tf.custom_gradient
    def painted(positions: Tensor, weights: Tensor) -> tuple[Tensor, Any]:
        # Stopped, or TensorFlow would look for the gradient of what is inside.
        positions, weights = tf.stop_gradient(positions), tf.stop_gradient(weights)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            values, slopes = _read_backwards(upstream, positions, tf.ones_like(weights), origins)
            return slopes * weights[:, None], values

        return _paint(positions, weights, shape, origins), gradient

    return painted(positions, weights)


def read(mesh: Tensor, positions: Tensor) -> Tensor:
    """Interpolate a mesh at particles.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, ...) with d sides.
    positions : tensor
        In mesh cells, shape (batch, d, particle).

    Returns
    -------
    tensor
        Shape (batch, particle).

    Raises
    ------
    BoxError
        If the meshes of the batch have more than 2**31 points, or shapes do not fit each other.
    """
    mesh, positions = tf.convert_to_tensor(mesh), tf.convert_to_tensor(positions)
    _check_particles(positions, mesh.shape.rank - 1, positions.shape[:1] + positions.shape[2:])
    if not mesh.shape[:1].is_compatible_with(positions.shape[:1]):
        raise BoxError(
            f"{mesh.shape[0]} meshes are to be read at {positions.shape[0]} sets of positions. "
            "Give one set a mesh.",
            (tuple(mesh.shape), tuple(positions.shape)),
        )

    @tf.custom_gradient
    def values(mesh: Tensor, positions: Tensor) -> tuple[Tensor, Any]:
        mesh, positions = tf.stop_gradient(mesh), tf.stop_gradient(positions)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            slopes = _read_backwards(mesh, positions, upstream)[1]
            return _paint(positions, upstream, tuple(mesh.shape[1:])), slopes

        return _read(mesh, positions), gradient

    return values(mesh, positions)


def _check_particles(positions: Tensor, n_sides: int, weights: tf.TensorShape) -> None:
    x = positions.shape
    fits = x.rank == 3 and tf.TensorShape([n_sides]).is_compatible_with(x[1:2])
    if not fits or not (x[:1] + x[2:]).is_compatible_with(weights):
        raise BoxError(
            f"Positions have the shape {tuple(x)}, their weights {tuple(weights)}, and the mesh "
            f"{n_sides} sides. Give positions of shape (batch, {n_sides}, particle), weights of "
            "shape (batch, particle) and meshes with the axis of the batch first.",
            (tuple(x), tuple(weights)),
        )


@tf.function(jit_compile=True, autograph=False)
def _paint(positions: Tensor, weights: Tensor, shape: Shape, origins: Origins = ()) -> Tensor:
    return scatter(positions, weights[:, None], shape, origins)[..., 0]


@tf.function(jit_compile=True, autograph=False)
def _read(mesh: Tensor, positions: Tensor) -> Tensor:
    return gather(mesh[..., None], positions)[:, 0]


@tf.function(jit_compile=True, autograph=False)
def _read_backwards(
    mesh: Tensor, positions: Tensor, upstream: Tensor, origins: Origins = ()
) -> tuple[Tensor, Tensor]:
    values, slopes = gather_with_slope(mesh[..., None], positions, upstream[:, None], origins)
    return values[:, 0], slopes


def scatter(positions: Tensor, weights: Tensor, shape: Shape, origins: Origins = ()) -> Tensor:
    """Paint several weights of the same particles; to be called inside a compiled function.

    Parameters
    ----------
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    weights : tensor
        Shape (batch, n, particle). Their precision is that of the sums.
    shape : tuple of int
        Points of the mesh along each side.
    origins : sequence of tensors, optional
        As of `paint`.

    Returns
    -------
    tensor
        Shape (batch, *shape, n).
    """
    batch, n = _batch(weights), weights.shape[1]
    rows = tf.linalg.matrix_transpose(weights)
    corners = [
        (
            tf.reshape(index, [-1, 1]),
            tf.reshape(tf.cast(_product(shares), rows.dtype)[..., None] * rows, [-1, n]),
        )
        for _, index, shares in _corners(positions, shape, origins)
    ]
    # All corners in one scatter: XLA takes as long to compile each of several.
    indices, values = (tf.concat(parts, axis=0) for parts in zip(*corners, strict=True))
    mesh = tf.zeros([batch * math.prod(shape), n], weights.dtype)
    mesh = tf.tensor_scatter_nd_add(mesh, indices, values)
    return tf.reshape(mesh, [batch, *shape, n])


def gather(mesh: Tensor, positions: Tensor, origins: Origins = ()) -> Tensor:
    """Read several meshes at the same particles; to be called inside a compiled function.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, *shape, n): the n values of a point are neighbours in memory.
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    origins : sequence of tensors, optional
        As of `paint`.

    Returns
    -------
    tensor
        Shape (batch, n, particle).
    """
    rows = tf.reshape(mesh, [-1, mesh.shape[-1]])
    values = sum(
        _product(shares)[..., None] * tf.gather(rows, index)
        for _, index, shares in _corners(positions, tuple(mesh.shape[1:-1]), origins)
    )
    return tf.linalg.matrix_transpose(values)


def gather_with_slope(
    mesh: Tensor, positions: Tensor, upstream: Tensor, origins: Origins = ()
) -> tuple[Tensor, Tensor]:
    """Read meshes, and find how the sum of `upstream` times the values changes with position.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, *shape, n).
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    upstream : tensor
        Shape (batch, n, particle).
    origins : sequence of tensors, optional
        As of `paint`.

    Returns
    -------
    values : tensor
        Shape (batch, n, particle).
    slopes : tensor
        Change a cell along each side, shape (batch, d, particle).
    """
    rows = tf.reshape(mesh, [-1, mesh.shape[-1]])
    factors = tf.linalg.matrix_transpose(upstream)
    values, slopes = 0.0, [0.0] * positions.shape[1]
    for corner, index, shares in _corners(positions, tuple(mesh.shape[1:-1]), origins):
        row = tf.gather(rows, index)
        values += _product(shares)[..., None] * row
        product = tf.reduce_sum(row * factors, axis=-1)
        for i, upper in enumerate(corner):
            change = _product(shares[:i] + shares[i + 1 :]) * product
            slopes[i] = slopes[i] + change if upper else slopes[i] - change
    return tf.linalg.matrix_transpose(values), tf.stack(slopes, axis=1)


def from_origin(position: Tensor, side: int, origins: Origins) -> Tensor:
    """Return positions along one side, counted from the mesh's first point.

    Parameters
    ----------
    position : tensor
        Counted from the origins, shape (batch, particle).
    side : int
        Along which.
    origins : sequence of tensors
        As of `paint`.

    Returns
    -------
    tensor
        Same shape.
    """
    if not origins:
        return position
    # Added as an open grid: a compiler would keep a whole one as a constant, at every use.
    grid = functools.reduce(tf.broadcast_static_shape, (axis.shape for axis in origins))
    return tf.reshape(tf.reshape(position, [-1, *grid]) + origins[side], [-1, position.shape[1]])


def _corners(
    positions: Tensor, shape: Shape, origins: Origins
) -> list[tuple[tuple[int, ...], Tensor, list[Tensor]]]:
    """Give each mesh point around: which side's upper, the flat index, the weight's factors."""
    if (positions.shape[0] or 1) * math.prod(shape) >= 2**31:
        raise BoxError(
            f"{positions.shape[0]} meshes of {shape} points are too many to be counted in 32 bits. "
            "Run the fields of the batch one after the other.",
            shape,
        )
    first = tf.range(_batch(positions), dtype=tf.int32)[:, None]
    corners: list[tuple[tuple[int, ...], Tensor, list[Tensor]]] = [((), first, [])]
    for i, n in enumerate(shape):
        indices, weights = _neighbours(positions[:, i], i, origins, n)
        corners = [
            ((*corner, upper), index * n + indices[upper], [*shares, weights[upper]])
            for corner, index, shares in corners
            for upper in (0, 1)
        ]
    return corners


def _neighbours(
    position: Tensor, side: int, origins: Origins, n: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Give the mesh points below and above along one side, and their weights."""
    floor = tf.floor(position)
    above = position - floor
    floor = from_origin(floor, side, origins)
    # In floating point: whole numbers have no fast remainder. A compiler may multiply by 1 / n, and
    # a whole number of turns is then a little less than whole for some n: hence the second look.
    lower = tf.cast(floor - n * tf.floor(floor / n), tf.int32)
    lower = tf.where(lower >= n, lower - n, lower)
    upper = tf.where(tf.equal(lower, n - 1), 0, lower + 1)
    return (lower, upper), (1.0 - above, above)


def _batch(x: Tensor) -> Any:
    """Return the length of the first axis, which a `tf.function` may not know."""
    return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]


def _product(factors: list[Tensor]) -> Tensor:
    return math.prod(factors[1:], start=factors[0])

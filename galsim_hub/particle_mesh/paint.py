"""Cloud in cell: particles onto a mesh, and a mesh read at particles.

A particle shares its weight among the 2^d mesh points around it, linearly in each direction
(Hockney and Eastwood 1988, section 5-2-3). Reading with the same weights is the adjoint of
painting, so each is the other's gradient; both gradients are written by hand and nothing is
kept for them but the positions.

Positions are counted in mesh cells and wrap around. They are kept by component, (batch, d,
particle), so that each component is contiguous. Everything is compiled by XLA, whose scatter is many
times faster on a CPU than TensorFlow's own and adds in a fixed order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ..errors import BoxError

__all__ = ["paint", "read", "read_with_slope"]

Tensor = Any
Shape = tuple[int, ...]


@tf.function(jit_compile=True)
def paint(positions: Tensor, weights: Tensor, shape: Shape) -> Tensor:
    """Add the weights of particles to an empty mesh.

    Parameters
    ----------
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    weights : tensor
        Shape (batch, particle).
    shape : tuple of int
        Points of the mesh along each of its d sides.

    Returns
    -------
    tensor
        Shape (batch, *shape). Its sum is that of the weights.

    Raises
    ------
    BoxError
        If the meshes of the batch have more than 2**31 points.
    """

    @tf.custom_gradient
    def painted(positions: Tensor, weights: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            values, slopes = read_with_slope(upstream, positions)
            return slopes * weights[:, None], values

        return scatter(positions, [weights], shape)[0], gradient

    return painted(positions, weights)


@tf.function(jit_compile=True)
def read(mesh: Tensor, positions: Tensor) -> Tensor:
    """Interpolate a mesh at particles.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, *shape) with d sides.
    positions : tensor
        In mesh cells, shape (batch, d, particle).

    Returns
    -------
    tensor
        Shape (batch, particle).
    """

    @tf.custom_gradient
    def values(mesh: Tensor, positions: Tensor) -> tuple[Tensor, Any]:
        shape = tuple(mesh.shape[1:])

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            _, slopes = read_with_slope(mesh, positions)
            return scatter(positions, [upstream], shape)[0], slopes * upstream[:, None]

        flat = tf.reshape(mesh, [-1])
        return sum(w * tf.gather(flat, i) for i, w, _ in _corners(positions, shape)), gradient

    return values(mesh, positions)


@tf.function(jit_compile=True)
def read_with_slope(mesh: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Interpolate a mesh and its slope at particles.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, *shape) with d sides.
    positions : tensor
        In mesh cells, shape (batch, d, particle).

    Returns
    -------
    values : tensor
        Shape (batch, particle).
    slopes : tensor
        Change of the value a cell along each side, shape (batch, d, particle).
    """
    flat = tf.reshape(mesh, [-1])
    values, slopes = 0.0, [0.0] * positions.shape[1]
    for index, weight, changes in _corners(positions, tuple(mesh.shape[1:])):
        corner = tf.gather(flat, index)
        values += weight * corner
        slopes = [total + change * corner for total, change in zip(slopes, changes, strict=True)]
    return values, tf.stack(slopes, axis=1)


def scatter(positions: Tensor, weights: list[Tensor], shape: Shape) -> list[Tensor]:
    """Paint several weights of the same particles; to be called inside a compiled function.

    Parameters
    ----------
    positions : tensor
        In mesh cells, shape (batch, d, particle).
    weights : list of tensor
        n sets of weights, shape (batch, particle) each.
    shape : tuple of int
        Points of the mesh along each side.

    Returns
    -------
    list of tensor
        n meshes of shape (batch, *shape).
    """
    batch = positions.shape[0]
    meshes = [tf.zeros([batch * math.prod(shape)], positions.dtype) for _ in weights]
    for index, share, _ in _corners(positions, shape):
        rows = tf.reshape(index, [-1, 1])
        meshes = [
            tf.tensor_scatter_nd_add(mesh, rows, tf.reshape(share * weight, [-1]))
            for mesh, weight in zip(meshes, weights, strict=True)
        ]
    return [tf.reshape(mesh, [batch, *shape]) for mesh in meshes]


def _corners(positions: Tensor, shape: Shape) -> Iterator[tuple[Tensor, Tensor, list[Tensor]]]:
    """Give the flat index, the weight and the weight's slopes of each mesh point around."""
    if positions.shape[0] * math.prod(shape) >= 2**31:
        raise BoxError(
            f"{positions.shape[0]} meshes of {shape} points are too many to be counted in 32 bits. "
            "Run the fields of the batch one after the other.",
            shape,
        )
    sides = [_neighbours(positions[:, i], n) for i, n in enumerate(shape)]
    first = tf.range(positions.shape[0], dtype=tf.int32)[:, None]
    for corner in itertools.product((0, 1), repeat=len(shape)):
        index = first
        for (indices, _), upper, n in zip(sides, corner, shape, strict=True):
            index = index * n + indices[upper]
        shares = [weights[upper] for (_, weights), upper in zip(sides, corner, strict=True)]
        slopes = [
            (2.0 * upper - 1.0) * _product(shares[:i] + shares[i + 1 :])
            for i, upper in enumerate(corner)
        ]
        yield index, _product(shares), slopes


def _neighbours(position: Tensor, n: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Give the mesh points below and above along one side, and their weights."""
    floor = tf.floor(position)
    above = position - floor
    # In floating point: whole numbers have no fast remainder.
    lower = tf.cast(floor - n * tf.floor(floor / n), tf.int32)
    upper = tf.where(tf.equal(lower, n - 1), 0, lower + 1)
    return (lower, upper), (1.0 - above, above)


def _product(factors: list[Tensor]) -> Tensor:
    return math.prod(factors[1:], start=factors[0])

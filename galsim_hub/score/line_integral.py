"""Differences of log densities from scores alone, and how far a score is from being a gradient.

Between two fields the log density changes by the integral of the score along the line that joins
them. Only for a true gradient does every other way give the same, and a learned score is not quite
one: `loop_defect` says how far it is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..latents import generator
from .fields import as_tensor

__all__ = ["line_integral", "loop_defect"]

Tensor = Any
Score = Callable[[Tensor, Tensor], Tensor]

# Gauss-Legendre: exact for densities whose logarithm is a polynomial of degree 8 on the line, and
# the same in both directions, as Metropolis needs.
_N_NODES = 4


def line_integral(score: Score, start: Tensor, end: Tensor, sigma: Any) -> Tensor:
    """Integrate a score along straight lines.

    Parameters
    ----------
    score : callable
        From fields and a noise level to their scores.
    start, end : tensor, shape (n, ...)
    sigma : float or tensor
        The noise level.

    Returns
    -------
    tensor of float32, shape (n,)
    """
    nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
    places = tf.constant(0.5 * (nodes + 1.0), tf.float32)
    shares = tf.constant(0.5 * weights, tf.float32)
    way = end - start
    axes = list(range(1, way.shape.rank))

    def add(i: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        slope = tf.reduce_sum(score(start + places[i] * way, sigma) * way, axes)
        return i + 1, total + shares[i] * slope

    zero = tf.zeros([tf.shape(way)[0]], tf.float32)
    return tf.while_loop(lambda i, total: i < _N_NODES, add, (0, zero))[1]


def loop_defect(score: Score, x: Any, sigma: float, seed: int) -> float:
    """Measure how far a score is from a gradient, by its integral around small triangles.

    Parameters
    ----------
    score : callable
        From fields and a noise level to their scores.
    x : array_like, shape (n, ...)
        One corner of each triangle: fields behind noise of that level.
    sigma : float
        The noise level, and the size of the triangles' other two random corners.
    seed : int

    Returns
    -------
    float
        The root mean square of the integral around a triangle, in units of that along its sides;
        0 for a gradient.

    Raises
    ------
    SeedError
        If the seed is no whole number from 0 to 2**64 - 1.
    """
    corner = as_tensor(x)
    steps = generator("triangles", seed).standard_normal((2, *corner.shape)) * sigma
    second, third = (corner + tf.constant(step, tf.float32) for step in steps)
    run = tf.function(lambda start, end: line_integral(score, start, end, sigma), autograph=False)
    sides = [
        run(start, end).numpy()
        for start, end in ((corner, second), (second, third), (third, corner))
    ]
    return float(np.sqrt(np.mean(np.sum(sides, axis=0) ** 2) / np.mean(np.square(sides))))

"""The probability-flow equation dx / d sigma = -sigma score(x, sigma), in few and long steps.

It carries fields through noise levels so that their density at every level is that of the noised
fields, without randomness. With the denoised field D = x + sigma^2 score it is
dx / d log sigma = x - D. Its linear part is integrated exactly and D to second order, so that a
step is exact where noise is all there is, and where there is none.

Source: Karras et al. 2022 (arXiv:2206.00364), equation 1; Cox and Matthews 2002, J. Comput. Phys.
176, 430, equation 22 (ETD2RK).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..latents import generator

__all__ = ["flow", "flow_with_volume", "levels_between", "trace_probes"]

Tensor = Any
Score = Callable[[Tensor, Tensor], Tensor]


def levels_between(first: float, last: float, n_steps: int) -> NDArray[np.float32]:
    """Return noise levels with a constant ratio.

    Parameters
    ----------
    first, last : float
        Above zero.
    n_steps : int

    Returns
    -------
    ndarray of float32, shape (n_steps + 1,)

    Examples
    --------
    >>> levels_between(4.0, 1.0, 2).tolist()
    [4.0, 2.0, 1.0]
    """
    return np.geomspace(first, last, n_steps + 1).astype(np.float32)


def flow(score: Score, x: Tensor, levels: Any) -> Tensor:
    """Carry fields from the first noise level to the last.

    Parameters
    ----------
    score : callable
        From fields and one noise level to their scores.
    x : tensor, shape (n, ...)
    levels : array_like

    Returns
    -------
    tensor, shape (n, ...)
    """
    logs = tf.math.log(tf.convert_to_tensor(levels, tf.float32))
    n_steps = logs.shape[0] - 1

    def denoise(log_sigma: Tensor, x: Tensor) -> Tensor:
        sigma = tf.exp(log_sigma)
        return x + sigma**2 * score(x, sigma)

    def step(i: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        width, first = logs[i + 1] - logs[i], denoise(logs[i], x)
        second = denoise(logs[i + 1], _predict(x, first, width))
        return i + 1, _correct(x, first, second, width)

    return tf.while_loop(lambda i, x: i < n_steps, step, (0, x))[1]


def _predict(x: Tensor, denoised: Tensor, width: Tensor) -> Tensor:
    return denoised + tf.exp(width) * (x - denoised)


def _correct(x: Tensor, first: Tensor, second: Tensor, width: Tensor) -> Tensor:
    is_step = tf.not_equal(width, 0.0)  # no step at all where two levels are equal
    share = 1.0 - tf.where(is_step, (tf.exp(width) - 1.0) / tf.where(is_step, width, 1.0), 1.0)
    return _predict(x, first, width) + share * (second - first)


def flow_with_volume(score: Score, x: Tensor, levels: Any, probes: Tensor) -> tuple[Tensor, Tensor]:
    """Carry fields through noise levels, and add up how their density changes on the way.

    The divergence of the score is estimated by Hutchinson's trace, its Jacobian seen by probes of
    mean square one, `trace_probes`, the same for every field.

    Parameters
    ----------
    score : callable
        As of `flow`, differentiable by the fields.
    x : tensor, shape (n, ...)
    levels : tensor, shape (number of levels,)
    probes : tensor, shape (number of probes, ...)

    Returns
    -------
    tensor, shape (n, ...)
        The fields at the last level.
    tensor, shape (n,)
        Their log density there less that at the first level.
    """
    logs = tf.math.log(tf.convert_to_tensor(levels, tf.float32))
    n_steps = logs.shape[0] - 1
    axes = list(range(1, x.shape.rank))
    n_probes = probes.shape[0]
    signs = tf.repeat(probes, tf.shape(x)[0], axis=0)

    # Traced once for both ends of a step: the network's gradient is a large graph.
    @tf.function(autograph=False)
    def denoise(log_sigma: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the denoised fields, and the divergence of sigma^2 times the score."""
        sigma = tf.exp(log_sigma)
        with tf.GradientTape() as tape:
            copies = tf.tile(x, [n_probes, *([1] * len(axes))])  # one for each probe
            tape.watch(copies)
            value = score(copies, sigma)
            seen = tf.reduce_sum(value * signs)
        traces = tf.reduce_sum(tape.gradient(seen, copies) * signs, axes)
        trace = tf.reduce_mean(tf.reshape(traces, [n_probes, -1]), 0)
        return x + sigma**2 * value[: tf.shape(x)[0]], sigma**2 * trace

    def step(i: Tensor, x: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width = logs[i + 1] - logs[i]
        first, rate = denoise(logs[i], x)
        second, later = denoise(logs[i + 1], _predict(x, first, width))
        change = change + 0.5 * width * (rate + later)
        return i + 1, _correct(x, first, second, width), change

    start = (0, x, tf.zeros([tf.shape(x)[0]], tf.float32))
    return tf.while_loop(lambda i, x, change: i < n_steps, step, start)[1:]


def trace_probes(shape: tuple[int, ...], n_probes: int, seed: int) -> NDArray[np.float32]:
    """Return random probes of the trace of a Jacobian.

    Of images, each probe sees the pixels of one colour of a lattice, as far from each other as so
    many colours allow: what pixels know of their near neighbours, which is most of the error of a
    trace, drops out. Of fields of few numbers, each is probed by itself, and the trace is exact.

    Parameters
    ----------
    shape : tuple of int
        Of one field.
    n_probes : int
        At most.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_probes, *shape)
        Of mean square one.

    Notes
    -----
    Tang and Saad 2012, Numer. Linear Algebra Appl. 19, 485 (probing), with random signs, so that
    the estimate is unbiased whatever is left.
    """
    rng, size = generator("probes", seed), math.prod(shape)
    if size <= n_probes:
        return (math.sqrt(size) * np.eye(size, dtype=np.float32)).reshape(size, *shape)
    signs = rng.integers(0, 2, size=(n_probes, *shape)) * 2 - 1
    if len(shape) == 2 and n_probes > 1:
        y, x = np.indices(shape)
        colour = (_lattice(n_probes) * y + x) % n_probes
        seen = colour == np.arange(n_probes)[:, None, None]
        signs = np.sqrt(n_probes) * seen * signs
    return signs.astype(np.float32)


@functools.cache
def _lattice(n: int) -> int:
    """Return the factor for which pixels of equal (factor * y + x) % n are farthest apart."""
    steps = np.arange(-n, n + 1)
    distance = np.hypot(steps[:, None], steps)

    def nearest(factor: int) -> float:
        is_same = (factor * steps[:, None] + steps) % n == 0
        return float(distance[is_same & (distance > 0)].min())

    return max(range(n), key=nearest)

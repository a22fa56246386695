"""The probability-flow equation dx / d sigma = -sigma score(x, sigma), in few and long steps.

It carries fields through noise levels so that their density at every level is that of the noised
fields, without randomness. Levels are spaced evenly in the logarithm, where the equation is
smoothest, and steps are Heun's, of second order.

Source: Karras et al. 2022 (arXiv:2206.00364), algorithm 1, in the logarithm of sigma.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["flow", "flow_with_volume", "levels_between"]

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
    >>> levels_between(1.0, 0.01, 2).round(3).tolist()
    [1.0, 0.1..., 0.01...]
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

    def slope(log_sigma: Tensor, x: Tensor) -> Tensor:
        sigma = tf.exp(log_sigma)
        return -(sigma**2) * score(x, sigma)

    def step(i: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        width = logs[i + 1] - logs[i]
        first = slope(logs[i], x)
        second = slope(logs[i + 1], x + width * first)
        return i + 1, x + 0.5 * width * (first + second)

    return tf.while_loop(lambda i, x: i < len(levels) - 1, step, (0, x))[1]


def flow_with_volume(score: Score, x: Tensor, levels: Any, probes: Tensor) -> tuple[Tensor, Tensor]:
    """Carry fields through noise levels, and add up how their density changes on the way.

    The divergence of the score is estimated by Hutchinson's trace, its Jacobian seen by random
    probes of mean square one.

    Parameters
    ----------
    score : callable
        As of `flow`, differentiable by the fields.
    x : tensor, shape (n, ...)
    levels : array_like
    probes : tensor, shape (number of probes, n, ...)

    Returns
    -------
    tensor, shape (n, ...)
        The fields at the last level.
    tensor, shape (n,)
        Their log density there less that at the first level.
    """
    logs = tf.math.log(tf.convert_to_tensor(levels, tf.float32))
    axes = list(range(1, x.shape.rank))

    def slopes(log_sigma: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        sigma = tf.exp(log_sigma)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            value = score(x, sigma)
            seen = [tf.reduce_sum(value * probe) for probe in tf.unstack(probes)]
        traces = [
            tf.reduce_sum(tape.gradient(total, x) * probe, axes)
            for total, probe in zip(seen, tf.unstack(probes), strict=True)
        ]
        return -(sigma**2) * value, sigma**2 * tf.add_n(traces) / len(traces)

    def step(i: Tensor, x: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width = logs[i + 1] - logs[i]
        first, rate = slopes(logs[i], x)
        second, later = slopes(logs[i + 1], x + width * first)
        return i + 1, x + 0.5 * width * (first + second), change + 0.5 * width * (rate + later)

    start = (0, x, tf.zeros([tf.shape(x)[0]], tf.float32))
    return tf.while_loop(lambda i, x, change: i < len(levels) - 1, step, start)[1:]

"""The most probable field: ascent that cools, as a posterior of many peaks asks for."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from ...errors import SamplingError
from ..likelihood import GaussianLikelihood
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .target import Target, check_count, noise_levels

__all__ = ["maximum_a_posteriori"]

Tensor = Any


def maximum_a_posteriori(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    sigma: tuple[float, float] | None = None,
    n_levels: int = 40,
    steps_per_level: int = 5,
    rate: float = 0.5,
) -> Posterior:
    """Find fields that maximise the posterior density at the lowest noise level.

    A mode, not a mean: in many dimensions it is smoother than any sample, and its spread over
    starting fields is no uncertainty.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    initial : array_like, shape (n, ...)
        Where to start; noise of the first level is added.
    seed : int
    sigma : tuple of 2 float, optional
        First and last noise level, as of `annealed_hmc`.
    n_levels : int
        How many, with a constant ratio.
    steps_per_level : int
        Steps at each.
    rate : float
        Length of a step, as a part of Newton's on the posterior's approximate width.

    Returns
    -------
    Posterior
        The field that every start led to, with chi2, n_data and `steepness`: the root mean square
        of the last score, in units of the posterior's approximate width.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none.
    """
    check_count("steps_per_level", steps_per_level)
    if not 0 < rate < math.inf:
        raise SamplingError(f"rate must be a number above zero, got {rate}.", "rate")
    target = Target(prior, likelihood, initial)
    levels = tf.repeat(tf.constant(noise_levels(prior, sigma, n_levels)), steps_per_level)

    def uphill(x: Tensor, level: Tensor) -> Tensor:
        return target.metric.root(target.score(x, level), level)

    @tf.function(autograph=False)
    def climb(x: Tensor) -> tuple[Tensor, Tensor]:
        def step(i: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            return i + 1, x + rate * target.metric.root(uphill(x, levels[i]), levels[i])

        _, x = tf.while_loop(lambda i, x: i < len(levels), step, (0, x))
        return prior.denoise(x, levels[-1]), uphill(x, levels[-1])

    noise = tf.random.stateless_normal(target.initial.shape, [seed, 0])
    fields, slope = climb(target.initial + levels[0] * noise)
    chains = fields.numpy()[None]
    steepness = float(tf.sqrt(tf.reduce_mean(slope**2)))
    return Posterior(chains, {"steepness": steepness} | report_on(chains, likelihood))

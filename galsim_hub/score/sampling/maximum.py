"""The most probable field: ascent that cools, as a posterior of many peaks asks for."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import SamplingError
from ..fields import check_count, stream
from ..likelihood import GaussianLikelihood
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .run import Progress, State, run_steps
from .target import Target, noise_levels

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
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
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
    checkpoint : path, optional
        File to resume from.
    progress : callable, optional
        Is told the number of levels done, and of all.

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
        If another argument makes none, or the checkpoint is another run's.
    SeedError
        If the seed makes none.
    """
    check_count("steps_per_level", steps_per_level)
    if not 0 < rate < math.inf:
        raise SamplingError(f"rate must be a number above zero, got {rate}.", "rate")
    target = Target(prior, likelihood, initial)
    levels = noise_levels(prior, sigma, n_levels)

    def uphill(x: Tensor, level: Tensor) -> Tensor:
        return target.metric.root(target.score(x, level), level)

    @tf.function(autograph=False)
    def climb(x: Tensor, level: Tensor) -> Tensor:
        def step(i: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            return i + 1, x + rate * target.metric.root(uphill(x, level), level)

        return tf.while_loop(lambda i, x: i < steps_per_level, step, (0, x))[1]

    def advance(number: int, state: State) -> State:
        return {"x": climb(tf.constant(state["x"]), tf.constant(levels[number])).numpy()}

    noise = tf.random.stateless_normal(target.initial.shape, stream(seed, 0))
    state = run_steps(
        advance,
        {"x": (target.initial + levels[0] * noise).numpy()},
        len(levels),
        settings={
            "sampler": "maximum",
            "plan": [steps_per_level, rate, levels.tolist()],
            "data": target.identity,
        },
        checkpoint=checkpoint,
        progress=progress,
    )
    x, last = tf.constant(state["x"]), tf.constant(levels[-1])
    steepness = float(np.sqrt(np.mean(uphill(x, last).numpy() ** 2)))
    chains = prior.denoise(x, last).numpy()[None]
    return Posterior(chains, {"steepness": steepness} | report_on(chains, likelihood))

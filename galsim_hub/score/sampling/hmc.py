"""Annealed Hamiltonian Monte Carlo, with Metropolis on the score's line integral.

tfp.mcmc asks for a log density, which a score prior has not; the transition is written here, around
scores, and tfp's diagnostics are what ours are tested against.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from ..fields import check_count
from ..likelihood import GaussianLikelihood
from ..prior import Prior
from .annealing import Plan, Transition, sample_annealed
from .posterior import Posterior
from .run import Progress
from .target import Target

__all__ = ["annealed_hmc"]

Tensor = Any

_JITTER = 0.2  # of the step size, or a trajectory could come back to where it began


def annealed_hmc(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    sigma: tuple[float, float] | None = None,
    n_levels: int = 40,
    steps_per_level: int = 1,
    n_warmup: int = 20,
    n_draws: int = 1,
    thin: int = 5,
    n_leapfrog: int = 8,
    step_size: float = 0.2,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Sample a posterior with chains that cool from a high noise level to the lowest.

    All chains advance together. The step size adapts to an acceptance of 0.8 while they cool and
    warm up, and is fixed for the draws, which leave the density at the lowest level invariant.
    Draws are denoised at the end.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    initial : array_like, shape (n_chains, ...)
        Where the chains start; noise of the first level is added.
    seed : int
    sigma : tuple of 2 float, optional
        First and last noise level; by default the prior's standard deviation and the lowest level
        that it knows, or a hundredth of the first.
    n_levels : int
        How many, with a constant ratio.
    steps_per_level : int
        Trajectories at each.
    n_warmup : int
        Trajectories at the last level before those that draw.
    n_draws : int
        Draws of each chain. R-hat and the effective sample size need 4.
    thin : int
        Trajectories between draws.
    n_leapfrog : int
        Steps of a trajectory.
    step_size : float
        To start with, in units of the posterior's approximate width.
    checkpoint : path, optional
        File to resume from: an interrupted run goes on with the same random numbers.
    progress : callable, optional
        Is told the number of trajectories done, and of all.

    Returns
    -------
    Posterior
        With acceptance (a trajectory), step_size, chi2 (a draw and chain), n_data, and with four
        draws or more r_hat and effective_sample_size.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none, chains diverge, or the checkpoint is another run's.
    SeedError
        If the seed makes no sense.
    """
    check_count("n_leapfrog", n_leapfrog)
    target = Target(prior, likelihood, initial)
    plan = Plan.cooling(
        prior,
        sigma,
        n_levels=n_levels,
        steps_per_level=steps_per_level,
        n_warmup=n_warmup,
        n_draws=n_draws,
        thin=thin,
    )
    return sample_annealed(
        target,
        plan,
        _trajectory(target, n_leapfrog),
        seed=seed,
        step_size=step_size,
        is_adaptive=True,
        settings={"sampler": "hmc", "n_leapfrog": n_leapfrog, "step_size": step_size},
        checkpoint=checkpoint,
        progress=progress,
    )


def _trajectory(target: Target, n_leapfrog: int) -> Transition:
    """Return one trajectory and its acceptance, as a function to compile."""

    def force(x: Tensor, sigma: Tensor) -> Tensor:
        return target.metric.root(target.score(x, sigma), sigma)

    def transition(x: Tensor, sigma: Tensor, size: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        # Beyond any number of steps.
        seeds = [seed + tf.constant([0, i << 24], tf.int64) for i in range(3)]
        size = size * tf.random.stateless_uniform([], seeds[0], 1.0 - _JITTER, 1.0 + _JITTER)
        velocity = tf.random.stateless_normal(tf.shape(x), seeds[1])

        def leap(i: Tensor, x: Tensor, velocity: Tensor, push: Tensor) -> Any:
            half = velocity + 0.5 * size * push
            x = x + size * target.metric.root(half, sigma)
            push = force(x, sigma)
            return i + 1, x, half + 0.5 * size * push, push

        start = (0, x, velocity, force(x, sigma))
        _, end, last, _ = tf.while_loop(lambda i, *state: i < n_leapfrog, leap, start)
        log_ratio = target.log_ratio(x, end, sigma) + _kinetic(velocity) - _kinetic(last)
        # What is not finite is refused: the comparison with NaN is false.
        threshold = tf.math.log(tf.random.stateless_uniform(tf.shape(log_ratio), seeds[2]))
        accepted = threshold < log_ratio
        column = tf.reshape(accepted, [-1, *([1] * (x.shape.rank - 1))])
        return tf.where(column, end, x), tf.cast(accepted, tf.float32)

    return transition


def _kinetic(velocity: Tensor) -> Tensor:
    return 0.5 * tf.reduce_sum(velocity**2, axis=list(range(1, velocity.shape.rank)))

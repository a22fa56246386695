"""Annealed Langevin dynamics: small noisy steps uphill, never refused."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from ..likelihood import GaussianLikelihood
from ..prior import Prior
from .annealing import Plan, sample_annealed
from .posterior import Posterior
from .run import Progress
from .target import Target

__all__ = ["annealed_langevin"]

Tensor = Any


def annealed_langevin(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    sigma: tuple[float, float] | None = None,
    n_levels: int = 40,
    steps_per_level: int = 5,
    n_warmup: int = 50,
    n_draws: int = 1,
    thin: int = 20,
    step_size: float = 0.3,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Sample a posterior by annealed Langevin dynamics.

    A step costs one score, and nothing corrects its error: variances come out too large by about a
    fraction of step_size^2 / 4. Use `annealed_hmc` where that matters.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    initial : array_like, shape (n_chains, ...)
        Where the chains start; noise of the first level is added.
    seed : int
    sigma, n_levels, steps_per_level, n_warmup, n_draws, thin
        As of `annealed_hmc`, in steps.
    step_size : float
        In units of the posterior's approximate width.
    checkpoint, progress
        As of `annealed_hmc`.

    Returns
    -------
    Posterior
        With the diagnostics of `annealed_hmc`; acceptance is 1.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none, chains diverge, or the checkpoint is another run's.
    SeedError
        If the seed makes no sense.

    Source: Song and Ermon 2019 (arXiv:1907.05600), algorithm 1, with a metric.
    """
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

    def transition(x: Tensor, sigma: Tensor, size: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        push = target.metric.root(target.score(x, sigma), sigma)
        kick = tf.random.stateless_normal(tf.shape(x), seed)
        move = target.metric.root(0.5 * size**2 * push + size * kick, sigma)
        return x + move, tf.ones([tf.shape(x)[0]])

    return sample_annealed(
        target,
        plan,
        transition,
        seed=seed,
        step_size=step_size,
        is_adaptive=False,
        settings={"sampler": "langevin", "step_size": step_size},
        checkpoint=checkpoint,
        progress=progress,
    )

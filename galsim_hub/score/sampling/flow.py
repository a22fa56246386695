"""The probability flow of prior and likelihood: fields carried down without randomness."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..likelihood import GaussianLikelihood
from ..ode import flow
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .target import Target, check_count, noise_levels

__all__ = ["probability_flow"]


def probability_flow(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    sigma: tuple[float, float] | None = None,
    n_steps: int = 60,
) -> Posterior:
    """Carry noisy fields down the probability flow, with the likelihood's score added.

    It ends chains, from a low level to a lower one. From a high level it is no sampler: the
    sequence is not the noised posterior, and where prior and likelihood weigh alike the flow
    contracts twice as fast as the sequence does, and before it has followed the data.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    initial : array_like, shape (n, ...)
        Where to start; noise of the first level is added.
    seed : int
    sigma : tuple of 2 float, optional
        First and last noise level, as of `annealed_hmc`.
    n_steps : int
        Steps between them.

    Returns
    -------
    Posterior
        One draw of each, with chi2 and n_data.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none.
    """
    check_count("n_steps", n_steps)
    target = Target(prior, likelihood, initial)
    levels = noise_levels(prior, sigma, n_steps + 1)
    noise = tf.random.stateless_normal(target.initial.shape, [seed, 0])
    run = tf.function(
        lambda x: prior.denoise(flow(target.score, x, levels), levels[-1]), autograph=False
    )
    chains = run(target.initial + levels[0] * noise).numpy()[None]
    return Posterior(chains, report_on(chains, likelihood))

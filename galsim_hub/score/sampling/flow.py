"""The probability flow of prior and likelihood: fields carried down without randomness."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from ..fields import check_count, stream
from ..likelihood import GaussianLikelihood
from ..ode import flow
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .run import Progress, State, run_steps
from .target import Target, noise_levels

__all__ = ["probability_flow"]

Tensor = Any


def probability_flow(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    sigma: tuple[float, float] | None = None,
    n_steps: int = 60,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
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
    checkpoint : path, optional
        File to resume from.
    progress : callable, optional
        Is told the number of steps done, and of all.

    Returns
    -------
    Posterior
        One draw of each, with chi2 and n_data.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none, or the checkpoint is another run's.
    SeedError
        If the seed makes none.
    """
    check_count("n_steps", n_steps)
    target = Target(prior, likelihood, initial)
    levels = noise_levels(prior, sigma, n_steps + 1)

    @tf.function(autograph=False)
    def descend(x: Tensor, ends: Tensor) -> Tensor:
        return flow(target.score, x, ends)

    def advance(step: int, state: State) -> State:
        return {"x": descend(tf.constant(state["x"]), tf.constant(levels[step : step + 2])).numpy()}

    noise = tf.random.stateless_normal(target.initial.shape, stream(seed, 0))
    state = run_steps(
        advance,
        {"x": (target.initial + levels[0] * noise).numpy()},
        n_steps,
        settings={"sampler": "flow", "levels": levels.tolist(), "data": target.identity},
        checkpoint=checkpoint,
        progress=progress,
    )
    chains = prior.denoise(tf.constant(state["x"]), tf.constant(levels[-1])).numpy()[None]
    return Posterior(chains, report_on(chains, likelihood))

"""Gibbs sampling of noisy data, whose noise is split between the field and the rest.

Noise of the level rho that the quietest datum has is taken out of every datum's and given to the
field. What then alternates is simple and exact: the field behind white noise, which is what a score
prior is for, and that noise given field and data, which is Gaussian number by number. Nothing is
annealed, and every score is asked at the levels where it is well trained; a low level, at which
large scales of the score drown in small ones, is never asked for more than small scales.

The mean of a draw is known, too: it is the denoised field. The mean of those over all sweeps after
the warm-up is that of the posterior (Rao and Blackwell), with less scatter than that of the draws.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import SamplingError
from ..behind_noise import BehindNoise
from ..fields import check_count, stream
from ..likelihood import GaussianLikelihood
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .run import Progress, State, run_steps
from .target import Target

__all__ = ["noise_splitting"]

Tensor = Any


def noise_splitting(
    prior: Prior,
    likelihood: GaussianLikelihood,
    initial: Any,
    *,
    seed: int,
    n_steps: int = 10,
    n_warmup: int = 20,
    n_draws: int = 1,
    thin: int = 5,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Sample a posterior by sweeps between a field and its share of the noise.

    Reach for it where data are noisier than the field, as maps of shear are. What the data say of a
    scale is taken over in a few sweeps; where there are none, a sweep moves a mode of power P by
    the share rho^2 / (P + rho^2) of its way, so that chains should start from good guesses, such as
    samples under a Gaussian prior. The quieter the data, the slower: then take `annealed_hmc`.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
        Its operator's `gram` is 1: white noise of the field is white noise of what it sees.
    initial : array_like, shape (n_chains, ...)
        Where the chains start.
    seed : int
    n_steps : int
        Evaluations of the prior a sweep.
    n_warmup : int
        Sweeps before those that draw.
    n_draws : int
        Draws of each chain. R-hat and the effective sample size need 4.
    thin : int
        Sweeps between draws.
    checkpoint : path, optional
        File to resume from: an interrupted run goes on with the same random numbers.
    progress : callable, optional
        Is told the number of sweeps done, and of all.

    Returns
    -------
    Posterior
        With `expected`, and rho, chi2 (a draw and chain), n_data, and with four draws or more r_hat
        and effective_sample_size.

    Raises
    ------
    FieldError
        If the starting fields make no sense.
    SamplingError
        If another argument makes none, the data are less noisy than the lowest level of the prior,
        or the checkpoint is another run's.
    SeedError
        If the seed makes no sense.

    Source: Vono et al. 2019 (arXiv:1804.05809) for split Gibbs samplers; here the split adds no
    noise, and is exact.
    """
    for name, value, least in (
        ("n_steps", n_steps, 1),
        ("n_warmup", n_warmup, 0),
        ("n_draws", n_draws, 1),
        ("thin", thin, 1),
    ):
        check_count(name, value, least)
    rho = _share(prior, likelihood)
    target = Target(prior, likelihood, initial)
    sweep = tf.function(_sweep(target, rho, n_steps), autograph=False)
    n_sweeps = n_warmup + (n_draws - 1) * thin + 1

    def advance(step: int, state: State) -> State:
        x, mean = sweep(tf.constant(state["x"]), stream(seed, step + 1))
        state["x"] = x.numpy()
        draw, rest = divmod(step - n_warmup, thin)
        if draw >= 0:
            state["expected"] += mean.numpy() / (n_sweeps - n_warmup)
        if draw >= 0 and rest == 0:
            state["draws"][draw] = state["x"]
        return state

    start = target.initial.numpy()
    draws = np.zeros((n_draws, *start.shape), np.float32)
    state = run_steps(
        advance,
        {"x": start, "draws": draws, "expected": np.zeros_like(start)},
        n_sweeps,
        settings={
            "sampler": "splitting",
            "seed": seed,
            "plan": [n_steps, n_warmup, n_draws, thin],
            "data": target.identity,
        },
        checkpoint=checkpoint,
        progress=progress,
    )
    report = {"rho": rho} | report_on(state["draws"], likelihood)
    return Posterior(state["draws"], report, state["expected"])


def _share(prior: Prior, likelihood: GaussianLikelihood) -> float:
    """Return the level of the noise that the field gets: all that the quietest datum has."""
    if likelihood.operator.gram != 1.0:
        raise SamplingError(
            "Splitting noise needs an operator with gram 1, which takes white noise to white "
            "noise. Use annealed_hmc for this one.",
            "likelihood",
            likelihood.operator.gram,
        )
    variance = tf.where(likelihood.mask > 0, likelihood.noise_variance, np.inf)
    quietest = float(tf.sqrt(tf.reduce_min(variance)))
    low, high = prior.sigma_range
    if quietest < low:
        raise SamplingError(
            f"Data with noise of {quietest:g} are less noisy than the lowest level that the prior "
            f"knows, {low:g}. Use annealed_hmc.",
            "likelihood",
            quietest,
        )
    return min(quietest, high)


def _sweep(target: Target, rho: float, n_steps: int) -> Any:
    """Return the sweep of all chains, as a function to compile."""
    likelihood, operator = target.likelihood, target.likelihood.operator
    behind = BehindNoise(target.prior, tuple(target.initial.shape[1:]), rho, n_steps)
    gain = likelihood.mask * rho**2 / likelihood.noise_variance
    spread = rho * tf.sqrt(1.0 - tf.minimum(gain, 1.0))

    def sweep(x: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        seeds = [tf.random.experimental.stateless_fold_in(seed, part) for part in range(3)]
        seen = operator.forward(x)
        noise = spread * tf.random.stateless_normal(tf.shape(seen), seeds[0])
        noisy_data = seen + gain * (likelihood.data - seen) + noise
        # What the operator does not see has its noise, too, and nobody knows anything of it.
        free = x + rho * tf.random.stateless_normal(tf.shape(x), seeds[1])
        unseen = free - operator.adjoint(operator.forward(free))
        return behind.draw(operator.adjoint(noisy_data) + unseen, seeds[2])

    return sweep

"""Chains that cool: what annealed HMC and annealed Langevin have in common."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ...errors import SamplingError
from ..fields import check_count, stream
from ..prior import Prior
from .posterior import Posterior
from .report import report_on
from .run import Progress, State, run_steps
from .target import Target, noise_levels

__all__ = ["Plan", "sample_annealed"]

Tensor = Any
# From fields, noise level, step size and a seed of two numbers to fields and acceptances.
Transition = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

_WANTED = 0.8  # of proposals accepted; 0.65 is optimal without the errors of a learned score
_RATE = 0.3  # of adaptation, of the logarithm of the step


@dataclass(frozen=True, eq=False)
class Plan:
    """Say at which noise level every transition of a run is, and which are kept.

    Attributes
    ----------
    levels : ndarray of float32, shape (number of transitions,)
    n_draws : int
        Draws of each chain.
    thin : int
        Transitions between them, at the end of the run.
    """

    levels: NDArray[np.float32]
    n_draws: int
    thin: int

    @classmethod
    def cooling(
        cls,
        prior: Prior,
        sigma: tuple[float, float] | None,
        *,
        n_levels: int,
        steps_per_level: int,
        n_warmup: int,
        n_draws: int,
        thin: int,
    ) -> Plan:
        """Cool through levels, then warm up at the last one, then draw.

        Parameters
        ----------
        prior : Prior
        sigma : tuple of 2 float or None
            See `noise_levels`.
        n_levels, steps_per_level, n_warmup, n_draws, thin : int

        Returns
        -------
        Plan

        Raises
        ------
        SamplingError
            If a number is no whole number or too small.
        """
        check_count("steps_per_level", steps_per_level)
        check_count("n_warmup", n_warmup, 0)
        check_count("n_draws", n_draws)
        check_count("thin", thin)
        levels = np.repeat(noise_levels(prior, sigma, n_levels), steps_per_level)
        cold = np.full(n_warmup + n_draws * thin, levels[-1], np.float32)
        return cls(np.concatenate([levels, cold]), n_draws, thin)

    @property
    def n_adapting(self) -> int:
        """How many transitions come before those that draw."""
        return len(self.levels) - self.n_draws * self.thin

    def draw_at(self, step: int) -> int | None:
        """Return which draw a transition ends with.

        Parameters
        ----------
        step : int

        Returns
        -------
        int or None
            None for none.
        """
        done = step + 1 - self.n_adapting
        return done // self.thin - 1 if done > 0 and done % self.thin == 0 else None


def sample_annealed(
    target: Target,
    plan: Plan,
    transition: Transition,
    *,
    seed: int,
    step_size: float,
    is_adaptive: bool,
    settings: dict[str, Any],
    checkpoint: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> Posterior:
    """Run a plan, and denoise its draws.

    Parameters
    ----------
    target : Target
    plan : Plan
    transition : callable
        From fields, noise level, step size and a seed of two numbers to fields and acceptances.
    seed : int
    step_size : float
        To start with.
    is_adaptive : bool
        Whether it follows the acceptance until the draws begin.
    settings : dict
        What else makes the run the same run.
    checkpoint, progress
        See `run_steps`.

    Returns
    -------
    Posterior
    """
    if not 0 < step_size < math.inf:
        raise SamplingError(f"step_size must be a number above zero, got {step_size}.", "step_size")
    compiled = tf.function(transition, autograph=False)

    def advance(step: int, state: State) -> State:
        place = stream(seed, step + 1)
        level, size = tf.constant(plan.levels[step]), tf.constant(state["step_size"], tf.float32)
        x, accepted = compiled(tf.constant(state["x"]), level, size, place)
        rate = float(tf.reduce_mean(accepted))
        state["x"], state["acceptance"][step] = x.numpy(), rate
        if is_adaptive and step < plan.n_adapting:
            state["step_size"] = np.asarray(state["step_size"] * np.exp(_RATE * (rate - _WANTED)))
        if (draw := plan.draw_at(step)) is not None:
            state["draws"][draw] = state["x"]
        return state

    shape = tuple(target.initial.shape)
    noise = plan.levels[0] * tf.random.stateless_normal(shape, stream(seed, 0))
    state: State = {
        "x": (target.initial + noise).numpy(),
        "step_size": np.asarray(float(step_size)),
        "acceptance": np.zeros(len(plan.levels)),
        "draws": np.zeros((plan.n_draws, *shape), np.float32),
    }
    kind = {"seed": seed, "levels": plan.levels.tolist(), "thin": plan.thin}
    settings = settings | kind | {"data": target.identity}
    state = run_steps(
        advance,
        state,
        len(plan.levels),
        settings=settings,
        checkpoint=checkpoint,
        progress=progress,
    )
    last = plan.levels[-1]
    chains = np.stack([target.prior.denoise(draw, last).numpy() for draw in state["draws"]])
    kept = {"acceptance": state["acceptance"], "step_size": float(state["step_size"])}
    return Posterior(chains, kept | report_on(chains, target.likelihood))

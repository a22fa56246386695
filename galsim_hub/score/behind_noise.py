"""Fields as they may be behind noise: draws of p(x | y) with y = x + rho times white noise.

The noise is taken off in steps. In each, the field is the denoised one plus a remainder that is
Gaussian with the covariance that the prior's Gaussian part would leave, so that a step of any
length is exact for a Gaussian field. What a learned prior leaves has to be Gaussian for one step
only, and few are enough.

Source: Ho et al. 2020 (arXiv:2006.11239), equation 7, for the step without the remainder.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from .fourier import filtered
from .ode import levels_between
from .prior import Prior

__all__ = ["BehindNoise"]

Tensor = Any


class BehindNoise:
    """Draw fields given their noisy versions.

    Parameters
    ----------
    prior : Prior
    event_shape : tuple of int
        The shape of one field.
    rho : float
        The level of the noise, within the prior's range.
    n_steps : int
        Evaluations of the prior a draw.
    """

    def __init__(
        self, prior: Prior, event_shape: tuple[int, ...], rho: float, n_steps: int
    ) -> None:
        self._prior = prior
        gaussian = prior.gaussian(event_shape) if len(event_shape) == 2 else None
        self._is_fourier = gaussian is not None
        power = np.asarray(prior.std**2) if gaussian is None else gaussian.power
        lowest = max(prior.sigma_range[0], 1e-2 * prior.std)
        last = min(lowest, rho)
        levels = levels_between(rho, last, n_steps - 1) if n_steps > 1 else np.array([rho])
        levels = np.append(levels, 0.0)
        self._levels = tf.constant(levels, tf.float32)
        self._n_steps = n_steps
        self._spreads = tf.constant(_spreads(power, levels), tf.float32)

    def draw(self, y: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one field for each noisy one, and say what is expected of all such draws.

        Parameters
        ----------
        y : tensor, shape (n, ...)
        seed : tensor of 2 int
            Of the random numbers.

        Returns
        -------
        draws, means : tensor, shape (n, ...)
            The draws, and the means of the law that they are drawn from.
        """

        def step(i: Tensor, x: Tensor, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            level, following = self._levels[i], self._levels[i + 1]
            kept = (following / level) ** 2
            clean = self._prior.denoise(x, level)
            own = tf.random.experimental.stateless_fold_in(seed, i)
            white = tf.random.stateless_normal(tf.shape(x), own)
            following_x = clean + kept * (x - clean) + self._spread(white, i)
            return i + 1, following_x, tf.where(tf.equal(i, 0), clean, mean)

        return tf.while_loop(lambda i, *_: i < self._n_steps, step, (0, y, y))[1:]

    def _spread(self, white: Tensor, i: Tensor) -> Tensor:
        factor = self._spreads[i]
        return filtered(white, factor) if self._is_fourier else white * factor


def _spreads(power: Any, levels: Any) -> Any:
    """Return the standard deviation of every mode after every step, given the step's start.

    The field at a lower level s is (1 - a) x + a y plus noise of variance s^2 (1 - a), with
    a = (s / level)^2, where x is known to P level^2 / (P + level^2).
    """
    rows = []
    for level, following in pairwise(levels):
        kept = (following / level) ** 2
        unknown = power * level**2 / (power + level**2)
        rows.append(np.sqrt(following**2 * (1 - kept) + (1 - kept) ** 2 * unknown))
    return np.stack(rows)

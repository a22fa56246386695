"""The distribution that is sampled: prior times likelihood, each at the same noise level."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import SamplingError
from ..fields import as_fields, check_count
from ..likelihood import GaussianLikelihood
from ..line_integral import line_integral
from ..prior import Prior
from .metric import Metric

__all__ = ["Target", "noise_levels"]

Tensor = Any

_PROBES = 8  # numbers that tell one operator from another
_LOWEST = 1e-2  # [standard deviations of the prior], where the prior itself has no lowest level


class Target:
    """Join a prior and a likelihood.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    initial : array_like, shape (n, ...)
        Where the chains start, for their number and shape.

    Raises
    ------
    FieldError
        If the starting fields are not finite, or likelihood or prior take another shape.
    SamplingError
        If there are as many observations as fields, but not as many as chains.
    """

    def __init__(self, prior: Prior, likelihood: GaussianLikelihood, initial: Any) -> None:
        self.prior, self.likelihood = prior, likelihood
        self.initial = as_fields(initial, likelihood.event_shape)
        n_observations = int(likelihood.data.shape[0])
        if n_observations not in (1, int(self.initial.shape[0])):
            raise SamplingError(
                f"There are {n_observations} observations, but {int(self.initial.shape[0])} "
                "starting fields. Give one for each.",
                "initial",
                tuple(self.initial.shape),
            )
        low, high = prior.sigma_range
        # In a graph a field has no values, so what the prior does not take is said here.
        prior.score(self.initial[:1], min(max(prior.std, low), high))
        self.metric = Metric(prior, likelihood, tuple(self.initial.shape[1:]))

    @property
    def identity(self) -> str:
        """Hash of the observation, and of what the operator makes of a random field."""
        digest = hashlib.sha256(repr(self.prior).encode())
        for part in ("data", "noise_variance", "mask"):
            digest.update(getattr(self.likelihood, part).numpy().tobytes())
        probe = np.random.default_rng(0).standard_normal((1, *self.initial.shape[1:]))
        seen = np.abs(self.likelihood.operator.forward(tf.constant(probe, tf.float32)).numpy())
        # Few digits, or the last of them, another machine's, would be another operator.
        sums = [part.sum() for part in np.array_split(seen.ravel(), _PROBES)]
        digest.update(" ".join(f"{value:.3e}" for value in sums).encode())
        return digest.hexdigest()

    def score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return the gradient of the log density, shape of `x`.

        Parameters
        ----------
        x : tensor, shape (n, ...)
        sigma : tensor
            The noise level.

        Returns
        -------
        tensor, shape (n, ...)
        """
        return self.prior.score(x, sigma) + self.likelihood.score(x, sigma)

    def log_ratio(self, start: Tensor, end: Tensor, sigma: Tensor) -> Tensor:
        """Return the log density at the end less that at the start, shape (n,).

        Parameters
        ----------
        start, end : tensor, shape (n, ...)
        sigma : tensor
            The noise level.

        Returns
        -------
        tensor, shape (n,)
        """
        likelihood = self.likelihood.log_prob(end, sigma) - self.likelihood.log_prob(start, sigma)
        return likelihood + line_integral(self.prior.score, start, end, sigma)


def noise_levels(
    prior: Prior, sigma: tuple[float, float] | None, n_levels: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the noise levels of an annealed run, falling by a constant ratio.

    Parameters
    ----------
    prior : Prior
    sigma : tuple of 2 float or None
        First and last; by default the prior's standard deviation, and the lowest level that the
        prior knows.
    n_levels : int
        One is the last alone.

    Returns
    -------
    ndarray of float32, shape (n_levels,)

    Raises
    ------
    SamplingError
        If they are no two numbers, do not fall, or the prior does not know them.
    """
    check_count("n_levels", n_levels)
    low, high = prior.sigma_range
    lowest = max(low, _LOWEST * prior.std)
    is_pair = sigma is None or (np.shape(sigma) == (2,) and np.asarray(sigma).dtype.kind in "iuf")
    if not is_pair:
        raise SamplingError(
            f"sigma must be the first and the last noise level, got {sigma}. Give numbers, such as "
            f"({min(max(prior.std, lowest), high):g}, {lowest:g}).",
            "sigma",
            sigma,
        )
    first, last = (min(max(prior.std, lowest), high), lowest) if sigma is None else sigma
    if not (low * 0.999 <= last <= first <= high * 1.001 and last > 0):
        raise SamplingError(
            f"sigma must fall between the levels that the prior knows, {high:g} to {low:g}, got "
            f"{first:g} to {last:g}.",
            "sigma",
            (first, last),
        )
    levels = np.geomspace(first, last, n_levels) if n_levels > 1 else np.array([last])
    return levels.astype(np.float32)

"""What tells whether chains can be trusted: R-hat, effective sample size, and chi2.

Chains are (draws, chains, ...), every number of a field on its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SamplingError

__all__ = ["effective_sample_size", "r_hat"]

Array = NDArray[np.float64]

_FEWEST_DRAWS = 4


def r_hat(chains: ArrayLike) -> Array:
    """Return the split R-hat of Gelman et al.: 1 where chains agree with each other.

    Parameters
    ----------
    chains : array_like, shape (draws, chains, ...)

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where all draws of all chains are the same.

    Raises
    ------
    SamplingError
        If there are fewer than 4 draws, or no axis of chains.

    Source: Vehtari et al. 2021 (arXiv:1903.08008), section 3, without the ranks.
    """
    halves = _split(chains)
    n_draws = len(halves)
    within = halves.var(axis=0, ddof=1).mean(axis=0)
    between = halves.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((n_draws - 1) / n_draws + between / within))


def effective_sample_size(chains: ArrayLike) -> Array:
    """Return how many independent draws the chains are worth, all together.

    Parameters
    ----------
    chains : array_like, shape (draws, chains, ...)

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where all draws of all chains are the same.

    Raises
    ------
    SamplingError
        If there are fewer than 4 draws, or no axis of chains.

    Source: Vehtari et al. 2021 (arXiv:1903.08008), equations 10 to 13, with Geyer's initial
    monotone sequence.
    """
    halves = _split(chains)
    n_draws, n_chains = halves.shape[:2]
    within = halves.var(axis=0, ddof=1).mean(axis=0)
    variance = within * (n_draws - 1) / n_draws + halves.mean(axis=0).var(axis=0, ddof=1)
    covariance = _autocovariance(halves).mean(axis=1)
    variance = np.where(variance > 0, variance, np.nan)
    correlation = 1.0 - (within - covariance) / variance
    correlation[0] = 1.0
    n_pairs = n_draws // 2
    pairs = correlation[0 : 2 * n_pairs : 2] + correlation[1 : 2 * n_pairs : 2]
    is_positive = np.minimum.accumulate(pairs > 0, axis=0)
    falling = np.minimum.accumulate(np.where(is_positive, pairs, 0.0), axis=0)
    time = np.maximum(2.0 * falling.sum(axis=0) - 1.0, 1.0 / np.log10(n_draws * n_chains))
    return np.asarray(np.where(np.isnan(variance), np.nan, n_draws * n_chains / time))


def _split(chains: ArrayLike) -> Array:
    """Cut every chain into its first and second half, so that a drift shows as a difference."""
    draws = np.asarray(chains, dtype=np.float64)
    if draws.ndim < 2 or not draws.shape[1]:
        raise SamplingError(
            f"Chains have shape (draws, chains, ...), got {draws.shape}. Add an axis to a single "
            "chain with chain[:, None].",
            "chains",
            draws.shape,
        )
    if len(draws) < _FEWEST_DRAWS:
        raise SamplingError(
            f"Diagnostics of chains need at least {_FEWEST_DRAWS} draws, got {len(draws)}. Draw "
            "more with n_draws.",
            "n_draws",
            len(draws),
        )
    draws = draws - draws[0, 0]  # so that what never moves has no variance by rounding
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[-half:]], axis=1)


def _autocovariance(draws: Array) -> Array:
    centred = draws - draws.mean(axis=0)
    modes = np.fft.rfft(centred, n=2 * len(draws), axis=0)
    whole = np.fft.irfft(np.abs(modes) ** 2, n=2 * len(draws), axis=0)
    return np.asarray(whole[: len(draws)] / len(draws))

"""Whether a posterior's errors are right: the truth must be as likely as any of its samples.

Simulate truths from the prior and data from the truths, sample a posterior for each, and ask how
the truths lie among their samples. No diagnostic of chains can answer that: chains agree on wrong
errors, too. Three questions, each with its blind spot, take the same arrays:

>>> import numpy as np
>>> from galsim_hub.score import calibration
>>> rng = np.random.default_rng(1)
>>> data = rng.normal(size=(200, 3)) * 2**0.5  # of truths and noise with variance 1
>>> truths = data / 2 + rng.normal(size=(200, 3)) * 0.5**0.5
>>> samples = data / 2 + rng.normal(size=(50, 200, 3)) * 0.5**0.5
>>> bool(abs(calibration.interval_coverage(samples, truths, 0.68).mean() - 0.68) < 0.05)
True
>>> bool((calibration.rank_p_values(samples, truths) > 1e-3).all())
True
>>> alphas, coverage = calibration.expected_coverage(samples, truths, seed=2)
>>> bool(np.abs(coverage - alphas).max() < 0.15)
True

A posterior that ignores the data passes the first two, and fails the third only where its reference
points know the data: see `expected_coverage`.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from ..errors import FieldError
from ..latents import generator

__all__ = ["expected_coverage", "interval_coverage", "rank_p_values", "ranks"]

Array = NDArray[np.float64]

_FEWEST = 5.0  # expected in a bin of ranks, for the statistic to follow the chi-squared law
_MOST_BINS = 20
_N_ALPHAS = 101


def ranks(samples: ArrayLike, truths: ArrayLike) -> NDArray[np.int64]:
    """Count the samples below the truth, number by number.

    Parameters
    ----------
    samples : array_like, shape (n_samples, n_sets, ...)
        Of the posterior of every set of data.
    truths : array_like, shape (n_sets, ...)

    Returns
    -------
    ndarray of int, shape (n_sets, ...)
        From 0 to n_samples, each as often if the posteriors are right.

    Raises
    ------
    FieldError
        If shapes do not fit, or a value is not finite.

    Source: Talts et al. 2018 (arXiv:1804.06788), theorem 1.
    """
    drawn, true = _checked(samples, truths)
    return np.sum(drawn < true, axis=0)


def rank_p_values(samples: ArrayLike, truths: ArrayLike) -> Array:
    """Return how likely ranks as uneven as these are, for every number of a field.

    Parameters
    ----------
    samples : array_like, shape (n_samples, n_sets, ...)
        Independent: thin chains by their autocorrelation first.
    truths : array_like, shape (n_sets, ...)

    Returns
    -------
    ndarray of float64, shape (...)
        Even between 0 and 1 if the posteriors are right, close to 0 if they are not.

    Raises
    ------
    FieldError
        If shapes do not fit, a value is not finite, or there are fewer than 10 sets.
    """
    found = ranks(samples, truths)
    n_cells, n_sets = len(np.asarray(samples)) + 1, len(found)
    n_bins = int(min(n_cells, _MOST_BINS, n_sets // _FEWEST))
    if n_bins < 2:
        raise FieldError(
            f"Ranks of {n_sets} sets cannot be told from even ones: simulate 10 or more, better "
            "hundreds.",
            n_sets,
        )
    # Bins of whole ranks: where they do not divide evenly, some expect one rank more.
    bins = np.arange(n_cells) * n_bins // n_cells
    expected = n_sets * np.bincount(bins) / n_cells
    shape = (n_bins,) + (1,) * (found.ndim - 1)
    counts = np.stack([np.sum(bins[found] == number, axis=0) for number in range(n_bins)])
    statistic = np.sum((counts - expected.reshape(shape)) ** 2 / expected.reshape(shape), axis=0)
    half = np.full(statistic.shape, 0.5 * (n_bins - 1))
    return np.asarray(tf.math.igammac(half, 0.5 * statistic))


def interval_coverage(samples: ArrayLike, truths: ArrayLike, level: float) -> Array:
    """Return how often the central interval of that level holds the truth.

    A few samples know the ends of an interval only to the next sample; a truth that lies between
    the two candidates counts by the part inside, so that the answer is `level` on average for any
    number of samples.

    Parameters
    ----------
    samples : array_like, shape (n_samples, n_sets, ...)
    truths : array_like, shape (n_sets, ...)
    level : float
        Between 0 and 1.

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    FieldError
        If shapes do not fit, or a value is not finite.
    """
    found, n_samples = ranks(samples, truths), len(np.asarray(samples))
    low, high = 0.5 - 0.5 * level, 0.5 + 0.5 * level
    return np.mean(_below(found, n_samples, high) - _below(found, n_samples, low), axis=0)


def expected_coverage(
    samples: ArrayLike, truths: ArrayLike, seed: int, references: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return the expected coverage probability of balls around reference points (TARP).

    All numbers of a field count together, after division by their scatter between truths. With
    references that have nothing to do with the data, posteriors that are too wide, too narrow or
    beside the truth show. One that ignores the data shows only if references depend on the data:
    give the data themselves, or an estimate from them.

    Parameters
    ----------
    samples : array_like, shape (n_samples, n_sets, ...)
    truths : array_like, shape (n_sets, ...)
    seed : int
        Of the references.
    references : array_like, shape (n_sets, ...), optional
        The truths of other sets by default, drawn at random, to which noise of their scatter is
        added.

    Returns
    -------
    alphas, coverage : ndarray of float64, shape (101,)
        Credibility, and the share of truths in the balls of that credibility: equal if the
        posteriors are right.

    Raises
    ------
    FieldError
        If shapes do not fit, or a value is not finite.
    SeedError
        If the seed is no whole number from 0 to 2**64 - 1.

    Source: Lemos et al. 2023 (arXiv:2302.03026), algorithm 2.
    """
    drawn, true = _checked(samples, truths)
    n_samples, n_sets = drawn.shape[:2]
    scatter = true.std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    if references is None:
        rng = generator("references", seed)
        others = (np.arange(n_sets) + rng.integers(1, max(n_sets, 2), n_sets)) % n_sets
        places = true[others] + scatter * rng.standard_normal(true.shape)
    else:
        places = _checked(drawn, references)[1]

    def distance(values: Array) -> Array:
        squares = ((values - places) / scatter) ** 2
        return squares.reshape(*values.shape[: values.ndim - places.ndim + 1], -1).sum(axis=-1)

    nearer = np.sum(distance(drawn) < distance(true), axis=0)
    alphas = np.linspace(0.0, 1.0, _N_ALPHAS)
    return alphas, np.array([_below(nearer, n_samples, alpha).mean() for alpha in alphas])


def _below(found: NDArray[np.int64], n_samples: int, level: float) -> Array:
    """Return which part of the cell between two neighbouring samples lies below a level."""
    return np.clip(level * (n_samples + 1) - found, 0.0, 1.0)


def _checked(samples: ArrayLike, truths: ArrayLike) -> tuple[Array, Array]:
    drawn, true = np.asarray(samples, np.float64), np.asarray(truths, np.float64)
    if true.ndim < 1 or drawn.shape[1:] != true.shape or not drawn.size:
        raise FieldError(
            f"Samples of shape {drawn.shape} do not fit truths of shape {true.shape}: expected "
            "(n_samples, n_sets, ...) and (n_sets, ...).",
            drawn.shape,
        )
    if not (np.isfinite(drawn).all() and np.isfinite(true).all()):
        raise FieldError("Samples and truths must be finite.", drawn.shape)
    return drawn, true

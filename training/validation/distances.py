"""Distances between two samples, each with its bootstrap error.

All leave NaNs (failed measurements) out.
"""

from collections.abc import Callable

import numpy as np

RESAMPLINGS = 50
Distance = Callable[[np.ndarray, np.ndarray], float]


def finite(sample: np.ndarray) -> np.ndarray:
    """Return the rows (n,) or (n, d) without a NaN."""
    return sample[np.isfinite(sample.reshape(len(sample), -1)).all(axis=1)]


def ks(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance, NaN for an empty sample."""
    if not len(finite(one)) or not len(finite(other)):
        return np.nan
    return float(np.max(np.abs(_shares(one, other)[1])))


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Return the first Wasserstein distance in standard deviations of `other`."""
    one, other = finite(one), finite(other)
    if not len(one) or not len(other):
        return np.nan
    points, gaps = _shares(one, other)
    return float(np.sum(np.abs(gaps[:-1]) * np.diff(points)) / other.std())


def total_variation(
    one: np.ndarray, other: np.ndarray, ranges: tuple[tuple[float, float], ...], bins: int = 32
) -> float:
    """Return half the sum of absolute differences of two histograms, samples (n, 2).

    What lies outside `ranges` counts in the outermost bins.
    """
    low, high = np.array(ranges).T
    shares = []
    for sample in (finite(one), finite(other)):
        if not len(sample):
            return np.nan
        inside = np.clip(sample, low, high)
        counts, _, _ = np.histogram2d(*inside.T, bins=bins, range=ranges)
        shares.append(counts / len(sample))
    return float(0.5 * np.abs(shares[0] - shares[1]).sum())


def bootstrap_error(distance: Distance, one: np.ndarray, other: np.ndarray) -> float:
    """Return the standard deviation of a distance over resamplings of both samples."""
    one, other = finite(one), finite(other)
    if not len(one) or not len(other):
        return np.nan
    rng = np.random.default_rng(5)
    values = [
        distance(
            one[rng.integers(len(one), size=len(one))],
            other[rng.integers(len(other), size=len(other))],
        )
        for _ in range(RESAMPLINGS)
    ]
    return float(np.std(values))


def noise_floor(distance: Distance, one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean distance of two samples of these sizes drawn from one population.

    That population is the two samples together, dealt out at random.
    """
    one, other = finite(one), finite(other)
    if not len(one) or not len(other):
        return np.nan
    rng, both = np.random.default_rng(6), np.concatenate([one, other])
    dealt = (rng.permutation(both) for _ in range(RESAMPLINGS))
    return float(np.mean([distance(d[: len(one)], d[len(one) :]) for d in dealt]))


def ks_critical(n: int, m: int) -> float:
    """Return the KS distance that two samples of one population exceed in 5% of cases."""
    return 1.358 * np.sqrt(1.0 / n + 1.0 / m)


def _shares(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all points in order and the gap of the cumulative shares at each."""
    one, other = np.sort(finite(one)), np.sort(finite(other))
    points = np.sort(np.concatenate([one, other]))
    shares = [
        np.searchsorted(sample, points, side="right") / len(sample) for sample in (one, other)
    ]
    return points, shares[0] - shares[1]

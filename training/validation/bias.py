"""Bias curves: how the medians of a generated population differ from the data's, bin by bin."""

import dataclasses
import itertools

import numpy as np

MIN_COUNT = 50  # pairs a bin must hold to count


@dataclasses.dataclass(frozen=True)
class BiasCurve:
    """Relative bias of a median in bins of a condition, with its bootstrap error.

    edges (k + 1,); bias, error and count (k,). Bins with fewer than `MIN_COUNT` pairs are NaN.
    """

    edges: np.ndarray
    bias: np.ndarray
    error: np.ndarray
    count: np.ndarray

    @property
    def worst(self) -> float:
        """Largest absolute bias of any bin that counts."""
        return float(np.nanmax(np.abs(self.bias)))


def bias_curve(
    generated: np.ndarray, data: np.ndarray, condition: np.ndarray, edges: np.ndarray
) -> BiasCurve:
    """Return median(generated) / median(data) - 1 in bins; pairs with a NaN are left out."""
    good = np.isfinite(generated) & np.isfinite(data)
    rng = np.random.default_rng(5)
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = good & (condition >= low) & (condition < high)
        rows.append(_median_bias(generated[inside], data[inside], rng))
    bias, error, count = np.array(rows).T
    return BiasCurve(edges, bias, error, count.astype(int))


def _median_bias(
    generated: np.ndarray, data: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, int]:
    if len(data) < MIN_COUNT:
        return np.nan, np.nan, len(data)
    picks = rng.integers(len(data), size=(100, len(data)))
    resampled = np.median(generated[picks], axis=1) / np.median(data[picks], axis=1)
    return float(np.median(generated) / np.median(data) - 1.0), float(resampled.std()), len(data)

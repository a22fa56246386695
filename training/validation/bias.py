"""Bias curves: how the medians of a generated population differ from the data's, bin by bin."""

import dataclasses
import itertools

import numpy as np

MIN_COUNT = 50  # pairs a bin must hold to count


@dataclasses.dataclass(frozen=True)
class Bias:
    """Relative bias of a median, its bootstrap error and the number of pairs."""

    value: float
    error: float
    count: int


@dataclasses.dataclass(frozen=True)
class BiasCurve:
    """Relative bias of a median in bins of a condition, and over all of them.

    edges (k + 1,); bias, error and count (k,). Bins with fewer than `MIN_COUNT` pairs are NaN.
    """

    edges: np.ndarray
    bias: np.ndarray
    error: np.ndarray
    count: np.ndarray
    whole: Bias

    def worst(self, low: float = -np.inf) -> Bias:
        """Return the largest absolute bias of the bins from `low` that count, NaN if none does."""
        full = np.flatnonzero(np.isfinite(self.bias) & (self.edges[:-1] >= low))
        if not len(full):
            return Bias(np.nan, np.nan, 0)
        k = full[np.argmax(np.abs(self.bias[full]))]
        return Bias(float(self.bias[k]), float(self.error[k]), int(self.count[k]))


def bias_curve(
    generated: np.ndarray, data: np.ndarray, condition: np.ndarray, edges: np.ndarray
) -> BiasCurve:
    """Return median(generated) / median(data) - 1 in bins; pairs with a NaN are left out.

    Give both relative to what the conditions say (flux by the magnitude's, size by flux_radius):
    that takes the spread inside a bin out of the error.
    """
    good = np.isfinite(generated) & np.isfinite(data) & (condition >= edges[0])
    good &= condition < edges[-1]
    rng = np.random.default_rng(5)
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = good & (condition >= low) & (condition < high)
        rows.append(_median_bias(generated[inside], data[inside], rng))
    columns = (np.array([getattr(r, k) for r in rows]) for k in ("value", "error", "count"))
    return BiasCurve(edges, *columns, _median_bias(generated[good], data[good], rng))


def _median_bias(generated: np.ndarray, data: np.ndarray, rng: np.random.Generator) -> Bias:
    if len(data) < MIN_COUNT:
        return Bias(np.nan, np.nan, len(data))
    resampled = []
    for _ in range(100):
        picks = rng.integers(len(data), size=len(data))
        resampled.append(np.median(generated[picks]) / np.median(data[picks]))
    bias = float(np.median(generated) / np.median(data) - 1.0)
    return Bias(bias, float(np.std(resampled)), len(data))

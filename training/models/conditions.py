"""Fit the joint law of a training set's conditions, which the module carries.

The law (`galsim_hub.population`) is a table of quantiles for each condition, and a mixture of
Gaussians of the normal scores, fitted by expectation-maximisation. No row of the catalogue is in
it.
"""

import dataclasses
import math

import numpy as np

from galsim_hub.population import SCORES, Population

COMPONENTS = 24
ITERATIONS = 100
FLOOR = 1e-3  # added to the variances, so that no Gaussian collapses on a repeated value
FITTED_ROWS = 20_000


def fit_population(conditions: np.ndarray, components: int = COMPONENTS) -> Population:
    """Return the law of conditions (n, d), the same for the same conditions in the same order."""
    rng = np.random.default_rng(17)
    conditions = np.asarray(conditions, dtype=float)
    values = quantile_tables(conditions)
    scores = np.stack(
        [np.interp(c, v, SCORES) for c, v in zip(conditions.T, values, strict=True)], 1
    )
    fitted = scores[rng.permutation(len(scores))[:FITTED_ROWS]]
    components = min(components, max(1, len(fitted) // 50))
    law = Population(values, *start(fitted, components, rng), np.zeros(2))
    for _ in range(ITERATIONS):
        law = Population(values, *maximise(fitted, responsibilities(law, fitted)), np.zeros(2))
    log_densities = np.quantile(law.log_density(scores), np.linspace(0.0, 1.0, 201))
    return dataclasses.replace(law, log_densities=log_densities)


def quantile_tables(conditions: np.ndarray) -> np.ndarray:
    """Return each condition's value at each of `SCORES`, strictly rising, (d, len(SCORES))."""
    shares = np.array([0.5 * math.erfc(-score / math.sqrt(2.0)) for score in SCORES])
    shares[[0, -1]] = 0.0, 1.0
    tables = np.quantile(conditions, shares, axis=0).T
    # A value that many galaxies share takes several scores: spread by less than its last digit.
    step = 1e-9 * np.ptp(conditions, axis=0, keepdims=True).T * np.arange(len(SCORES))
    return np.maximum.accumulate(tables, axis=1) + step


def start(scores: np.ndarray, components: int, rng: np.random.Generator) -> tuple:
    """Return equal weights, random rows as means and a narrowed common covariance."""
    means = scores[rng.permutation(len(scores))[:components]]
    covariance = np.cov(scores.T) / components ** (2.0 / scores.shape[1])
    covariance += FLOOR * np.eye(scores.shape[1])
    weights = np.full(components, 1.0 / components)
    return weights, means, np.repeat(covariance[None], components, axis=0)


def responsibilities(law: Population, scores: np.ndarray) -> np.ndarray:
    """Return the probability of each Gaussian for each row, (n, k)."""
    logs = law.log_weights(scores, list(range(scores.shape[1])))
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def maximise(scores: np.ndarray, shares: np.ndarray) -> tuple:
    """Return weights, means and covariances that the shares of the rows ask for."""
    totals = shares.sum(axis=0) + 1e-9
    means = shares.T @ scores / totals[:, None]
    second = (
        np.einsum("nk,ni,nj->kij", shares, scores, scores, optimize=True) / totals[:, None, None]
    )
    covariances = second - means[:, :, None] * means[:, None, :]
    return totals / totals.sum(), means, covariances + FLOOR * np.eye(scores.shape[1])

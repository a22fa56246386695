"""Two moons: two interlocking noisy half circles, whose density and score are known.

The points are those of ``sklearn.datasets.make_moons`` with noise 0.05, less their mean.
"""

import numpy as np

NOISE = 0.05
CENTRE = (0.5, 0.25)
_NODES = 2000  # a moon; 0.0016 apart, far less than the noise


def sample(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points, (n, 2)."""
    angle = np.pi * rng.random(n)
    points = _moons(angle, rng.random(n) < 0.5)
    return points + NOISE * rng.standard_normal((n, 2))


def exact_score(x: np.ndarray, sigma: float) -> np.ndarray:
    """Return the score behind noise, (n, 2): the moons are a mixture of very many Gaussians."""
    offsets, variance, weights = _kernel(x, sigma)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, offsets) / variance


def exact_log_prob(x: np.ndarray, sigma: float) -> np.ndarray:
    """Return the log density behind noise, (n,)."""
    offsets, variance, weights = _kernel(x, sigma)
    nearest = np.min(np.sum(offsets**2, axis=2), axis=1)
    mean = weights.mean(axis=1) / (2.0 * np.pi * variance)
    return np.log(mean) - nearest / (2.0 * variance)


def _kernel(x: np.ndarray, sigma: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Return offsets to every node, the variance, and weights relative to the nearest node's."""
    angle = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    nodes = np.concatenate([_moons(angle, np.full(_NODES, side)) for side in (True, False)])
    variance = NOISE**2 + sigma**2
    offsets = nodes - x[:, None, :]
    squares = np.sum(offsets**2, axis=2)
    weights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2.0 * variance))
    return offsets, variance, weights


def _moons(angle: np.ndarray, is_upper: np.ndarray) -> np.ndarray:
    x = np.where(is_upper, np.cos(angle), 1.0 - np.cos(angle))
    y = np.where(is_upper, np.sin(angle), 0.5 - np.sin(angle))
    return np.stack([x, y], axis=1) - CENTRE

"""What a sampler returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Posterior"]

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Hold samples of a posterior, or the fields that maximise it.

    Attributes
    ----------
    chains : ndarray of float32, shape (draws, chains, ...)
        A draw of every chain after the other.
    diagnostics : dict
        What the sampler says of itself, by name.
    expected : ndarray of float32, shape (chains, ...), optional
        The mean field by the reckoning of every chain, where a sampler knows the mean of what it
        draws from: it scatters less than the mean of draws.
    """

    chains: Array
    diagnostics: dict[str, Any] = field(default_factory=dict)
    expected: Array | None = None

    @property
    def samples(self) -> Array:
        """All draws of all chains, shape (n, ...)."""
        return self.chains.reshape(-1, *self.chains.shape[2:])

    @property
    def mean(self) -> Array:
        """The mean of the posterior, shape event_shape: of `expected`, or of the samples."""
        values = self.samples if self.expected is None else self.expected
        return np.asarray(values.mean(axis=0))

    @property
    def std(self) -> Array:
        """The standard deviation of the samples, shape event_shape."""
        return np.asarray(self.samples.std(axis=0))

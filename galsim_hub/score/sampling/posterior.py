"""What a sampler returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Posterior"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Posterior:
    """Hold samples of a posterior, or the fields that maximise it.

    Attributes
    ----------
    chains : ndarray of float32, shape (draws, chains, ...)
        A draw of every chain after the other.
    diagnostics : dict
        What the sampler says of itself, by name.
    """

    chains: Array
    diagnostics: dict[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> Array:
        """All draws of all chains, shape (n, ...)."""
        return self.chains.reshape(-1, *self.chains.shape[2:])

    @property
    def mean(self) -> Array:
        """The mean of the samples, shape event_shape."""
        return np.asarray(self.samples.mean(axis=0))

    @property
    def std(self) -> Array:
        """The standard deviation of the samples, shape event_shape."""
        return np.asarray(self.samples.std(axis=0))

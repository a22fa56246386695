"""What a search for initial conditions leaves in its folder, and goes on from."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import ReconstructionError
from .posterior import Posterior

__all__ = ["SearchState"]

FILE_NAME = "reconstruction.npz"
PROBE = 1, 2  # seed of the field that models are compared at
MODEL_TOLERANCE = 1e-4  # relative: machines round differently

Tensor = Any


class SearchState:
    """The file that a search is resumed from."""

    def __init__(
        self,
        path: Path,
        identity: str,
        model: NDArray[np.float64],
        white: NDArray[Any],
        values: list[float],
    ) -> None:
        self.path, self.identity, self.model = path, identity, model
        self.white, self.values = white, values

    @classmethod
    def open(
        cls,
        folder: Path,
        posterior: Posterior,
        stages: Sequence[tuple[float, int]],
        method: str,
        start: Tensor,
    ) -> SearchState:
        """Read the state of a folder, or begin."""
        text = f"{method} {[tuple(stage) for stage in stages]} {posterior.box}".encode()
        arrays = map(np.asarray, (posterior.observed, posterior.weight, start))
        identity = hashlib.sha256(text + b"".join(x.tobytes() for x in arrays)).hexdigest()
        model = _describe(posterior, start)
        path = folder / FILE_NAME
        if not path.is_file():
            return cls(path, identity, model, start.numpy(), [])
        try:
            with np.load(path) as file:
                stored = dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ReconstructionError(
                f"{path} cannot be read: {error}. Remove it to begin anew.", str(path)
            ) from error
        same = "model" in stored and str(stored["identity"]) == identity
        same = same and stored["model"].shape == model.shape
        if not same or not np.allclose(stored["model"], model, rtol=MODEL_TOLERANCE, atol=0.0):
            raise ReconstructionError(
                f"{path} is of a search with other data, stages, start, power or forward model. "
                "Choose another folder, or remove it.",
                str(path),
            )
        return cls(path, identity, model, stored["white"], stored["values"].tolist())

    def save(self, white: NDArray[Any], values: list[float]) -> None:
        """Replace the file as a whole, so that a kill leaves the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(temporary, identity=self.identity, model=self.model, white=white, values=values)
        os.replace(temporary, self.path)


def _describe(posterior: Posterior, start: Tensor) -> NDArray[np.float64]:
    """Return what tells a posterior from others of the same data.

    Value and slope of the likelihood at the start, and at a random field: at zeros, where searches
    start, a bias of second order does not show.
    """
    numbers = [posterior.linear_std]
    for white in (start, tf.random.stateless_normal(start.shape, PROBE, dtype=tf.float64)):
        value, gradient = posterior.value_and_gradient(white)
        numbers += [value - 0.5 * tf.reduce_sum(white**2), tf.norm(gradient - white)]
    return np.array(numbers, np.float64)

"""A galaxy module's signatures as functions from arrays to arrays.

This is where a module's card meets its engine; nothing here knows of GalSim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import load_engine
from .errors import EngineError, UnsupportedModuleError
from .latents import standard_normals
from .spec import ModuleSpec

__all__ = ["GalaxyNetwork"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class GalaxyNetwork:
    """Run a galaxy module, loading it in the process that first needs it.

    Attributes
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card.
    given : mapping of str to float
        Conditions that are the same for every galaxy, and so not asked for.
    """

    folder: Path
    spec: ModuleSpec
    given: Mapping[str, float] = field(default_factory=dict)

    def generate(self, conditions: NDArray[np.float64], seeds: Sequence[int]) -> Array:
        """Make the stamps of conditions and seeds.

        Parameters
        ----------
        conditions : ndarray of float64, shape (n, number of inputs)
            Checked, in the card's order and units.
        seeds : sequence of int, length n

        Returns
        -------
        ndarray of float32, shape (n, stamp_size, stamp_size)

        Raises
        ------
        EngineError
            If a pixel is not finite.
        """
        inputs = self._columns(conditions)
        if self.spec.random_name is not None:
            inputs[self.spec.random_name] = standard_normals(seeds, self.spec.random_size)
        return self._images("generate", inputs)

    def decode(self, latents: Array) -> Array:
        """Make the stamps of latent codes.

        Parameters
        ----------
        latents : ndarray of float32, shape (n, latent_size)

        Returns
        -------
        ndarray of float32, shape (n, stamp_size, stamp_size)
        """
        return self._images("decode", {"latents": latents})

    def encode(self, images: Array, psfs: Array, noise_variances: Array) -> tuple[Array, Array]:
        """Infer the latent codes of images.

        Parameters
        ----------
        images : ndarray of float32, shape (n, stamp_size, stamp_size)
        psfs : ndarray of float32, shape (n, psf_size, psf_size)
        noise_variances : ndarray of float32, shape (n,)

        Returns
        -------
        mean, scale : ndarray of float32, shape (n, latent_size)
        """
        inputs = {"image": images, "psf": psfs, "noise_variance": noise_variances}
        outputs = self._run("encode", inputs)
        return outputs["mean"], outputs["scale"]

    def log_prob(self, latents: Array, conditions: NDArray[np.float64]) -> Array:
        """Tell how probable latent codes are under conditions.

        Parameters
        ----------
        latents : ndarray of float32, shape (n, latent_size)
        conditions : ndarray of float64, shape (n, number of inputs)

        Returns
        -------
        ndarray of float32, shape (n,)
        """
        inputs = {"latents": latents, **self._columns(conditions)}
        return self._run("latent_log_prob", inputs)["log_prob"]

    def require(self, signature: str) -> None:
        """Check that the module's card promises a signature.

        Parameters
        ----------
        signature : str

        Raises
        ------
        UnsupportedModuleError
            If it does not.
        """
        if signature not in self.spec.signatures:
            raise UnsupportedModuleError(
                f"Module {self.spec.label} has no signature {signature!r}; it has "
                f"{', '.join(self.spec.signatures)}. Choose a module with one.",
                self.spec.label,
                signature,
            )

    def _columns(self, conditions: NDArray[np.float64]) -> dict[str, Array]:
        asked = self.spec.without(self.given).quantities
        columns = dict(zip(asked, conditions.T.astype(np.float32), strict=True))
        for name, value in self.given.items():
            columns[name] = np.full(len(conditions), value, np.float32)
        return columns

    def _images(self, signature: str, inputs: dict[str, Array]) -> Array:
        if not len(next(iter(inputs.values()))):
            size = self.spec.stamp_size or 0
            return np.empty((0, size, size), dtype=np.float32)
        images = self._run(signature, inputs)["image"]
        is_finite = np.isfinite(images).all(axis=(1, 2))
        if not is_finite.all():
            raise self._not_finite(inputs, int(np.flatnonzero(~is_finite)[0]))
        return images

    def _run(self, signature: str, inputs: dict[str, Array]) -> dict[str, NDArray[Any]]:
        self.require(signature)
        return load_engine(self.folder, self.spec).run(signature, inputs)

    def _not_finite(self, inputs: dict[str, Array], row: int) -> EngineError:
        given = {name: values[row].tolist() for name, values in inputs.items()}
        return EngineError(
            f"Module {self.spec.label} made pixels that are not finite from {given} (row {row}). "
            "Keep to the ranges in its card.",
            "tensorflow",
        )

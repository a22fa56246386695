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

from .backend import load_engine, pick_engine
from .errors import BandError, EngineError, UnsupportedModuleError, suggest
from .latents import standard_normals
from .refinement import refine
from .spec import ModuleSpec

__all__ = ["GalaxyNetwork", "choose_band"]

Array = NDArray[np.float32]


def choose_band(spec: ModuleSpec, band: str | None) -> str | None:
    """Settle which of a module's bands is drawn.

    Parameters
    ----------
    spec : ModuleSpec
        The module's card.
    band : str or None
        What was asked for; a single band need not be.

    Returns
    -------
    str or None
        None for a module that knows of no bands.

    Raises
    ------
    BandError
        If there is no such band, or there are several and none was asked for.
    """
    if band is None and len(spec.bands) <= 1:
        return next(iter(spec.bands), None)
    if band in spec.bands:
        return band
    if not spec.bands:
        message = f"Module {spec.label} knows of no bands, got band={band!r}. Leave band out."
    else:
        message = (
            f"Module {spec.label} has the bands {', '.join(spec.bands)}, got band={band!r}."
            f"{suggest(band or '', spec.bands)} Choose one, such as band={spec.bands[0]!r}."
        )
    raise BandError(message, band, spec.bands)


@dataclass(frozen=True)
class GalaxyNetwork:
    """Run a galaxy module, loading it in the process that first needs it.

    Attributes
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card.
    engine : {'auto', 'light', 'tensorflow'}
        What runs it.
    band : str or None
        Which of the card's bands to give, None if it has none.
    given : mapping of str to float
        Conditions that are the same for every galaxy, and so not asked for.
    """

    folder: Path
    spec: ModuleSpec
    engine: str = "auto"
    band: str | None = None
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
            If a pixel is not finite, or the images are not of the card's shape.
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
        if not len(images):
            none = np.empty((0, self.spec.latent_size or 0), dtype=np.float32)
            return none, none
        inputs = {"image": images, "psf": psfs, "noise_variance": noise_variances}
        outputs = self._run("encode", inputs)
        return outputs["mean"], outputs["scale"]

    def refine(
        self, images: Array, psfs: Array, weights: NDArray[np.float64], means: Array
    ) -> tuple[Array, Array, Array]:
        """Go on from an encoder's answers to the codes that fit the images best.

        Parameters
        ----------
        images : ndarray of float32, shape (n, stamp_size, stamp_size)
        psfs : ndarray of float32, shape (n, psf_size, psf_size)
        weights : ndarray of float64, shape (n, stamp_size, stamp_size)
            One over the noise variance, 0 for a pixel that does not count.
        means : ndarray of float32, shape (n, latent_size)

        Returns
        -------
        mean, scale : ndarray of float32, shape (n, latent_size)
        offset : ndarray of float32, shape (n, 2)
            The galaxies' centres less the stamps', (x, y) [pixel].
        """
        self.require("decode")
        rows = zip(images, psfs, weights, means, strict=True)
        found = [refine(self.decode, *row) for row in rows]
        if not found:
            return means, means, np.empty((0, 2), dtype=np.float32)
        columns = zip(*((row.mean, row.scale, row.offset) for row in found), strict=True)
        mean, scale, offset = map(np.stack, columns)
        return mean, scale, offset

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
        if not len(latents):
            return np.empty(0, dtype=np.float32)
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
        n_rows, size = len(next(iter(inputs.values()))), self.spec.stamp_size or 0
        if not n_rows:
            return np.empty((0, size, size), dtype=np.float32)
        images = self._run(signature, inputs)["image"]
        expected = (n_rows, size, size) + ((len(self.spec.bands),) if self.spec.bands else ())
        if images.shape != expected:
            raise self._wrong_shape(images.shape, expected)
        if self.band is not None:
            images = np.ascontiguousarray(images[..., self.spec.bands.index(self.band)])
        is_finite = np.isfinite(images).all(axis=(1, 2))
        if not is_finite.all():
            raise self._not_finite(inputs, int(np.flatnonzero(~is_finite)[0]))
        return images

    def _run(self, signature: str, inputs: dict[str, Array]) -> dict[str, NDArray[Any]]:
        self.require(signature)
        return load_engine(self.folder, self.spec, self._engine(signature)).run(signature, inputs)

    def _engine(self, signature: str) -> str:
        return pick_engine(self.spec, signature) if self.engine == "auto" else self.engine

    def _wrong_shape(self, got: tuple[int, ...], expected: tuple[int, ...]) -> EngineError:
        return EngineError(
            f"Module {self.spec.label} made images of shape {got}, its card promises {expected}. "
            "Correct stamp_size and bands in the card, or export the module again.",
            "tensorflow",
        )

    def _not_finite(self, inputs: dict[str, Array], row: int) -> EngineError:
        given = [f"{name} = {column[row]:g}" for name, column in inputs.items() if column.ndim == 1]
        return EngineError(
            f"Module {self.spec.label} made pixels that are not finite from "
            f"{', '.join(given) or 'a latent code'} (row {row}). Keep to the ranges in its card.",
            self.engine,
            row,
        )

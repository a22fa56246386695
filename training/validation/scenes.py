"""Observed stamps of held-out conditions: the data's, a generated galaxy's and a Sersic fit's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

from ..data.noise import draw_noise
from ..data.psfs import psf_profile
from ..errors import DataError

if TYPE_CHECKING:  # TensorFlow comes with it, which the measuring processes do without
    from ..data.pipeline import StampSet

KINDS = ("data", "generated", "sersic")
SEED = 20261122  # of the galaxies and the noise that validation draws
BATCH = 64
DRAWING = galsim.GSParams(maximum_fft_size=16384)  # the largest fits need more than the default


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a stamp is observed with, and its pixels: with noise for data, else without.

    `stamp` is the data's own image, a generated galaxy without PSF, or None for a Sersic fit, which
    is drawn where the scene is observed.
    """

    kind: str
    number: int
    ident: int
    conditions: np.ndarray
    psf: np.ndarray
    noise_variance: float
    stamp: np.ndarray | None

    @property
    def seed(self) -> int:
        """Seed of a generated galaxy."""
        return SEED + self.number

    @property
    def noise_seed(self) -> int:
        """Seed of the noise, another for each kind."""
        return 3 * (SEED + self.number) + KINDS.index(self.kind)


def scenes(
    kind: str, stamps: StampSet, split: str, limit: int, model: GenerativeGalaxyModel | None = None
) -> Iterator[Scene]:
    """Yield up to `limit` scenes of a split, in file order; `model` generates galaxies."""
    done = 0
    for batch in stamps.ordered(split, BATCH):
        rows = {k: v.numpy()[: limit - done] for k, v in batch.items()}
        count = len(rows["ident"])
        pixels = [None] * count
        if kind == "data":
            pixels = rows["image"]
        if kind == "generated":
            table = dict(zip(model.quantities, rows["conditions"].T, strict=True))
            pixels = model.sample_images(table, seeds=range(SEED + done, SEED + done + count))
        for i in range(count):
            yield Scene(
                kind,
                done + i,
                int(rows["ident"][i]),
                rows["conditions"][i],
                rows["psf"][i],
                float(rows["noise_variance"][i]),
                pixels[i],
            )
        done += count
        if done >= limit:
            return


def check_agreement(model: GenerativeGalaxyModel, stamps: StampSet, split: str) -> None:
    """Raise `DataError` unless a module can be measured against a split of a stamp set."""
    config = stamps.manifest["config"]
    mine = {"stamp_size": model.stamp_size, "pixel_scale": model.pixel_size}
    for name, value in mine.items():
        if abs(config[name] / value - 1.0) > 1e-6:
            raise DataError(
                f"Module {model.spec.label} has {name} {value}, the stamp set in "
                f"{stamps.directory} {config[name]}: measure it against a set drawn at its own."
            )
    if tuple(stamps.manifest["conditions"]) != model.quantities:
        raise DataError(
            f"Module {model.spec.label} takes {', '.join(model.quantities)}, the stamp set has "
            f"{', '.join(stamps.manifest['conditions'])}: set data.columns."
        )
    if not stamps.count(split):
        raise DataError(
            f"The {split} split of {stamps.directory} is empty: raise data.limit, or choose "
            "another --split."
        )


def see(galaxy: galsim.GSObject, psf: np.ndarray, size: int, scale: float) -> np.ndarray:
    """Draw a galaxy through an effective PSF, noiseless, float64 (size, size)."""
    seen = galsim.Convolve(galaxy, psf_profile(psf, scale), gsparams=DRAWING)
    image = galsim.Image(size, size, scale=scale, dtype=float)
    return seen.drawImage(image, method="no_pixel").array


def add_noise(image: np.ndarray, variance: float, noise: galsim.BaseCorrelatedNoise, scale: float):
    """Return the image with correlated noise of a variance [count^2]."""
    return image + draw_noise(noise.withVariance(variance), len(image), scale)

"""Observed stamps of generated galaxies: the module's galaxy, a real PSF, correlated noise."""

import dataclasses
from collections.abc import Iterator

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

from ..data.noise import draw_noise
from ..data.pipeline import StampSet
from ..data.psfs import psf_profile

SEED = 20261122  # of the galaxies that validation draws


@dataclasses.dataclass(frozen=True)
class Scene:
    """A data stamp and a generated one, of the same conditions, PSF and noise level."""

    conditions: np.ndarray
    data: np.ndarray
    generated: np.ndarray
    noiseless: np.ndarray
    psf: np.ndarray


def scenes(
    model: GenerativeGalaxyModel, stamps: StampSet, split: str, limit: int
) -> Iterator[Scene]:
    """Yield up to `limit` pairs of a split, each generated galaxy drawn by GalSim."""
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(SEED))
    done = 0
    for batch in stamps.ordered(split, 64):
        rows = {k: v.numpy()[: limit - done] for k, v in batch.items()}
        table = dict(zip(model.quantities, rows["conditions"].T, strict=True))
        seeds = [SEED + done + i for i in range(len(rows["image"]))]
        for i, galaxy in enumerate(model.sample(table, seeds=seeds)):
            image = observe(galaxy, rows["psf"][i], float(rows["noise_variance"][i]), noise, model)
            yield Scene(
                rows["conditions"][i], rows["image"][i], image, galaxy.stamp, rows["psf"][i]
            )
        done += len(seeds)
        if done >= limit:
            return


def observe(
    galaxy: galsim.GSObject,
    psf: np.ndarray,
    variance: float,
    noise: galsim.BaseCorrelatedNoise,
    model: GenerativeGalaxyModel,
) -> np.ndarray:
    """Draw a galaxy through an effective PSF on the module's own stamp and add noise, (y, x)."""
    seen = galsim.Convolve(galaxy, psf_profile(psf, model.pixel_size))
    image = galsim.Image(model.stamp_size, model.stamp_size, scale=model.pixel_size, dtype=float)
    seen.drawImage(image, method="no_pixel")
    noise = noise.withVariance(variance)
    return image.array + draw_noise(noise, model.stamp_size, model.pixel_size)

"""Measure what trimming and less padding cost: the worst errors over a catalogue of galaxies.

Each galaxy is drawn as galsim_hub does and from its whole stamp with GalSim's own defaults
(searches, pad_factor=4), as a survey from the ground and one from space see it, as it is and
sheared: without shear its transform is computed where it is needed, with shear interpolated. Shape
is that of adaptive moments, whose weight is as wide as the image of the galaxy, and of moments with
one wide weight for all, which see the border that is cut off.
"""

from __future__ import annotations

import sys

import galsim
import numpy as np

import galsim_hub

N_GALAXIES = 64
SHEARS = (0.0, 0.05, 0.3)
WIDE = 0.6  # [arcsec] of the weight
SURVEYS = {
    "ground, 0.2 arcsec": (galsim.Kolmogorov(fwhm=0.7), 48, 0.2),
    "space, 0.03 arcsec": (galsim.Gaussian(fwhm=0.09), 128, 0.03),
}


def catalogue() -> dict[str, np.ndarray]:
    """Return conditions from the smallest to the largest galaxies that fill their stamp."""
    rng = np.random.default_rng(1)
    rank = rng.uniform(0.0, 1.0, N_GALAXIES)
    magnitude = 25.0 - 4.5 * rank + np.clip(rng.normal(0.0, 0.5, N_GALAXIES), -1.0, 0.2)
    return {
        "flux_radius": 3.2 * (40.0 / 3.2) ** rank,
        "mag_auto": magnitude,
        "zphot": rng.uniform(0.1, 2.0, N_GALAXIES),
    }


def errors(
    ours: galsim.GSObject, theirs: galsim.GSObject, survey: tuple, g2: float = 0.0
) -> tuple[float, ...]:
    """Return the errors of flux, shape (the worse component), size, and shape by a wide weight."""
    psf, side, scale = survey
    images = [
        galsim.Convolve(galaxy.shear(g2=g2) if g2 else galaxy, psf).drawImage(
            nx=side, ny=side, scale=scale, dtype=float
        )
        for galaxy in (ours, theirs)
    ]
    moments = [galsim.hsm.FindAdaptiveMom(image) for image in images]
    flux = images[0].array.sum() / images[1].array.sum() - 1
    shapes = [moment.observed_shape for moment in moments]
    shape = max(abs(shapes[0].g1 - shapes[1].g1), abs(shapes[0].g2 - shapes[1].g2))
    size = abs(moments[0].moments_sigma / moments[1].moments_sigma - 1)
    wide = np.abs(np.subtract(*[wide_shape(image.array, scale) for image in images])).max()
    return abs(flux), shape, size, float(wide)


def wide_shape(image: np.ndarray, scale: float) -> np.ndarray:
    """Return both components of an ellipticity of moments with a wide Gaussian weight."""
    x = (np.arange(len(image)) - 0.5 * (len(image) - 1)) * scale
    seen = image * np.exp(-0.5 * (x[:, None] ** 2 + x**2) / WIDE**2)
    xx, yy, xy = (np.sum(seen * product) for product in (x**2, x[:, None] ** 2, x[:, None] * x))
    return np.array([xx - yy, 2.0 * xy]) / (xx + yy)


def main(file_name: str = "hub:cosmos") -> None:
    """Print the table."""
    model = galsim_hub.GenerativeGalaxyModel(file_name)
    galaxies = model.sample(catalogue(), seeds=range(N_GALAXIES))
    print(f"{'worst error':32}{'flux':>10}{'shape':>10}{'size':>10}{'wide shape':>12}")
    wholes = [
        galsim.InterpolatedImage(galsim.Image(each.stamp.astype(float), scale=model.pixel_size))
        for each in galaxies
    ]
    for name, survey in SURVEYS.items():
        for g2 in SHEARS:
            rows = [errors(*pair, survey, g2=g2) for pair in zip(galaxies, wholes, strict=True)]
            *others, wide = np.max(rows, axis=0)
            title = f"{name}, sheared {g2}" if g2 else name
            print(f"{title:32}" + "".join(f"{worst:10.1e}" for worst in others) + f"{wide:12.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:2])

"""Draw the galaxies of a gallery: every combination of a few conditions, in a few sheets.

A sheet is one picture of many cells, one galaxy a cell, so that moving a slider only moves the
picture. Each view has one sheet a seed, and the same seed is the same galaxy in every cell of it,
drawn at other conditions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galsim_hub import GenerativeGalaxyModel
from galsim_hub.spec import InputSpec, ModuleSpec

COUNTS = (6, 6, 3)  # values of the first, second and third condition
SEEDS = (1, 2, 3, 4)
MARGIN = 0.2  # of a trained range, left out at both ends: few galaxies are there
QUALITY = 82  # of WebP
_ZEROPOINT = 25.94  # [mag], of the noise levels below


@dataclasses.dataclass(frozen=True)
class View:
    """One way of looking at the galaxies.

    Attributes
    ----------
    name, label : str
    pixel : float or None
        [arcsec], None for the module's own.
    psf : callable or None
        Makes the PSF, None for none.
    noise : float
        Standard deviation a pixel [count at zero point 25.94].
    """

    name: str
    label: str
    pixel: float | None = None
    psf: Callable[[], galsim.GSObject] | None = None
    noise: float = 0.0


def _ground_noise(depth: float, seeing: float, pixel: float) -> float:
    """Noise that makes a star of magnitude `depth` a 5 sigma detection."""
    n_effective = 2.266 * (seeing / pixel) ** 2  # Ivezic et al. 2019, ApJ 873, 111, eq. (27)
    return 10 ** (0.4 * (_ZEROPOINT - depth)) / 5 / n_effective**0.5


VIEWS = (
    View("model", "As the model makes it: no PSF, no noise"),
    View(
        "space",
        "From space: 2.4 m mirror, 0.05 arcsec pixels",
        pixel=0.05,
        psf=lambda: galsim.Airy(lam=814, diam=2.4, obscuration=0.33),
        noise=0.005,  # one orbit of HST/ACS
    ),
    View(
        "ground",
        "From the ground: 0.7 arcsec seeing, 0.2 arcsec pixels",
        pixel=0.2,
        psf=lambda: galsim.Moffat(beta=3.5, fwhm=0.7),
        noise=_ground_noise(depth=26.8, seeing=0.7, pixel=0.2),  # ten years of Rubin, i band
    ),
)


def choose_axes(spec: ModuleSpec) -> list[tuple[InputSpec, list[float]]]:
    """Choose the conditions that get a slider, and their values: round numbers, evenly spread."""
    return [
        (condition, [_round(condition.at(MARGIN + (1 - 2 * MARGIN) * f)) for f in _fractions(n)])
        for condition, n in zip(spec.inputs, COUNTS, strict=False)
    ]


def _fractions(n: int) -> list[float]:
    return np.linspace(0, 1, n).tolist()


def _round(value: float) -> float:
    return float(f"{value:.2g}") if abs(value) < 10 else round(value, 1)


def draw_gallery(model: GenerativeGalaxyModel, folder: Path) -> dict[str, Any]:
    """Draw every sheet of a model's gallery, and describe them for the page.

    Returns
    -------
    dict
        ``axes``, ``seeds`` and ``views``, as gallery.js reads them.
    """
    axes = choose_axes(model.spec)
    seeds = SEEDS if model.spec.random_name else SEEDS[:1]
    # A noise level is one of a survey's counts: it says nothing without the zero point.
    views = [view for view in VIEWS if not view.noise or "zeropoint" in model.spec.flux]
    names = {view.name: [] for view in views}
    for seed in seeds:
        galaxies = draw_cells(model, [values for _, values in axes], seed)
        for view in views:
            cells = observe(galaxies, model, view, seed)
            file_name = f"{model.spec.name}-{model.spec.version}-{view.name}-{seed}.webp"
            save_sheet(stretch(cells, view), len(axes[0][1]), folder / file_name)
            names[view.name].append(file_name)
    return {
        "axes": [
            {"name": c.name, "unit": c.unit, "label": c.description or c.name, "values": values}
            for c, values in axes
        ],
        "fixed": {c.name: _round(c.at(0.5)) for c in model.spec.inputs[len(axes) :]},
        "seeds": list(seeds),
        "views": [{"name": v.name, "label": v.label, "sheets": names[v.name]} for v in views],
    }


def draw_cells(
    model: GenerativeGalaxyModel, axes: list[list[float]], seed: int
) -> list[galsim.GSObject]:
    """Draw one galaxy a combination, the first condition varying fastest."""
    grids = [grid.ravel() for grid in np.meshgrid(*axes[::-1], indexing="ij")][::-1]
    catalog = dict(zip(model.quantities, grids, strict=False))
    for condition in model.spec.inputs[len(axes) :]:
        catalog[condition.name] = np.full(len(grids[0]), _round(condition.at(0.5)))
    return model.sample(catalog, seeds=[seed] * len(grids[0]))


def observe(
    galaxies: list[galsim.GSObject], model: GenerativeGalaxyModel, view: View, seed: int
) -> NDArray[np.float64]:
    """Look at the galaxies as a view does; returns cells (n, y, x)."""
    if view.psf is None:
        return np.array([galaxy.stamp for galaxy in galaxies], dtype=float)
    psf, rng = view.psf(), galsim.BaseDeviate(seed)
    size = round(model.stamp_size * model.pixel_size / view.pixel)
    scale = 10 ** (0.4 * (model.spec.flux["zeropoint"] - _ZEROPOINT))
    cells = []
    for galaxy in galaxies:
        seen = galsim.Convolve(galaxy, psf)
        image = seen.drawImage(nx=size, ny=size, scale=view.pixel, dtype=float)
        image.addNoise(galsim.GaussianNoise(rng, sigma=view.noise * scale))
        cells.append(image.array)
    return np.array(cells)


def stretch(cells: NDArray[np.float64], view: View) -> NDArray[np.uint8]:
    """Turn flux into grey, by one scale for all cells: a fainter galaxy is a darker picture."""
    peaks = cells.max(axis=(1, 2))
    noise = np.median(np.abs(cells[:, 0] - np.median(cells[:, 0]))) * 1.48 if view.noise else 0.0
    softening = max(2.0 * noise, np.quantile(peaks, 0.25) / 40)
    black, white = np.arcsinh(np.array([-noise, np.quantile(peaks, 0.6)]) / softening)
    grey = (np.arcsinh(cells / softening) - black) / (white - black)
    return np.round(255 * grey.clip(0, 1)).astype(np.uint8)


def save_sheet(cells: NDArray[np.uint8], columns: int, path: Path) -> None:
    """Lay the cells out in rows, north up, and save them as one picture."""
    n, height, width = cells.shape
    upright = cells[:, ::-1].reshape(n // columns, columns, height, width)
    sheet = upright.transpose(0, 2, 1, 3).reshape(n // columns * height, columns * width)
    Image.fromarray(sheet).save(path, quality=QUALITY, method=6)

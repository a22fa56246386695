"""Noiseless galaxies for the score prior, from the catalogue's fits and from a published generator.

A stamp is what a perfect telescope with pixels of `pixel_scale` and a round Gaussian PSF of one
such pixel would see of a galaxy: smooth enough for its pixels, and sharper than the images that the
prior will meet. Values are linear in flux, because blends add; the total is near one, so that one
prior serves bright and faint galaxies once their flux is roughly known.
"""

import dataclasses
import functools
import json
import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import galsim
import numpy as np

from ..config import DataConfig, fingerprint
from ..errors import DataError
from ..galaxies_config import GalaxyMapsConfig
from .fetch import check_sha256, sha256_of
from .parametric import Galaxy, build_galaxy
from .split import SPLITS, split_of
from .stamps import StampSource

logger = logging.getLogger(__name__)

_AT_ONCE = 32  # rows; so many of a module's stamps are made together
_SAY_EVERY = 500  # stamps

Draw = Callable[[np.ndarray], tuple[np.ndarray, float]]


class GalaxyDrawer:
    """Draw galaxies of the catalogue, as they are fitted or as a generator imagines them.

    All is done in Fourier space on one grid, of twice the stamp's width and twice its pixels'
    Nyquist wavenumber. GalSim's own search for a grid without any folding takes ten times as long,
    and seconds for the steepest profiles.
    """

    def __init__(self, config: GalaxyMapsConfig):
        self.config = config
        if config.catalogue_sha256:
            check_sha256(config.catalogue, config.catalogue_sha256)
        columns = DataConfig(
            config.directory,
            catalogue=config.catalogue,
            exclusion_level=config.exclusion_level,
            knots=config.knots,
            seed=config.seed,
        )
        self.source = StampSource(columns)
        self._n, self._step = 4 * config.size, np.pi / (config.size * config.pixel_scale)
        self._k = self._step * (np.arange(self._n) - self._n // 2)
        pixel = np.sinc(0.5 * self._k * config.pixel_scale / np.pi)
        width = config.smoothing / (2.0 * np.sqrt(2.0 * np.log(2.0)))
        self._response = pixel * np.exp(-0.5 * (self._k * width) ** 2)  # along either axis

    def rows(self, split: str) -> np.ndarray:
        """Return the catalogue's usable rows of a split, in a fixed random order."""
        number = SPLITS.index(split)
        rows = np.flatnonzero(self.source.usable() & (split_of(self.source.idents) == number))
        return np.random.default_rng([self.config.seed, number]).permutation(rows)

    def fitted(self, row: int) -> Galaxy:
        """Return the galaxy of the fit, with knots, at a random angle."""
        rng = self.source.rng(row, 0)
        galaxy = build_galaxy(self.source.catalogue, row, self.config.knots, rng)
        return galaxy.rotate(2.0 * np.pi * galsim.UniformDeviate(rng)() * galsim.radians)

    def draw_fitted(self, row: int, offset: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the stamp of the fitted galaxy, (size, size), and the share of flux it holds.

        `offset` is x and y of the galaxy from the stamp's centre [pixel].
        """
        galaxy = self.fitted(row)
        modes = galaxy.smooth.drawKImage(nx=self._n, ny=self._n, scale=self._step).array
        x, y = (np.exp(-1j * np.outer(self._k, points)) for points in galaxy.knots.T)
        modes = modes + galaxy.knot_flux * (y @ x.T)
        x, y = self._waves_at(offset)
        image = (y @ modes @ x.T).real
        return image, float(image.sum() / modes[self._n // 2, self._n // 2].real)

    def draw_generated(self, stamp: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the stamp of a generated galaxy, and which share of its flux it holds."""
        places = np.arange(len(stamp)) - 0.5 * (len(stamp) - 1)
        back = np.exp(-1j * np.outer(self._k, places * self._generator.pixel_size))
        x, y = ((waves @ back).real for waves in self._waves_at(offset))
        image = y @ stamp @ x.T
        return image, float(image.sum() / stamp.sum())

    def generated(self, rows: np.ndarray) -> np.ndarray:
        """Return what the generator makes of some rows' conditions, on pixels of its own."""
        conditions = self.source.conditions[rows].T
        table = dict(zip(self.source.config.columns, conditions, strict=True))
        ids = [int(ident) for ident in self.source.idents[rows]]
        return self._generator.sample_images(table, obj_ids=ids)

    def _waves_at(self, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the waves of either axis at the stamp's pixels, behind pixel and smoothing."""
        size, scale = self.config.size, self.config.pixel_scale
        places = scale * (np.arange(size) - 0.5 * (size - 1))
        x, y = (
            np.exp(1j * np.outer(places - scale * move, self._k)) * self._response / (2 * size)
            for move in offset
        )
        return x, y

    @functools.cached_property
    def _generator(self):
        import galsim_hub

        # The faintest and the largest galaxies lie outside of what it was trained on, and are
        # asked for all the same: the fits have them too.
        return galsim_hub.GenerativeGalaxyModel(self.config.generator, on_extrapolate="ignore")


def build(config: GalaxyMapsConfig) -> dict:
    """Write the stamps of all splits, then the manifest, and return it.

    Raises
    ------
    DataError
        If the catalogue is missing, or not the one that the recipe means.
    """
    drawer = GalaxyDrawer(config)
    folder = pathlib.Path(config.directory)
    folder.mkdir(parents=True, exist_ok=True)
    left_out, std = {}, {}
    for split in SPLITS:
        stamps, idents, left_out[split] = draw_split(drawer, split)
        std[split] = float(stamps.std())
        for name, values in ((split, stamps), (f"{split}_ident", idents)):
            part = folder / f"{name}.part.npy"
            np.save(part, values)
            os.replace(part, folder / f"{name}.npy")
        logger.info("%s: %d stamps, rms %.4f", split, len(stamps), std[split])
    manifest = {
        "config": dataclasses.asdict(config),
        "config_sha256": fingerprint(config),
        "pixel_scale_arcmin": config.pixel_scale / 60.0,
        "smoothing": config.smoothing,
        "shape": [config.size, config.size],
        "counts": {split: config.count(split) for split in SPLITS},
        "left_out": left_out,
        "std": std,
        "inputs": {pathlib.Path(config.catalogue).name: sha256_of(config.catalogue)},
        "maps": {split: sha256_of(folder / f"{split}.npy") for split in SPLITS},
        "split": "by galaxy: training.data.split",
        "units": {"maps": "flux of a pixel, of a total near 1", "smoothing": "arcsec, FWHM"},
    }
    part = folder / "manifest.json.part"
    part.write_text(json.dumps(manifest, indent=1))
    os.replace(part, folder / "manifest.json")
    return manifest


def draw_split(drawer: GalaxyDrawer, split: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return stamps float32 (n, size, size), their IDENTs, and how many galaxies were left out.

    Raises
    ------
    DataError
        If the split has fewer galaxies than the recipe asks for.
    """
    config, wanted = drawer.config, drawer.config.count(split)
    stamps = np.zeros((wanted, config.size, config.size), np.float32)
    idents, left_out, n_drawn = np.zeros(wanted, np.int64), 0, 0
    for row, draw in _galaxies(drawer, split):
        if n_drawn == wanted:
            return stamps, idents, left_out
        rng = np.random.default_rng([config.seed, int(drawer.source.idents[row]), 1])
        image, inside = draw(config.dither * rng.uniform(-1.0, 1.0, 2))
        # The fits of a few galaxies are wider than any stamp; a truncated one would teach edges.
        if not config.least_inside <= inside <= 1.0 / config.least_inside:
            left_out += 1
            continue
        flux = config.flux_spread ** rng.uniform(-1.0, 1.0)
        stamps[n_drawn] = flux * image / image.sum()
        idents[n_drawn] = drawer.source.idents[row]
        n_drawn += 1
        if n_drawn % _SAY_EVERY == 0:
            logger.info("%s: %d of %d stamps", split, n_drawn, wanted)
    raise DataError(f"Only {n_drawn} galaxies of the {split} split fit: lower `{split}`.")


def _galaxies(drawer: GalaxyDrawer, split: str) -> Iterator[tuple[int, Draw]]:
    """Yield rows, and how to draw each at an offset; of every few rows, the first are generated."""
    rows = drawer.rows(split)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        n_generated = round(drawer.config.generated * len(some))
        made = drawer.generated(some[:n_generated]) if n_generated else []
        for row, stamp in zip(some[:n_generated], made, strict=True):
            yield row, functools.partial(drawer.draw_generated, stamp)
        for row in some[n_generated:]:
            yield row, functools.partial(drawer.draw_fitted, row)

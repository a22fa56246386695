"""Where a score prior's samples come from; every batch is a function of the seed and the step."""

import functools
import hashlib
import json
import pathlib
from typing import Protocol

import numpy as np

from galsim_hub.score.fourier import wavenumbers

from ..config import ScoreDataConfig
from ..errors import ConfigError, DataError
from . import two_moons

ARCMIN = 60.0  # [arcsec]
_SPLITS = {"train": 0, "validation": 1, "test": 2}
_MEASURED = 512  # samples behind the standard deviation and the power spectrum
_BINS = 32  # of the power spectrum


class Source(Protocol):
    """Say what a fit needs of its data."""

    identity: str  # hash of what the samples are
    event_shape: tuple[int | None, ...]  # of the module; None is any side
    pixel_scale: float | None  # [arcsec]
    smoothing: float | None  # of sources on stamps [arcsec, FWHM]

    def batch(self, split: str, n: int, seed: int, step: int) -> np.ndarray:
        """Return samples as float32, (n, ...)."""


class TwoMoons:
    """Points of the two moons."""

    identity = f"two moons {two_moons.NOISE}"
    event_shape = (2,)
    pixel_scale = None
    smoothing = None

    def batch(self, split: str, n: int, seed: int, step: int) -> np.ndarray:
        """Return points, (n, 2)."""
        rng = np.random.default_rng([seed, _SPLITS[split], step])
        return two_moons.sample(n, rng).astype(np.float32)


class GaussianField:
    """Periodic Gaussian fields of a known power spectrum."""

    event_shape = (None, None)
    pixel_scale = None
    smoothing = None

    def __init__(self, config: ScoreDataConfig):
        self.config = config
        self.identity = f"gaussian field {config.crop} {config.amplitude} {config.knee}"

    def power(self, k: np.ndarray) -> np.ndarray:
        """Return the power of modes with wavenumbers k [radian / pixel]."""
        return self.config.amplitude / (1.0 + (k / self.config.knee) ** 2) ** 2

    def batch(self, split: str, n: int, seed: int, step: int) -> np.ndarray:
        """Return fields, (n, crop, crop)."""
        shape = (self.config.crop, self.config.crop)
        rng = np.random.default_rng([seed, _SPLITS[split], step])
        modes = np.fft.rfft2(rng.standard_normal((n, *shape), dtype=np.float32))
        fields = np.fft.irfft2(modes * np.sqrt(self.power(wavenumbers(shape))), s=shape)
        return fields.astype(np.float32)


class Maps:
    """Squares cut at random out of maps in a folder."""

    event_shape: tuple[int | None, ...] = (None, None)
    smoothing: float | None = None

    def __init__(self, config: ScoreDataConfig):
        self.config = config
        self.folder = pathlib.Path(config.directory or "")
        text = _read(self.folder / "manifest.json").read_text()
        self.manifest = json.loads(text)
        self.pixel_scale = ARCMIN * self.manifest["pixel_scale_arcmin"]
        shapes = "/".join(str(self.maps(split).shape) for split in _SPLITS)
        what = f"{text}{shapes}{config.crop}{config.margin}{config.is_isotropic}"
        self.identity = hashlib.sha256(what.encode()).hexdigest()

    @functools.cache  # noqa: B019 - a fit has one set of maps, and it lives as long as the process
    def maps(self, split: str) -> np.ndarray:
        """Return a split's maps, (n, y, x), read from disk as they are needed."""
        maps = np.load(_read(self.folder / f"{split}.npy"), mmap_mode="r")
        if maps.ndim != 3 or min(maps.shape[1:]) < self.config.crop or not len(maps):
            raise DataError(
                f"{self.folder / split}.npy has shape {maps.shape}: expected maps of at least "
                f"{self.config.crop} pixels a side. Lower the recipe's data.crop."
            )
        return maps[: self.config.count]

    def batch(self, split: str, n: int, seed: int, step: int) -> np.ndarray:
        """Return squares, (n, crop, crop)."""
        rng, maps = np.random.default_rng([seed, _SPLITS[split], step]), self.maps(split)
        crops = np.empty((n, self.config.crop, self.config.crop), np.float32)
        for crop in crops:
            crop[:] = self._cut(maps[rng.integers(len(maps))], rng)
        if not np.isfinite(crops).all():
            raise DataError(f"Maps of {self.folder / split}.npy are not finite: make them again.")
        return crops

    def _cut(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        side = self.config.crop
        top, left = (rng.integers(size - side + 1) for size in image.shape)
        square = image[top : top + side, left : left + side]
        if self.config.is_isotropic:
            square = np.rot90(square, rng.integers(4))
            square = square[:, ::-1] if rng.integers(2) else square
        return square


class Galaxies(Maps):
    """Stamps of galaxies that fade before the border, in linear units of flux."""

    def __init__(self, config: ScoreDataConfig):
        self.event_shape = (config.crop, config.crop)
        super().__init__(config)
        self.smoothing = self.manifest["smoothing"]

    def maps(self, split: str) -> np.ndarray:
        """Return a split's stamps, (n, crop, crop)."""
        stamps = super().maps(split)
        if stamps.shape[1:] != self.event_shape:
            raise DataError(
                f"{self.folder / split}.npy has stamps of {stamps.shape[1:]} pixels: set data.crop "
                f"to their size, not to {self.config.crop}, or their centres are lost."
            )
        return stamps


def open_source(config: ScoreDataConfig) -> Source:
    """Return the source that a recipe names.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    sources = {
        "two_moons": lambda _: TwoMoons(),
        "gaussian_field": GaussianField,
        "maps": Maps,
        "galaxies": Galaxies,
    }
    if config.source not in sources:
        raise ConfigError(f"data.source must be one of {sorted(sources)}, got {config.source!r}.")
    return sources[config.source](config)


def measure_std(source: Source, seed: int) -> float:
    """Return the standard deviation of the data's values."""
    return float(np.sqrt(np.mean(source.batch("train", _MEASURED, seed, 0).astype(float) ** 2)))


def measure_power(fields: np.ndarray, *, is_periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return wavenumbers [radian / pixel] and the mean square of modes in even steps of log k.

    Fields that are no torus are multiplied by a Hann window first, or the jump at their border
    would fill in the faint small scales.
    """
    shape = fields.shape[1:]
    if not is_periodic:
        window = np.outer(*(np.hanning(side + 2)[1:-1] for side in shape))
        fields = fields * (window / np.sqrt(np.mean(window**2)))
    squares = np.mean(np.abs(np.fft.rfft2(fields, norm="ortho")) ** 2, axis=0)
    k = wavenumbers(shape)
    edges = np.geomspace(1.5 * k[0, 1], k.max() * 1.001, _BINS)
    # The lowest bin, of a few modes alone, ends where there are enough of them.
    which = np.digitize(k.ravel(), edges)[1:]
    weights = np.bincount(which, minlength=_BINS)
    total = np.bincount(which, squares.ravel()[1:], minlength=_BINS)
    place = np.bincount(which, np.log(k.ravel()[1:]), minlength=_BINS)
    is_filled = weights > 0
    return (
        np.exp(place[is_filled] / weights[is_filled]),
        total[is_filled] / weights[is_filled],
    )


def _read(path: pathlib.Path) -> pathlib.Path:
    if not path.is_file():
        raise DataError(
            f"There is no {path}: data.directory must hold train.npy, validation.npy, test.npy and "
            "manifest.json."
        )
    return path

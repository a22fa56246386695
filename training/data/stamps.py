"""One stamp of the training set: galaxy, PSF, noise and conditions, from either source."""

import dataclasses
import functools
import hashlib
import pathlib

import galsim
import numpy as np

from ..config import DataConfig
from ..errors import DataError
from .noise import draw_noise
from .parametric import Galaxy, build_galaxy
from .psfs import load_psfs, pad_psf, psf_profile, register_psf, shift_psf

# The largest fits reach half-light radii of seconds of arc. Against GalSim's default folding
# threshold (5e-3) this one halves the time; no pixel moves by more than 2e-3 of the peak (median
# 1e-6).
DRAWING = galsim.GSParams(maximum_fft_size=16384, folding_threshold=0.02)


@dataclasses.dataclass(frozen=True)
class Stamp:
    """Image [count], PSF (sum 1), noise variance [count^2], conditions, IDENT and PSF number."""

    image: np.ndarray
    psf: np.ndarray
    noise_variance: float
    conditions: np.ndarray
    ident: int
    psf_index: int


class StampSource:
    """Build any stamp of a stamp set, each from a seed of its own.

    A stamp depends on the configuration, the galaxy's IDENT and the realisation only, never on
    which process or shard asks for it.
    """

    def __init__(self, config: DataConfig):
        self.config = config
        self.catalogue = open_catalogue(config)

    def __len__(self) -> int:
        return self.catalogue.nobjects

    @functools.cached_property
    def idents(self) -> np.ndarray:
        """IDENT of every galaxy, int64 (n,)."""
        return np.asarray(
            self.catalogue.param_cat["IDENT"][self.catalogue.orig_index], dtype=np.int64
        )

    @functools.cached_property
    def conditions(self) -> np.ndarray:
        """Conditions of every galaxy in the order of `CONDITIONS`, float32 (n, 3)."""
        columns = [self._column(name) for name in self.config.columns.values()]
        return np.stack(columns, axis=1).astype(np.float32)

    def input_files(self) -> list[pathlib.Path]:
        """Return every file that the stamps are made from."""
        catalogue = pathlib.Path(self.config.catalogue)
        if self.config.source == "parametric":
            return [catalogue, *([pathlib.Path(self.config.psfs)] if self.config.psfs else [])]
        cat = self.catalogue.real_cat
        named = [*cat.gal_file_name, *cat.psf_file_name, *cat.noise_file_name]
        images = {catalogue.parent / pathlib.Path(name).name for name in named}
        fits_table = catalogue.with_name(catalogue.name.replace(".fits", "_fits.fits"))
        return [catalogue, fits_table, *sorted(images)]

    def usable(self) -> np.ndarray:
        """Return which galaxies have finite conditions, positive where a logarithm is taken."""
        names = list(self.config.columns)
        good = np.all(np.isfinite(self.conditions), axis=1)
        return good & np.all(
            self.conditions[:, [names.index("flux_radius"), names.index("zphot")]] > 0, axis=1
        )

    def rng(self, index: int, realisation: int) -> galsim.BaseDeviate:
        """Return the galaxy's own random deviate."""
        text = f"{self.config.seed}/{self.idents[index]}/{realisation}"
        return galsim.BaseDeviate(
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1 or 1
        )

    def make(self, index: int, realisation: int = 0) -> Stamp:
        """Draw one stamp.

        Raises
        ------
        galsim.GalSimError
            If GalSim cannot draw the galaxy (an FFT beyond `FFT_LIMIT`, a degenerate fit).
        """
        rng = self.rng(index, realisation)
        image, psf, variance, psf_index = getattr(self, f"_make_{self.config.source}")(index, rng)
        return Stamp(
            image, psf, variance, self.conditions[index], int(self.idents[index]), psf_index
        )

    def draw_noiseless(
        self, galaxy: Galaxy, psf_index: int, offset: tuple[float, float] = (0.0, 0.0)
    ) -> galsim.Image:
        """Draw a galaxy and one of the PSFs, float64 [count], `offset` from the true centre."""
        size, scale = self.config.stamp_size, self.config.pixel_scale
        smooth = galsim.Convolve(galaxy.smooth, self._psf_profile(psf_index), gsparams=DRAWING)
        image = smooth.drawImage(
            galsim.Image(size, size, scale=scale, dtype=float), method="no_pixel", offset=offset
        )
        if len(galaxy.knots):
            knots = draw_points(galaxy.knots / scale + offset, self._psf_transform(psf_index), size)
            image.array[:] += galaxy.knot_flux * knots
        return image

    def _make_parametric(self, index: int, rng: galsim.BaseDeviate) -> tuple:
        config, uniform = self.config, galsim.UniformDeviate(rng)
        psf_index = int(uniform() * len(self._psfs))
        low, high = np.log(config.noise_variance)
        variance = float(np.exp(low + (high - low) * uniform()))
        angle = uniform() * 2.0 * np.pi * galsim.radians
        galaxy = build_galaxy(self.catalogue, index, config.knots, rng)
        if config.rotate:
            galaxy = galaxy.rotate(angle)
        # Where the galaxy lies in its pixel is the PSF's business, so galaxies stay centred.
        offset = tuple(config.psf_dither * (2.0 * uniform() - 1.0) for _ in range(2))
        image = self.draw_noiseless(galaxy, psf_index, offset)
        psf = shift_psf(self._psfs[psf_index], *offset)
        noise = self._noise.withVariance(variance).copy(rng=rng)
        image.array[:] += draw_noise(noise, config.stamp_size, config.pixel_scale)
        return image.array.astype(np.float32), psf, variance, psf_index

    def _make_real(self, index: int, rng: galsim.BaseDeviate) -> tuple:
        try:
            stamp, psf, _, scale, variance = self.catalogue.getRealParams(index)
        except (OSError, TypeError, ValueError) as error:
            raise DataError(
                f"The stamp of IDENT {self.idents[index]} cannot be read ({error}): a file beside "
                f"{self.config.catalogue} is damaged; get it again."
            ) from error
        if abs(scale / self.config.pixel_scale - 1.0) > 1e-6:
            raise DataError(
                f"Stamp of IDENT {self.idents[index]} has {scale} arcsec/pixel, not "
                f"{self.config.pixel_scale}: set data.pixel_scale."
            )
        noise = galsim.getCOSMOSNoise(rng=rng, variance=float(variance))
        image = place_in_noise(stamp.array, noise, self.config.stamp_size, scale)
        odd = psf.array[
            : psf.array.shape[0] - 1 + psf.array.shape[0] % 2,
            : psf.array.shape[1] - 1 + psf.array.shape[1] % 2,
        ]
        psf = register_psf(pad_psf(odd, self.config.psf_size), image)
        return image, psf, float(variance), index

    def _column(self, name: str) -> np.ndarray:
        table = self.catalogue.param_cat
        if name in (table.dtype.names or ()):
            return np.asarray(table[name], dtype=float)[self.catalogue.orig_index]
        if self.config.source == "real" and name == "MAG":
            return np.asarray(self.catalogue.real_cat.mag, dtype=float)[self.catalogue.orig_index]
        raise DataError(
            f"The catalogue has no column {name!r}; it has {', '.join(table.dtype.names)}. "
            "Set data.columns."
        )

    @functools.cached_property
    def _psfs(self) -> np.ndarray:
        return load_psfs(self.config.psfs, self.config.psf_size, self.config.pixel_scale)

    @functools.cached_property
    def _noise(self) -> galsim.BaseCorrelatedNoise:
        return galsim.getCOSMOSNoise()

    @functools.lru_cache(maxsize=512)  # noqa: B019 - the source lives as long as its process
    def _psf_profile(self, index: int) -> galsim.GSObject:
        return psf_profile(self._psfs[index], self.config.pixel_scale)

    @functools.lru_cache(maxsize=512)  # noqa: B019
    def _psf_transform(self, index: int) -> np.ndarray:
        size, scale = 2 * self.config.stamp_size, self.config.pixel_scale
        image = self._psf_profile(index).drawKImage(
            nx=size, ny=size, scale=2.0 * np.pi / (size * scale)
        )
        return np.fft.ifftshift(image.array).astype(np.complex64)


def open_catalogue(config: DataConfig) -> galsim.COSMOSCatalog:
    """Open the catalogue of a stamp set.

    Raises
    ------
    DataError
        If the file is missing or cannot be read, or the source is neither 'real' nor 'parametric'.
    """
    if config.source not in ("real", "parametric"):
        raise DataError(f"data.source is {config.source!r}; it must be 'real' or 'parametric'.")
    path = pathlib.Path(config.catalogue)
    if not path.is_file():
        raise DataError(
            f"No catalogue at {path}. 'make data' fetches the parametric one; the real sample "
            "comes from GalSim's galsim_download_cosmos."
        )
    try:
        return galsim.COSMOSCatalog(
            path.name,
            dir=str(path.parent),
            use_real=config.source == "real",
            exclusion_level=config.exclusion_level,
        )
    except (OSError, KeyError, galsim.GalSimError) as error:
        raise DataError(
            f"GalSim cannot read the catalogue {path} as one of source {config.source!r} "
            f"({error}): see galsim.COSMOSCatalog for the files and columns that it needs."
        ) from error


def draw_points(points: np.ndarray, psf_transform: np.ndarray, size: int) -> np.ndarray:
    """Draw unit point sources seen through a PSF, (size, size).

    GalSim sums a phase over all knots at every wave number; as a product of two thin matrices the
    same sum takes a millisecond.

    Parameters
    ----------
    points
        (n, 2), x and y from the stamp's true centre [pixel]. Those that a stamp of twice the
        size does not hold are left out: they would wrap.
    psf_transform
        Transform of the PSF on the grid of a stamp of twice the size, unshifted.
    """
    padded = len(psf_transform)
    points = points[np.all(np.abs(points) < padded / 2 - size / 4, axis=1)]
    wave_numbers = 2.0j * np.pi * np.fft.fftfreq(padded)
    x, y = (np.exp(-np.outer(wave_numbers, p + (padded - 1) / 2)) for p in points.T)
    image = np.fft.ifft2((y @ x.T) * psf_transform).real
    low = (padded - size) // 2
    return image[low : low + size, low : low + size]


def place_in_noise(
    stamp: np.ndarray, noise: galsim.BaseCorrelatedNoise, size: int, scale: float
) -> np.ndarray:
    """Centre a real stamp in (size, size) pixels; where it does not reach, draw its own noise."""
    out = draw_noise(noise, size, scale).astype(np.float32)
    rows, columns = (min(size, n) for n in stamp.shape)
    y, x = (size - rows) // 2, (size - columns) // 2
    v, u = (stamp.shape[0] - rows) // 2, (stamp.shape[1] - columns) // 2
    out[y : y + rows, x : x + columns] = stamp[v : v + rows, u : u + columns]
    return out

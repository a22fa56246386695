"""From a map of shear to every map of mass, and to files."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from ..registry import locate
from .field import Field
from .kaiser_squires import DirectMap, kaiser_squires, smooth
from .peaks import APART, find_peaks
from .posterior import Progress, sample_gaussian, sample_learned
from .shear_map import ShearMap
from .spectrum import SpectrumTable
from .wiener import GaussianPosterior

__all__ = ["FILES", "GAUSSIAN", "MassMaps", "check_free", "map_mass"]

GAUSSIAN = "gaussian"
_PEAKS = "peaks.ecsv"
FILES = (
    *(f"{name}.fits" for name in ("kaiser_squires", "wiener", "posterior_mean", "posterior_std")),
    "samples.fits",
    _PEAKS,
)


@dataclasses.dataclass(frozen=True, eq=False)
class MassMaps:
    """Hold all maps of one patch of sky.

    Attributes
    ----------
    field : Field
    direct : DirectMap
        Of Kaiser and Squires.
    wiener : ndarray of float64, shape (y, x)
    samples : ndarray of float32, shape (n, y, x)
        Of the posterior.
    mean : ndarray of float64, shape (y, x)
        Of the posterior, known better than by its samples: the Wiener filter under a Gaussian
        prior, what a sampler expected of each of its draws under another.
    about : mapping of str to str, number or (number, str)
        FITS keywords: values, some with what they are.
    diagnostics : mapping
        What the sampler says of itself; empty where samples are exact.
    """

    field: Field
    direct: DirectMap
    wiener: NDArray[np.float64]
    samples: NDArray[np.float32]
    mean: NDArray[np.float64]
    about: Mapping[str, Any]
    diagnostics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def std(self) -> NDArray[np.float64]:
        """The standard deviation of the posterior, from its samples."""
        return self.samples.std(axis=0, ddof=1, dtype=np.float64)

    def peaks(self, threshold: float = 0.0) -> Any:
        """List the peaks of the posterior's mean, with the direct map at the same places.

        Their standard deviation is that of the samples, averaged within an arcminute.

        Parameters
        ----------
        threshold : float
            The least mean by its standard deviation.

        Returns
        -------
        astropy.table.Table
            As `find_peaks` gives it, and the columns kaiser_squires and
            kaiser_squires_significance.
        """
        is_mapped = np.isfinite(self.direct.convergence)
        # Few samples know the scatter of a pixel badly, that of its neighbourhood well.
        variance = smooth(self.std**2, APART / 2, self.field.pixel_scale)
        table = find_peaks(self.field, self.mean, np.sqrt(variance), is_mapped, threshold=threshold)
        at = table["y"], table["x"]
        table["kaiser_squires"] = self.direct.convergence[at]
        table["kaiser_squires_significance"] = table["kaiser_squires"] / self.direct.noise_std[at]
        return table

    def write(self, folder: Path, threshold: float = 0.0) -> list[Path]:
        """Write the maps as FITS images with their place on the sky, and the table of peaks.

        Parameters
        ----------
        folder : pathlib.Path
            Made if it is not there; files of another run are replaced, all or none.
        threshold : float
            Of the peaks.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        MassMapError
            If a folder has the name of a file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        check_free(folder, FILES)
        with tempfile.TemporaryDirectory(prefix=".massmap-", dir=folder) as new:
            self._write_images(Path(new))
            self.peaks(threshold).write(Path(new) / _PEAKS)
            return [(Path(new) / name).replace(folder / name) for name in FILES]

    def _write_images(self, folder: Path) -> None:
        from astropy.io import fits

        header = self.field.wcs().to_header()
        for name, value in self.about.items():
            header[name] = _printable(value) if isinstance(value, str) else value
        direct = fits.HDUList([fits.PrimaryHDU(_single(self.direct.convergence), header)])
        for name, values in (("B_MODE", self.direct.b_mode), ("NOISE", self.direct.noise_std)):
            direct.append(fits.ImageHDU(_single(values), header, name=name))
        images: dict[str, NDArray[Any]] = {
            "wiener": self.wiener,
            "posterior_mean": self.mean,
            "posterior_std": self.std,
            "samples": self.samples,
        }
        files = {name: fits.PrimaryHDU(_single(values), header) for name, values in images.items()}
        for name, hdus in {"kaiser_squires": direct, **files}.items():
            hdus.writeto(folder / f"{name}.fits")


def check_free(folder: Path, names: Iterable[str]) -> None:
    """Check that files can be given their names.

    Parameters
    ----------
    folder : pathlib.Path
    names : iterable of str

    Raises
    ------
    MassMapError
        If a folder has one of them.
    """
    for path in (folder / name for name in names):
        if path.is_dir():
            raise MassMapError(
                f"{path} is a folder, where a file is to be written. Move it away, or choose "
                "another folder for the maps.",
                "folder",
                str(path),
            )


def map_mass(
    shear_map: ShearMap,
    spectrum: SpectrumTable,
    *,
    prior: str = GAUSSIAN,
    n_samples: int = 16,
    seed: int = 1,
    smoothing: float = 1.0,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> MassMaps:
    """Make every map of mass of a map of shear.

    Parameters
    ----------
    shear_map : ShearMap
    spectrum : SpectrumTable
        Of the Wiener filter, and of the Gaussian prior.
    prior : str
        ``gaussian``, or the address of a module of kind ``score_prior``.
    n_samples : int
        2 or more.
    seed : int
        Not negative.
    smoothing : float
        Of the direct map [arcmin].
    checkpoint : path, optional
        File to go on from, if the run was interrupted.
    progress : callable, optional
        Is told how much of the sampling is done, and how much there is.

    Returns
    -------
    MassMaps

    Raises
    ------
    MassMapError
        If an argument makes no map.
    """
    for name, value, least in (("n_samples", n_samples, 2), ("seed", seed, 0)):
        if value < least:
            raise MassMapError(f"{name} must be {least} or more, got {value}.", name, value)
    if prior != GAUSSIAN:
        prior = locate(prior).address  # with its version, which the maps are to say
    direct = kaiser_squires(shear_map, smoothing)
    gaussian = GaussianPosterior(shear_map, spectrum.of_modes(shear_map.field))
    settings: dict[str, Any] = {"seed": seed, "checkpoint": checkpoint, "progress": progress}
    wiener = gaussian.mean()
    if prior == GAUSSIAN:
        samples, diagnostics = sample_gaussian(gaussian, n_samples, **settings), {}
        mean = wiener
    else:
        posterior = sample_learned(prior, shear_map, n_samples, **settings)
        samples, diagnostics = posterior.samples, posterior.diagnostics
        mean = posterior.mean.astype(np.float64)
    about = {
        "PRIOR": prior,  # without a comment: an address may be long
        "NSAMPLES": n_samples,
        "SEED": seed,
        "SMOOTH": (smoothing, "[arcmin] std of the direct map's Gaussian"),
        "NGAL": (int(shear_map.n_galaxies.sum()), "galaxies in the field"),
    }
    return MassMaps(shear_map.field, direct, wiener, samples, mean, about, diagnostics)


def _printable(text: str) -> str:
    """Escape what a FITS header cannot hold."""
    is_plain = text.isascii() and text.isprintable()
    return text if is_plain else text.encode("unicode_escape").decode()


def _single(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32)

"""Power spectra of convergence as tables, for Gaussian priors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from ..flat_sky import ARCMIN
from .field import Field

__all__ = ["SpectrumTable", "read_spectrum"]


@dataclass(frozen=True, eq=False)
class SpectrumTable:
    """Interpolate a power spectrum by the logarithms; it is constant beyond its ends.

    Attributes
    ----------
    ell : ndarray of float64
        Multipoles, rising.
    power : ndarray of float64
        C_ell [sr].

    Raises
    ------
    MassMapError
        If the table is not rising, positive and finite.
    """

    ell: NDArray[np.float64]
    power: NDArray[np.float64]

    def __post_init__(self) -> None:
        both = np.array([self.ell, self.power], dtype=np.float64)
        if both.shape[1] < 2 or not (np.isfinite(both) & (both > 0)).all():
            raise MassMapError(
                "A power spectrum needs two or more multipoles, and positive numbers only.", "power"
            )
        if (np.diff(both[0]) <= 0).any():
            raise MassMapError("The multipoles of a power spectrum must rise.", "ell")

    def at(self, ell: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return C_ell [sr] at multipoles; at 0, that of the lowest."""
        log_ell = np.log(np.maximum(ell, self.ell[0]))
        power: NDArray[np.float64] = np.exp(
            np.interp(log_ell, np.log(self.ell), np.log(self.power))
        )
        return power

    def of_modes(self, field: Field) -> NDArray[np.float64]:
        """Return the mean square of the orthonormal modes of a map.

        Parameters
        ----------
        field : Field

        Returns
        -------
        ndarray of float64, shape (y, x // 2 + 1)
            In the order of `numpy.fft.rfft2` with ``norm="ortho"``.
        """
        side = field.pixel_scale * ARCMIN
        ky = 2 * np.pi * np.fft.fftfreq(field.shape[0], side)
        kx = 2 * np.pi * np.fft.rfftfreq(field.shape[1], side)
        return self.at(np.hypot(ky[:, None], kx)) / side**2


def read_spectrum(path: str | os.PathLike[str] | None = None) -> SpectrumTable:
    """Read a table of a power spectrum.

    Parameters
    ----------
    path : str or path, optional
        An ECSV file with the columns ell and power [sr]; by default that of the training maps
        of the published convergence prior.

    Returns
    -------
    SpectrumTable

    Raises
    ------
    MassMapError
        If the file is no such table.
    """
    if path is None:
        with as_file(files("galsim_hub.mass_mapping") / "convergence_power.ecsv") as own:
            return read_spectrum(own)
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    try:
        table = Table.read(Path(path))
        return SpectrumTable(np.asarray(table["ell"]), np.asarray(table["power"]))
    except (ValueError, KeyError, OSError, IORegistryError) as error:
        raise MassMapError(
            f"{path} is no power spectrum: {error}. Give an ECSV file with the columns ell and "
            "power [sr].",
            str(path),
        ) from error

"""The patch of sky that a map covers, on the plane that touches the sphere at its middle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MassMapError
from .catalogue import ShearCatalogue

__all__ = ["PIXEL_SCALE", "WIDEST", "Field", "field_around"]

PIXEL_SCALE = 0.29  # [arcmin] of the maps that score priors are trained on
MARGIN = 10.0  # [arcmin] around the galaxies: maps of a Fourier transform meet their other side
STEP = 24  # of the sides in pixels: short factors for Fourier transforms, halves for networks
WIDEST = 5.0  # [deg] from the middle to a corner: there the plane is 0.8% larger than the sphere
MOST_PIXELS = 4096**2  # a sample and its gradient are some arrays of that size


@dataclass(frozen=True)
class Field:
    """Know where the pixels of a map lie on the sky.

    The projection is gnomonic, with x towards the west, y towards the north in the middle.

    Attributes
    ----------
    ra, dec : float
        Of the middle [deg].
    shape : tuple of 2 int
        Pixels along y and x.
    pixel_scale : float
        [arcmin]

    Raises
    ------
    MassMapError
        If the pixels make no map, or it is too wide to be flat.

    Examples
    --------
    >>> field = Field(150.0, 2.0, (100, 100), pixel_scale=0.5)
    >>> x, y, _ = field.project([150.0], [2.25])
    >>> x.round(2).tolist(), y.round(2).tolist()
    ([49.5], [79.5])
    """

    ra: float
    dec: float
    shape: tuple[int, int]
    pixel_scale: float = PIXEL_SCALE

    def __post_init__(self) -> None:
        if not (np.isfinite(self.pixel_scale) and self.pixel_scale > 0 and min(self.shape) > 1):
            raise MassMapError(
                f"A map of {self.shape} pixels of {self.pixel_scale} arcmin: give sides of 2 or "
                "more pixels, and a positive scale.",
                "pixel_scale",
                self.pixel_scale,
            )
        if not (-180 <= self.ra <= 360 and -90 <= self.dec <= 90):
            raise MassMapError(
                f"No field lies around ra {self.ra:g}, dec {self.dec:g}: give a centre in "
                "degrees (--centre), ra from 0 to 360 or -180 to 180, dec from -90 to 90.",
                "centre",
                (self.ra, self.dec),
            )
        if self.shape[0] * self.shape[1] > MOST_PIXELS:
            raise MassMapError(
                f"A map of {self.shape[0]}x{self.shape[1]} pixels is more than {MOST_PIXELS:.2g}. "
                "Choose larger pixels (--pixel-scale, in arcmin), or a part of the catalogue.",
                "pixel_scale",
                self.pixel_scale,
            )
        half = math.hypot(*self.shape) * 0.5 * self.pixel_scale
        corner = math.degrees(math.atan(math.radians(half / 60)))
        if corner > WIDEST:
            raise _too_wide(corner)

    def project(
        self, ra: ArrayLike, dec: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return where directions fall on the map.

        Parameters
        ----------
        ra, dec : array_like
            [deg]

        Returns
        -------
        tuple of 3 arrays of float64
            x and y [pixel], 0 in the middle of the first pixel; NaN for the other half of the
            sphere. Then the angle [rad] from y towards x at which the map shows north.

        Source: Calabretta and Greisen 2002, A&A 395, 1077, section 5.1.3; the angle is that of the
        derivative by declination.
        """
        across = np.radians(np.asarray(ra, dtype=np.float64) - self.ra)
        dec, middle = np.radians(np.asarray(dec, dtype=np.float64)), np.radians(self.dec)
        depth = np.sin(middle) * np.sin(dec) + np.cos(middle) * np.cos(dec) * np.cos(across)
        depth = np.where(depth > 0, depth, np.nan)
        west = -np.cos(dec) * np.sin(across) / depth
        rise = np.cos(middle) * np.sin(dec) - np.sin(middle) * np.cos(dec) * np.cos(across)
        per_pixel = np.radians(self.pixel_scale / 60)
        x = west / per_pixel + 0.5 * (self.shape[1] - 1)
        y = rise / depth / per_pixel + 0.5 * (self.shape[0] - 1)
        north = np.arctan2(np.sin(across) * np.sin(middle), np.cos(across))
        return x, y, north

    def wcs(self) -> Any:
        """Return the map's `astropy.wcs.WCS`."""
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.crpix = [0.5 * (self.shape[1] + 1), 0.5 * (self.shape[0] + 1)]
        wcs.wcs.cdelt = [-self.pixel_scale / 60, self.pixel_scale / 60]
        wcs.wcs.radesys = "ICRS"
        return wcs

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions of places on the map.

        Parameters
        ----------
        x, y : array_like
            [pixel]

        Returns
        -------
        tuple of 2 arrays of float64
            Right ascension and declination [deg].
        """
        ra, dec = self.wcs().wcs_pix2world(np.ravel(x), np.ravel(y), 0)
        return ra, dec


def field_around(
    catalogue: ShearCatalogue,
    *,
    pixel_scale: float = PIXEL_SCALE,
    centre: tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
) -> Field:
    """Return the field that holds a catalogue, with a margin, or a part of it.

    Parameters
    ----------
    catalogue : ShearCatalogue
        It may lie on both sides of right ascension 0.
    pixel_scale : float
        [arcmin]
    centre : tuple of 2 float, optional
        Right ascension and declination of the middle [deg]; that of the galaxies by default.
    shape : tuple of 2 int, optional
        Pixels along y and x; as many as the galaxies and a margin need by default.

    Returns
    -------
    Field

    Raises
    ------
    MassMapError
        If the field is too wide to be flat.
    """
    if centre is None or shape is None:
        rough = Field(*(centre or _mean_direction(catalogue)), (2, 2), pixel_scale)
        x, y, _ = rough.project(catalogue.ra, catalogue.dec)
        far = _separation(catalogue, rough.ra, rough.dec).max()
        # A little more than the limit: the middle of the galaxies is not that of their box.
        if far > 2 * WIDEST:
            raise _too_wide(float(far))
        if centre is None:
            ra, dec = rough.to_sky(0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max()))
            centre = float(ra[0]), float(dec[0])
            x, y, _ = Field(*centre, (2, 2), pixel_scale).project(catalogue.ra, catalogue.dec)
        if shape is None:
            shape = _side(y, pixel_scale), _side(x, pixel_scale)
    return Field(*centre, shape, pixel_scale)


def _side(along: NDArray[np.float64], pixel_scale: float) -> int:
    """Return the pixels that hold places on both sides of 0.5, the middle of a 2 x 2 map."""
    needed = 2 * np.abs(along - 0.5).max() + 2 * MARGIN / pixel_scale
    return STEP * math.ceil(needed / STEP)


def _mean_direction(catalogue: ShearCatalogue) -> tuple[float, float]:
    ra, dec = np.radians(catalogue.ra), np.radians(catalogue.dec)
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    mean = np.array([x.mean(), y.mean(), z.mean()])
    direction = np.degrees([np.arctan2(mean[1], mean[0]), np.arctan2(mean[2], np.hypot(*mean[:2]))])
    return float(direction[0] % 360), float(direction[1])


def _separation(catalogue: ShearCatalogue, ra: float, dec: float) -> NDArray[np.float64]:
    """Return the angles from a direction [deg]."""
    theirs, mine = np.radians(catalogue.dec), math.radians(dec)
    across = np.radians(catalogue.ra - ra)
    cosine = math.sin(mine) * np.sin(theirs) + math.cos(mine) * np.cos(theirs) * np.cos(across)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _too_wide(radius: float) -> MassMapError:
    return MassMapError(
        f"The field reaches {radius:.1f} degrees from its middle. A flat map may reach {WIDEST:g}: "
        "choose a part of the catalogue with a centre and a shape (--centre, --size), and map the "
        "parts one by one.",
        "shape",
        radius,
    )

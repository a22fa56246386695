"""Galaxies gathered in pixels: a map of shear, and how noisy each pixel is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from .catalogue import ShearCatalogue
from .field import Field

__all__ = ["ShearMap", "make_shear_map"]

# Classes of weight, each with a variance of its own, and the fewest galaxies that measure one.
_MOST_CLASSES, _FEWEST = 20, 300


@dataclass(frozen=True, eq=False)
class ShearMap:
    """Hold the mean shear of the galaxies in each pixel.

    Attributes
    ----------
    field : Field
    shear : ndarray of float64, shape (2, y, x)
        g1 and g2 in the axes of the map; 0 in pixels without a galaxy.
    noise_std : ndarray of float64, shape (y, x)
        Standard deviation of either component; infinite in pixels without a galaxy.
    n_galaxies : ndarray of int, shape (y, x)

    Raises
    ------
    MassMapError
        If arrays are not of the field's shape, no pixel has a galaxy, or one that has is not a
        number or without noise.
    """

    field: Field
    shear: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    n_galaxies: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = self.shear.shape[1:], self.noise_std.shape, self.n_galaxies.shape
        if self.shear.ndim != 3 or len(self.shear) != 2 or set(shapes) != {self.field.shape}:
            raise MassMapError(
                f"A field of {self.field.shape} pixels needs shear of shape (2, y, x), and noise "
                f"and counts of (y, x); got {self.shear.shape}, {shapes[1]} and {shapes[2]}.",
                "shear",
                self.shear.shape,
            )
        if not self.is_seen.any():
            raise MassMapError("The map is masked everywhere: no pixel has a galaxy.", "n_galaxies")
        seen = np.stack([*self.shear, self.noise_std])[:, self.is_seen]
        if not (np.isfinite(seen).all() and (seen[2] > 0).all()):
            n_bad = np.count_nonzero(~(np.isfinite(seen).all(axis=0) & (seen[2] > 0)))
            raise MassMapError(
                f"{n_bad} pixels with galaxies have a shear that is no number, or noise that is "
                "not positive. Set their n_galaxies to 0.",
                "shear",
                n_bad,
            )

        # What a pixel without a galaxy is given says nothing.
        object.__setattr__(self, "shear", np.where(self.is_seen, self.shear, 0.0))
        object.__setattr__(self, "noise_std", np.where(self.is_seen, self.noise_std, np.inf))

    @property
    def precision(self) -> NDArray[np.float64]:
        """One over the variance of the noise; 0 in pixels without a galaxy."""
        return self.noise_std**-2.0

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """Which pixels have a galaxy."""
        return self.n_galaxies > 0


def make_shear_map(
    catalogue: ShearCatalogue, field: Field, *, shape_noise: float | None = None
) -> ShearMap:
    """Average the ellipticities of a catalogue in the pixels of a field.

    Ellipticities are turned from the north at each galaxy to that in the middle of the map. The
    variance of a pixel is sum(w^2 v) / sum(w)^2, where v, the variance of one ellipticity, is
    measured among galaxies of about its weight: weights may be inverse variances or anything else.

    Parameters
    ----------
    catalogue : ShearCatalogue
    field : Field
    shape_noise : float, optional
        Standard deviation of one component of an ellipticity, whatever its weight; by default what
        the catalogue's ellipticities have, shear included: a hundredth of it or less in blank
        fields.

    Returns
    -------
    ShearMap

    Raises
    ------
    MassMapError
        If no galaxy is inside the field, or its ellipticities do not scatter.
    """
    x, y, north = field.project(catalogue.ra, catalogue.dec)
    ny, nx = field.shape
    # NaN, of the other side of the sky, is not inside either.
    inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    if not inside.any():
        raise MassMapError(
            f"None of {len(catalogue)} galaxies lies in the field of {ny}x{nx} pixels around "
            f"ra {field.ra:.3f}, dec {field.dec:.3f}: the map would be masked everywhere.",
            "centre",
            (field.ra, field.dec),
        )
    pixel = np.rint(y[inside]).astype(int) * nx + np.rint(x[inside]).astype(int)
    weight = catalogue.weight[inside]
    turned = (catalogue.e1 + 1j * catalogue.e2)[inside] * np.exp(-2j * north[inside])
    if shape_noise is None:
        variance = _variance_by_weight(turned, weight)
        shape_noise = float(np.sqrt(variance.min()))
    else:
        variance = np.full(len(weight), shape_noise**2)
    if not (np.isfinite(variance).all() and shape_noise > 0):
        raise MassMapError(
            f"The ellipticities scatter by {shape_noise}: give a positive shape noise "
            "(--shape-noise).",
            "shape_noise",
            shape_noise,
        )

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(pixel, values, minlength=ny * nx)
        return sums.astype(np.float64).reshape(ny, nx)

    counts = np.bincount(pixel, minlength=ny * nx).reshape(ny, nx)
    weights, is_seen = total(weight), counts > 0
    shear = np.zeros((2, ny, nx))
    for component, values in zip(shear, (turned.real, turned.imag), strict=True):
        np.divide(total(weight * values), weights, out=component, where=is_seen)
    std = np.full((ny, nx), np.inf)
    np.divide(np.sqrt(total(weight**2 * variance)), weights, out=std, where=is_seen)
    return ShearMap(field, shear, std, counts)


def _variance_by_weight(
    ellipticity: NDArray[np.complex128], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each galaxy the variance of a component among those of about its weight."""
    n_classes = max(min(_MOST_CLASSES, len(weight) // _FEWEST), 1)
    edges = np.unique(np.quantile(weight, np.arange(1, n_classes) / n_classes))
    which = np.searchsorted(edges, weight, side="right")
    squares = np.bincount(which, 0.5 * np.abs(ellipticity) ** 2)
    counts = np.bincount(which)
    return np.asarray(squares[which] / counts[which])

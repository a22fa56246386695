"""What a user fixes of a generated galaxy, whatever the model gave it: flux and size."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import galsim
import numpy as np
from numpy.typing import NDArray

from .errors import PinError, suggest

__all__ = ["Pins", "measure_half_light_radius"]

# The half-light radius is measured on pixels this much smaller, out to 1.6 of it.
_FINENESS = 40
_SIDE = 128


class Pins(NamedTuple):
    """Hold the flux and the half-light radius to have exactly; None leaves the model's.

    Attributes
    ----------
    flux : float or None
    half_light_radius : float or None
        Radius of the circle that holds half of the flux [arcsec].
    """

    flux: float | None = None
    half_light_radius: float | None = None

    @classmethod
    def from_options(
        cls,
        flux: float | None = None,
        half_light_radius: float | None = None,
        mag: float | None = None,
        zeropoint: float | None = None,
        **unknown: Any,
    ) -> Pins:
        """Check what a user gave, a magnitude turned into a flux.

        Parameters
        ----------
        flux : float, optional
        half_light_radius : float, optional
            [arcsec].
        mag, zeropoint : float, optional
            Instead of a flux: 10**(-0.4 (mag - zeropoint)).
        **unknown : object
            What a user took for one of these; refused.

        Returns
        -------
        Pins

        Raises
        ------
        PinError
            If they contradict each other, or one makes no sense or is unknown.
        """
        known = ("flux", "half_light_radius", "mag", "zeropoint")
        for name, value in unknown.items():
            raise PinError(
                f"{name!r} is no option and cannot be pinned: what can be is {', '.join(known)}."
                f"{suggest(name, known)}",
                name,
                value,
            )
        given = {"flux": flux, "mag": mag, "zeropoint": zeropoint}
        given["half_light_radius"] = half_light_radius
        numbers = {name: _check_number(name, value) for name, value in given.items()}
        radius = numbers["half_light_radius"]
        if radius is not None and radius <= 0:
            raise PinError(
                f"half_light_radius must be positive, got {radius!r}. Give it in arcsec.",
                "half_light_radius",
                radius,
            )
        return cls(_settle_flux(numbers["flux"], numbers["mag"], numbers["zeropoint"]), radius)

    def given(self) -> dict[str, float]:
        """Return what is pinned, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def measure_half_light_radius(profile: galsim.GSObject) -> float:
    """Measure the radius of the circle that holds half of a profile's flux [arcsec].

    `GSObject.calculateHLR` draws on pixels as large as the profile allows, a tenth of the radius
    and more. This draws the inner part again on fine ones, and lets the circle cut through them.

    Parameters
    ----------
    profile : galsim.GSObject

    Returns
    -------
    float
    """
    scale = profile.calculateHLR() / _FINENESS
    image = profile.drawImage(nx=_SIDE, ny=_SIDE, scale=scale, method="sb", dtype=float)
    half = 0.5 * profile.flux / scale**2
    radius = float(image.calculateHLR(flux=2 * half)) / scale
    inner, here, outer = (_flux_within(image.array, radius + step) for step in (-0.5, 0.0, 0.5))
    return scale * (radius + (half - here) / (outer - inner))


def _flux_within(pixels: NDArray[np.float64], radius: float) -> float:
    """Sum the pixels inside a circle, those on it in part."""
    axis = np.arange(_SIDE) - (_SIDE - 1) / 2
    share = np.clip(radius - np.hypot(axis[:, None], axis) + 0.5, 0.0, 1.0)
    return float((share * pixels).sum())


def _settle_flux(flux: float | None, mag: float | None, zeropoint: float | None) -> float | None:
    if flux is not None and mag is not None:
        raise PinError("Give flux or mag with zeropoint, not both: each is the flux.", "mag", mag)
    if (mag is None) != (zeropoint is None):
        missing = "zeropoint" if zeropoint is None else "mag"
        raise PinError(
            f"mag and zeropoint go together, {missing} is missing. The zeropoint is the magnitude "
            "of one count in your image, such as 25.94 for COSMOS counts.",
            missing,
        )
    if mag is None or zeropoint is None:
        return flux
    try:
        return float(10.0 ** (-0.4 * (mag - zeropoint)))
    except OverflowError:
        raise PinError(
            f"A magnitude of {mag:g} has no flux: it is {zeropoint - mag:g} above the zeropoint. "
            "Mend it; catalogues often mark missing values so.",
            "mag",
            mag,
        ) from None


def _check_number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise PinError(
            f"{name} must be a finite number, got {value!r}. Leave it out for the model's own.",
            name,
            value,
        )
    return number

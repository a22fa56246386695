"""From a generated stamp to what draws it, at no more cost than accuracy needs.

`galsim.InterpolatedImage` finds stepk and maxk of any image by searches, and pads it to four
times its side for transforms. A generated stamp is known better: it is positive, centred and
falls to zero. So its empty border is cut off, both numbers are read from one small transform
and one growth curve, and less padding is as accurate, or none.
docs/explanation/speed.md has the measured errors.
"""

from __future__ import annotations

import functools
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

from .transforms import draw_transform, is_along_axes

__all__ = ["StampProfile"]

# What may be cut off: this share of the folding threshold, 5e-4 of the flux by default.
_CUT = 0.1
_MARGIN = 4  # pixels, beyond the reach of the interpolants
_PAD_FACTOR = 3.2


class StampProfile:
    """Say of a generated stamp what GalSim asks of a profile.

    Parameters
    ----------
    stamp : ndarray of float32, shape (n, n)
        Flux per pixel.
    scale : float
        Side of a pixel [arcsec].
    flux : float or None
        The profile's flux; None for the sum of the stamp.
    gsparams : galsim.GSParams
    **interpolation
        What differs from the defaults of x_interpolant, k_interpolant and pad_factor.
    """

    def __init__(
        self,
        stamp: NDArray[np.float32],
        scale: float,
        flux: float | None,
        gsparams: galsim.GSParams,
        **interpolation: Any,
    ) -> None:
        growth = _growth_curve(stamp)
        total = float(growth[-1])
        self._scale, self._gsparams = scale, gsparams
        if total <= 0:  # growth tells nothing; GalSim refuses a stamp without light
            self._pixels = stamp.astype(np.float64)
            self._options = {"flux": flux, **interpolation}
            self._is_known = False
            self.flux: float = self.interpolated.flux
            self.stepk: float = self.interpolated.stepk
            self.maxk: float = self.interpolated.maxk
            return
        self._pixels = _trim(stamp, _radius(growth, _CUT * gsparams.folding_threshold) + _MARGIN)
        self.flux = total if flux is None else flux
        self._is_known = not interpolation
        self.stepk = np.pi / (_radius(growth, gsparams.folding_threshold) * scale)
        self.maxk = _maxk(self._pixels, len(stamp), gsparams.maxk_threshold) / scale
        numbers = {"flux": self.flux, "_force_stepk": self.stepk, "_force_maxk": self.maxk}
        self._options = {"pad_factor": _PAD_FACTOR, **interpolation, **numbers}

    @functools.cached_property
    def interpolated(self) -> galsim.InterpolatedImage:
        """The same as GalSim's own profile."""
        image = galsim.Image(self._pixels, scale=self._scale)
        return galsim.InterpolatedImage(image, gsparams=self._gsparams, **self._options)

    def draw_k(self, image: galsim.Image, jac: NDArray[np.float64] | None) -> None:
        """Fill an image with the transform, as of `galsim.GSObject.drawKImage`.

        Parameters
        ----------
        image : galsim.Image of complex, shape (ky, kx)
        jac : ndarray of shape (2, 2) or None
            What the profile is transformed by.
        """
        if self._is_known and is_along_axes(jac):
            pixels = self._pixels * (self.flux / self._pixels.sum())
            draw_transform(pixels, self._scale, self._gsparams, image, jac)
        else:
            self.interpolated._drawKImage(image, jac)


def _growth_curve(stamp: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the flux within 1, 2, 3 ... pixels of the centre."""
    light = np.bincount(_radii(len(stamp)), weights=stamp.ravel())
    growth: NDArray[np.float64] = np.cumsum(light)
    return growth


@functools.cache
def _radii(side: int) -> NDArray[np.intp]:
    axis = np.arange(side) - (side - 1) / 2
    return np.hypot(axis[:, None], axis).astype(np.intp).ravel()


def _radius(growth: NDArray[np.float64], outside: float) -> int:
    """Return the radius beyond which no more than a share of the flux lies [pixel]."""
    return int(np.argmax(growth >= (1.0 - outside) * growth[-1])) + 1


def _trim(stamp: NDArray[np.float32], radius: int) -> NDArray[np.float64]:
    cut = max(0, len(stamp) // 2 - radius)
    return stamp[cut : len(stamp) - cut, cut : len(stamp) - cut].astype(np.float64)


def _maxk(stamp: NDArray[np.float64], side: int, threshold: float) -> float:
    """Return where the transform falls below a share of the flux [radian / pixel]."""
    transform = np.fft.rfft2(stamp, (side, side))
    power = transform.real**2 + transform.imag**2
    above = _frequencies(side)[power > threshold**2 * power[0, 0]].max()
    # Beyond by two steps, for it is not flat between them.
    return float(2.0 * np.pi * min(above + 2.0 / side, 0.5))


@functools.lru_cache(maxsize=128)
def _frequencies(side: int) -> NDArray[np.float64]:
    frequencies: NDArray[np.float64] = np.hypot(
        np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    )
    return frequencies

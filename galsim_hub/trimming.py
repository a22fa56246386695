"""From a generated stamp to the profile that draws it, at no more cost than accuracy needs.

`galsim.InterpolatedImage` finds stepk and maxk of any image by searches, and pads it to four
times its side for transforms. A generated stamp is known better: it is positive, centred and
falls to zero. So its empty border is cut off, both numbers are read from one small transform
and one growth curve, and less padding is as accurate. docs/explanation/speed.md has the
measured errors.
"""

from __future__ import annotations

import functools
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

__all__ = ["interpolate_stamp"]

# What may be cut off: this share of the folding threshold, 5e-4 of the flux by default.
_CUT = 0.1
_MARGIN = 4  # pixels, beyond the reach of the interpolants
_PAD_FACTOR = 3.2


def interpolate_stamp(
    stamp: NDArray[np.float32],
    scale: float,
    flux: float | None,
    gsparams: galsim.GSParams,
    **interpolation: Any,
) -> galsim.InterpolatedImage:
    """Build the profile of a generated stamp.

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

    Returns
    -------
    galsim.InterpolatedImage
    """
    growth = _growth_curve(stamp)
    total = float(growth[-1])
    if total <= 0:  # growth tells nothing; GalSim refuses a stamp without light
        image = galsim.Image(stamp.astype(np.float64), scale=scale)
        return galsim.InterpolatedImage(image, flux=flux, gsparams=gsparams, **interpolation)
    trimmed = _trim(stamp, _radius(growth, _CUT * gsparams.folding_threshold) + _MARGIN)
    return galsim.InterpolatedImage(
        galsim.Image(trimmed, scale=scale),
        flux=total if flux is None else flux,
        gsparams=gsparams,
        _force_stepk=np.pi / (_radius(growth, gsparams.folding_threshold) * scale),
        _force_maxk=_maxk(trimmed, gsparams.maxk_threshold) / scale,
        **{"pad_factor": _PAD_FACTOR, **interpolation},
    )


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


def _maxk(stamp: NDArray[np.float64], threshold: float) -> float:
    """Return where the transform falls below a share of the flux [radian / pixel]."""
    side = len(stamp)
    height = np.abs(np.fft.rfft2(stamp))
    above = _frequencies(side)[height > threshold * height[0, 0]].max()
    return float(2.0 * np.pi * min(above + 1.0 / side, 0.5))


@functools.lru_cache(maxsize=128)
def _frequencies(side: int) -> NDArray[np.float64]:
    frequencies: NDArray[np.float64] = np.hypot(
        np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    )
    return frequencies

"""From the encoder's guess to the code that fits an image best.

An encoder answers in one pass for any galaxy, and a few percent off for a bright one, where a few
percent are many times the noise. `refine` goes on from its answer by Levenberg-Marquardt steps
(Marquardt 1963, J. SIAM 11, 431) on the posterior itself: the squared residuals behind the PSF over
the noise variance, plus the squared code over that of a wide normal prior. It is four times as wide
as the galaxies of the training set lie: real ones lie beside them, and the image should say where.
A generated galaxy sits in the middle of its stamp and an observed one a pixel or so beside it, so
its centre is searched with the code. Derivatives are finite differences of the decoder, so that any
engine will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Refined", "refine"]

Array = NDArray[np.float32]

_STEP = 0.005  # of a finite difference, in standard deviations: the decoder rounds to 1e-7
_ITERATIONS = 25
_TOLERANCE = 1e-3  # [nat] of improvement that ends the search
_SPREAD = 4.0  # standard deviation of a code's entries, before the image is seen
_OFFSET = 2.0  # [pixel] standard deviation of the centre along each axis, before the image is seen
_FIRST_DAMPING, _EASE, _STIFFEN, _STIFFEST = 1e-2, 0.2, 5.0, 1e6


@dataclass(frozen=True, eq=False)
class Refined:
    """Hold the most probable code of an image.

    Attributes
    ----------
    mean, scale : ndarray of float32, shape (latent_size,)
        The code, and the standard deviations of the Gaussian that matches the posterior's
        curvature there.
    offset : ndarray of float32, shape (2,)
        The galaxy's centre less the stamp's, (x, y) [pixel].
    """

    mean: Array
    scale: Array
    offset: Array


def refine(
    decode: Callable[[Array], Array],
    image: Array,
    psf: Array,
    weight: NDArray[np.float64],
    start: Array,
) -> Refined:
    """Find the most probable latent code of one image.

    Parameters
    ----------
    decode : callable
        From codes (n, latent_size) to images (n, y, x), PSF-free.
    image : ndarray of float32, shape (y, x)
    psf : ndarray of float32, shape (p, p)
        Of sum 1, centred on its middle pixel, p odd.
    weight : ndarray of float64, shape (y, x)
        One over the noise variance; 0 where a pixel must not count.
    start : ndarray of float32, shape (latent_size,)
        The code to begin with.

    Returns
    -------
    Refined
    """
    seen = _Seen(decode, image, psf, weight)
    # The centre joins the code, all in units in which the prior is standard normal.
    found, damping = np.append(start.astype(np.float64) / _SPREAD, [0.0, 0.0]), _FIRST_DAMPING
    residual, slope = seen.linearise(found)
    cost = _cost(residual, found)
    for _ in range(_ITERATIONS):
        curvature = slope @ slope.T + np.eye(len(found))
        gradient = slope @ residual + found
        while damping < _STIFFEST:
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
            trial = seen.residuals((found - step)[None])[0]
            gain = cost - _cost(trial, found - step)
            if gain > 0:
                break
            damping *= _STIFFEN
        else:
            break
        found, damping = found - step, damping * _EASE
        residual, slope = seen.linearise(found)
        cost = _cost(residual, found)
        if gain < _TOLERANCE:
            break
    covariance = np.linalg.inv(slope @ slope.T + np.eye(len(found)))
    scale = np.sqrt(np.diag(covariance)[:-2])
    parts = (_SPREAD * found[:-2], _SPREAD * scale, _OFFSET * found[-2:])
    return Refined(*(part.astype(np.float32) for part in parts))


class _Seen:
    """Compare the galaxies of codes with an image, behind its PSF and in units of its noise."""

    def __init__(
        self,
        decode: Callable[[Array], Array],
        image: Array,
        psf: Array,
        weight: NDArray[np.float64],
    ) -> None:
        self._decode, self._size, self._half = decode, len(image), len(psf) // 2
        self._used = weight > 0
        self._root_weight = np.sqrt(weight[self._used])
        self._data = image[self._used].astype(np.float64)
        self._length = self._size + 2 * self._half  # so that nothing wraps
        self._transform = np.fft.rfft2(psf.astype(np.float64), s=(self._length, self._length))
        self._wave = -2j * np.pi * _OFFSET * np.fft.fftfreq(self._length)

    def residuals(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return model less data over the noise, (n, number of pixels that count)."""
        shape = (self._length, self._length)
        codes = (_SPREAD * found[:, :-2]).astype(np.float32)
        galaxies = self._decode(codes).astype(np.float64)
        x, y = (np.exp(found[:, k, None] * self._wave) for k in (-2, -1))
        phase = y[:, :, None] * x[:, None, : self._transform.shape[1]]
        transforms = np.fft.rfft2(galaxies, s=shape) * self._transform * phase
        convolved = np.fft.irfft2(transforms, s=shape)
        inner = slice(self._half, self._half + self._size)
        return (convolved[:, inner, inner][:, self._used] - self._data) * self._root_weight

    def linearise(
        self, found: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the residuals and their slopes, (latent_size + 2, number of pixels)."""
        around = np.concatenate([found[None], found + _STEP * np.eye(len(found))])
        first, *others = self.residuals(around)
        return first, (np.array(others) - first) / _STEP


def _cost(residual: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    return float(0.5 * (residual @ residual + found @ found))

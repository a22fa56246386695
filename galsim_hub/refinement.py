"""From the encoder's guess to the code that fits an image best.

An encoder answers in one pass for any galaxy, and a few percent off for a bright one, where a few
percent are many times the noise. `refine` goes on from its answer by Levenberg-Marquardt steps
(Marquardt 1963, J. SIAM 11, 431) on the posterior itself: the squared residuals behind the PSF over
the noise variance, plus the squared code, as the prior is near the standard normal. Derivatives are
finite differences of the decoder, so that any engine will do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["refine"]

Array = NDArray[np.float32]

_STEP = 0.02  # of a finite difference: the code's scale is 1, the decoder's rounding 1e-7
_ITERATIONS = 25
_TOLERANCE = 1e-3  # [nat] of improvement that ends the search
_FIRST_DAMPING, _EASE, _STIFFEN, _STIFFEST = 1e-2, 0.2, 5.0, 1e6


def refine(
    decode: Callable[[Array], Array],
    image: Array,
    psf: Array,
    weight: NDArray[np.float64],
    start: Array,
) -> tuple[Array, Array]:
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
    mean, scale : ndarray of float32, shape (latent_size,)
        The code, and the standard deviations of the Gaussian that matches the posterior's
        curvature there.
    """
    seen = _Seen(decode, image, psf, weight)
    code, damping = start.astype(np.float64), _FIRST_DAMPING
    residual, slope = seen.linearise(code)
    cost = _cost(residual, code)
    for _ in range(_ITERATIONS):
        curvature = slope @ slope.T + np.eye(len(code))
        gradient = slope @ residual + code
        while damping < _STIFFEST:
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
            trial = seen.residuals((code - step)[None])[0]
            gain = cost - _cost(trial, code - step)
            if gain > 0:
                break
            damping *= _STIFFEN
        else:
            break
        code, damping = code - step, damping * _EASE
        residual, slope = seen.linearise(code)
        cost = _cost(residual, code)
        if gain < _TOLERANCE:
            break
    covariance = np.linalg.inv(slope @ slope.T + np.eye(len(code)))
    return code.astype(np.float32), np.sqrt(np.diag(covariance)).astype(np.float32)


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

    def residuals(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return model less data over the noise, (n, number of pixels that count)."""
        shape = (self._length, self._length)
        galaxies = self._decode(codes.astype(np.float32)).astype(np.float64)
        convolved = np.fft.irfft2(np.fft.rfft2(galaxies, s=shape) * self._transform, s=shape)
        inner = slice(self._half, self._half + self._size)
        return (convolved[:, inner, inner][:, self._used] - self._data) * self._root_weight

    def linearise(
        self, code: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the residuals at a code and their slopes, (latent_size, number of pixels)."""
        around = np.concatenate([code[None], code + _STEP * np.eye(len(code))])
        first, *others = self.residuals(around)
        return first, (np.array(others) - first) / _STEP


def _cost(residual: NDArray[np.float64], code: NDArray[np.float64]) -> float:
    return float(0.5 * (residual @ residual + code @ code))

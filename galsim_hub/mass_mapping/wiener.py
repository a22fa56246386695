"""The Gaussian posterior of convergence: its mean, the Wiener filter, and exact samples.

With shear d = A kappa + n, a Gaussian prior of covariance S and noise of covariance N, the mean m
solves (S^-1 + A^T N^-1 A) m = A^T N^-1 d. S is diagonal in Fourier space and N, with its holes, in
real space: conjugate gradients solve for S^-1/2 m. A sample is a draw of the prior, moved by the
filtered difference between the data and what the draw and a draw of the noise would have shown.

Source: Hoffman and Ribak 1991, ApJ 380, L5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from ..flat_sky import shear_response
from ..latents import generator
from .shear_map import ShearMap

__all__ = ["GaussianPosterior"]

TOLERANCE = 1e-6  # of the residual, by the right-hand side
MOST_ITERATIONS = 2000


class GaussianPosterior:
    """Infer convergence from shear under a Gaussian prior.

    Parameters
    ----------
    shear_map : ShearMap
    power : ndarray, shape (y, x // 2 + 1)
        The prior's mean square of orthonormal modes, as `SpectrumTable.of_modes` gives it.
    """

    def __init__(self, shear_map: ShearMap, power: NDArray[np.float64]) -> None:
        self.shear_map = shear_map
        self.shape = shear_map.field.shape
        self._root = np.sqrt(power)
        self._response = shear_response(self.shape)
        self._precision = shear_map.precision

    def fingerprint(self) -> bytes:
        """Hash the data and the prior."""
        digest = hashlib.sha256()
        for values in (self.shear_map.shear, self.shear_map.noise_std, self._root):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.digest()

    def mean(self) -> NDArray[np.float64]:
        """Return the Wiener-filtered convergence, shape (y, x)."""
        return self._filter(self.shear_map.shear)

    def sample(self, seed: int, number: int = 0) -> NDArray[np.float64]:
        """Draw one map of the posterior.

        Parameters
        ----------
        seed : int
        number : int
            Of the sample: those of one seed are independent.

        Returns
        -------
        ndarray of float64, shape (y, x)

        Raises
        ------
        SeedError
            If the seed is no whole number from 0 to 2**64 - 1.
        """
        rng = generator("mass map", seed, number)
        draw = self._to_field(self._root * self._modes(rng.standard_normal(self.shape)))
        std = np.where(self.shear_map.is_seen, self.shear_map.noise_std, 0.0)
        seen = self._shear(draw) + std * rng.standard_normal((2, *self.shape))
        return draw + self._filter(self.shear_map.shear - seen)

    def _filter(self, shear: NDArray[np.float64]) -> NDArray[np.float64]:
        whitened = _conjugate_gradients(self._curvature, self._project(shear))
        return self._to_field(self._root * self._modes(whitened))

    def _curvature(self, whitened: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply 1 + S^1/2 A^T N^-1 A S^1/2."""
        convergence = self._to_field(self._root * self._modes(whitened))
        return whitened + self._project(self._shear(convergence))

    def _project(self, shear: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply S^1/2 A^T N^-1."""
        modes = self._modes(self._precision * shear)
        return self._to_field(self._root * (self._response * modes).sum(axis=0))

    def _shear(self, convergence: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._to_field(self._response * self._modes(convergence))

    def _modes(self, fields: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.fft.rfft2(fields, norm="ortho")

    def _to_field(self, modes: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.fft.irfft2(modes, s=self.shape, norm="ortho")


def _conjugate_gradients(
    apply: Callable[[NDArray[np.float64]], NDArray[np.float64]], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve a symmetric positive system.

    Source: Hestenes and Stiefel 1952, J. Res. NBS 49, 409, section 3.
    """
    x, residual = np.zeros_like(target), target.copy()
    direction, square = residual.copy(), np.vdot(target, target)
    goal = TOLERANCE**2 * square
    for _ in range(MOST_ITERATIONS):
        if square <= goal:
            return x
        image = apply(direction)
        step = square / np.vdot(direction, image)
        x += step * direction
        residual -= step * image
        last, square = square, np.vdot(residual, residual)
        direction = residual + (square / last) * direction
    raise MassMapError(
        f"The Wiener filter has not converged in {MOST_ITERATIONS} steps: the noise of some pixels "
        "is very small against the power spectrum. Is the shape noise right?",
        "noise_std",
    )

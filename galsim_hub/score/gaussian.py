"""The Gaussian prior: a power spectrum, with every answer in closed form.

Reach for `GaussianPrior` to check a sampler against the Wiener filter, as the prior where nothing
better is known, and as the preconditioner of a learned one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from ..errors import FieldError
from ..latents import generator
from .fields import as_fields, as_level, as_levels, as_sides, check_shape
from .fourier import filtered, multiplicity, wavenumbers

__all__ = ["GaussianPrior"]

Tensor = Any


class GaussianPrior:
    """Know the score of a stationary Gaussian field on a torus.

    Behind noise of level sigma a mode has the variance P + sigma^2, hence the score
    -x / (P + sigma^2) in Fourier space.

    Parameters
    ----------
    power_spectrum : callable or array_like
        The mean square of orthonormal modes (see `galsim_hub.score.fourier`): a function of the
        wavenumber [radian / pixel], or values of shape (y, x // 2 + 1).
    shape : tuple of 2 int
        Pixels along y and x.
    pixel_scale : float, optional
        Side of a pixel [arcsec].

    Raises
    ------
    FieldError
        If the spectrum has another shape, or a value that is negative or not finite.
    """

    def __init__(
        self,
        power_spectrum: Callable[[NDArray[np.float64]], ArrayLike] | ArrayLike,
        shape: tuple[int, int],
        pixel_scale: float | None = None,
    ) -> None:
        self.event_shape = (int(shape[0]), int(shape[1]))
        self.pixel_scale = pixel_scale
        modes = wavenumbers(self.event_shape)
        values = power_spectrum(modes) if callable(power_spectrum) else power_spectrum
        self.power = np.asarray(values, dtype=np.float64)
        if self.power.shape != modes.shape:
            raise FieldError(
                f"The power spectrum of {self.event_shape} fields has shape {modes.shape}, got "
                f"{self.power.shape}. Give a function of the wavenumber instead.",
                self.power.shape,
            )
        if not (np.isfinite(self.power) & (self.power >= 0)).all():
            raise FieldError(
                "A power spectrum must be finite and not negative. A function of the wavenumber "
                "is asked at 0 too.",
                float(self.power.min()),
            )

    def __repr__(self) -> str:
        digest = hashlib.sha256(self.power.tobytes()).hexdigest()
        return f"<galsim_hub.score.GaussianPrior {self.event_shape} {digest[:16]}>"

    @property
    def std(self) -> float:
        """The standard deviation of a pixel."""
        counts = multiplicity(self.event_shape[1])
        return float(np.sqrt((self.power * counts).sum() / np.prod(self.event_shape)))

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels that it knows: all."""
        return 0.0, float("inf")

    def gaussian(self, event_shape: tuple[int, ...]) -> GaussianPrior:
        """Return the Gaussian prior of the same power spectrum: itself.

        Parameters
        ----------
        event_shape : tuple of int
            The shape of one field.

        Returns
        -------
        GaussianPrior
        """
        check_shape((None, *event_shape), self.event_shape)
        return self

    def score(self, x: Any, sigma: Any) -> Tensor:
        """Return the gradient of the log density behind noise.

        Parameters
        ----------
        x : array_like or tensor, shape (n, y, x)
        sigma : float or array_like, shape (n,)
            The noise level; above 0 if a mode has no power.

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        x, variance = self._variance(x, sigma)
        return -filtered(x, 1.0 / variance)

    def denoise(self, x: Any, sigma: Any) -> Tensor:
        """Return the mean of the field given its noisy version: the Wiener filter.

        Parameters
        ----------
        x : array_like or tensor, shape (n, y, x)
        sigma : float or array_like, shape (n,)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        x, variance = self._variance(x, sigma)
        return filtered(x, tf.math.divide_no_nan(tf.constant(self.power, tf.float32), variance))

    def log_prob(self, x: Any, seed: int | None = None, *, sigma: float = 0.0) -> Any:
        """Return the log density of fields behind noise.

        Parameters
        ----------
        x : array_like, shape (n, y, x)
        seed : int, optional
            Not needed: nothing here is random.
        sigma : float
            The noise level.

        Returns
        -------
        ndarray of float64, shape (n,)

        Raises
        ------
        FieldError
            If the fields are not finite or of another shape, or there is no density at `sigma`.
        """
        fields = as_fields(x, self.event_shape).numpy().astype(np.float64)
        variance = self.power + as_level(sigma) ** 2
        if not (variance > 0).all():
            raise FieldError(
                "Modes without power have no density without noise: give sigma above 0.", sigma
            )
        squares = np.abs(np.fft.rfft2(fields, norm="ortho")) ** 2
        terms = squares / variance + np.log(2.0 * np.pi * variance)
        return -0.5 * (terms * multiplicity(self.event_shape[1])).sum(axis=(1, 2))

    def sample(
        self, n: int, seed: int, shape: tuple[int, ...] | None = None
    ) -> NDArray[np.float32]:
        """Draw fields.

        Parameters
        ----------
        n : int
        seed : int
        shape : tuple of int, optional
            The shape of one field, which is the prior's own; as of `ScorePrior.sample`.

        Returns
        -------
        ndarray of float32, shape (n, y, x)

        Raises
        ------
        FieldError
            If the shape is not the prior's own.
        SeedError
            If the seed is no whole number from 0 to 2**64 - 1.
        """
        if shape is not None and as_sides(shape) != self.event_shape:
            raise FieldError(
                f"This prior makes fields of shape {self.event_shape}, not {shape}. Make a "
                "GaussianPrior of the other shape.",
                shape,
            )
        white = generator("gaussian field", seed).standard_normal((n, *self.event_shape))
        modes = np.fft.rfft2(white) * np.sqrt(self.power)
        return np.fft.irfft2(modes, s=self.event_shape).astype(np.float32)

    def _variance(self, x: Any, sigma: Any) -> tuple[Tensor, Tensor]:
        x = as_fields(x, self.event_shape)
        levels = as_levels(sigma, tf.shape(x)[0], 2)
        return x, tf.constant(self.power, tf.float32) + levels**2

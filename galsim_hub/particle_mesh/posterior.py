"""What an observed density says of the initial conditions: a prior, a forward model and noise.

The unknown is a field of white noise, one number of unit variance a cell, which the power spectrum
turns into the linear density. So the prior is a sum of squares, and no scale is harder to move than
another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from ..errors import ReconstructionError
from .bias import Bias, biased_density
from .box import Box
from .fields import as_field
from .fourier import multiplicity, to_field, to_modes
from .gravity import density
from .growth import Growth
from .lpt import start
from .modes import linear_modes
from .nbody import evolve
from .power import PowerFunction

__all__ = ["Forward", "Posterior", "simulation"]

Tensor = Any
Forward = Callable[[Tensor], Tensor]


def simulation(
    box: Box, growth: Growth, stages: Any, *, scheme: str = "fastpm", bias: Bias | None = None
) -> Forward:
    """Return the forward model that runs a simulation.

    Parameters
    ----------
    box : Box
        Its box.
    growth : Growth
        Of the cosmology.
    stages : sequence of float
        Scale factors, from the start to the time of the observation.
    scheme : str
        ``"fastpm"`` or ``"bullfrog"``.
    bias : Bias, optional
        Of the tracer that is observed; matter by default.

    Returns
    -------
    function
        From the linear density contrast today to the density at the end, 1 on average.
    """

    def forward(linear: Tensor) -> Tensor:
        particles = start(linear, box, growth, stages[0])
        x = evolve(particles, box, growth, stages, scheme=scheme).displacement
        if bias is None:
            return density(x, box)
        return biased_density(tf.cast(growth.first(stages[-1]), x.dtype) * linear, x, box, bias)

    return forward


class Posterior:
    """The probability of white noise, given an observed field.

    Parameters
    ----------
    observed : array_like
        What was seen, shape (nx, ny, nz), or (batch, nx, ny, nz).
    noise : array_like
        Standard deviation of each cell, or of all; infinite where nothing was seen.
    box : Box
        Of the field.
    power : function
        Power today [(Mpc/h)^3] of wavenumbers [h/Mpc].
    forward : function
        From the linear density contrast today to what would be seen without noise, such as
        `simulation`.

    Raises
    ------
    ReconstructionError
        If the noise is not positive, or the observed field is not finite where it was seen.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import EisensteinHu, Planck18
    >>> box, power = Box(8, 100.0), EisensteinHu(Planck18())
    >>> posterior = Posterior(np.zeros([8, 8, 8]), 1.0, box, power, forward=lambda linear: linear)
    >>> value, gradient = posterior.value_and_gradient(tf.ones([8, 8, 8], tf.float64))
    >>> print(f"{float(value):.1f}")
    256.0
    """

    def __init__(
        self,
        observed: ArrayLike,
        noise: ArrayLike,
        box: Box,
        power: PowerFunction,
        forward: Forward,
    ) -> None:
        observed, noise = np.asarray(observed, np.float64), np.asarray(noise, np.float64)
        box.check_field(observed.shape)
        try:
            fits = np.broadcast_shapes(noise.shape, observed.shape) == observed.shape
        except ValueError:
            fits = False
        if not fits:
            raise ReconstructionError(
                f"The noise has the shape {noise.shape}, and the field {observed.shape}. Give one "
                "number, or one a cell.",
                noise.shape,
            )
        _check_observation(observed, noise)
        self.box, self.forward = box, forward
        self.weight = np.broadcast_to(1.0 / noise, observed.shape)
        self.observed = np.where(self.weight > 0, observed, 0.0)
        # In the norm of white noise on the grid rather than of modes: hence the root.
        ones = np.ones(box.wavenumber().shape)
        self._amplitude = tf.math.real(linear_modes(box, power, ones)) / box.n_cells**0.5
        self._wavenumber = box.wavenumber()
        # Of a linear field on the grid: each mode's white noise has unit variance a cell.
        square = multiplicity(box.shape[-1]) * self._amplitude**2
        self.linear_std = float(np.sqrt(np.sum(square) / box.n_cells))
        self._compiled = tf.function(self._evaluate, autograph=False)

    def observing(self, observed: Tensor, weight: NDArray[np.float64] | None = None) -> Posterior:
        """Return the same for another field.

        Parameters
        ----------
        observed : tensor
            What was seen, shape (..., nx, ny, nz).
        weight : ndarray, optional
            One over the noise of each cell; the same as here by default.

        Returns
        -------
        Posterior
        """
        other = copy.copy(self)
        other.observed = observed
        other.weight = self.weight if weight is None else weight
        other._compiled = tf.function(other._evaluate, autograph=False)
        return other

    def linear(self, white: Tensor) -> Tensor:
        """Turn white noise into the linear density contrast today.

        Parameters
        ----------
        white : tensor
            Shape (..., nx, ny, nz).

        Returns
        -------
        tensor
            Same shape and precision.

        Raises
        ------
        BoxError
            If it is not of the box.
        """
        modes = to_modes(as_field(white, self.box))
        return to_field(modes * tf.cast(self._amplitude, modes.dtype), self.box.shape)

    def newton_step(self, gradient: Tensor) -> Tensor:
        """Divide a gradient by the curvature that a linear forward model would have.

        Parameters
        ----------
        gradient : tensor
            Of the white noise, shape (..., nx, ny, nz).

        Returns
        -------
        tensor
            Same shape and precision.
        """
        modes = to_modes(gradient)
        curvature = 1.0 + tf.reduce_mean(self.weight**2) * self._amplitude**2
        return to_field(modes / tf.cast(curvature, modes.dtype), self.box.shape)

    def residual(self, white: Tensor) -> Tensor:
        """Return what the forward model does not explain, in units of the noise.

        Parameters
        ----------
        white : tensor
            Shape (..., nx, ny, nz).

        Returns
        -------
        tensor of float32
            Same shape, 0 where nothing was seen.

        Raises
        ------
        ReconstructionError
            If the forward model returns another shape.
        """
        linear = self.linear(tf.cast(white, tf.float32))
        predicted = tf.cast(self.forward(linear), tf.float32)
        if not predicted.shape.is_compatible_with(linear.shape):
            raise ReconstructionError(
                f"The forward model makes {tuple(predicted.shape)} of a field of shape "
                f"{tuple(linear.shape)}. It has to return what would be seen in each cell.",
                tuple(predicted.shape),
            )
        observed, weight = (tf.cast(x, tf.float32) for x in (self.observed, self.weight))
        return tf.where(weight > 0, (predicted - observed) * weight, 0.0)

    def misfit(self, white: Tensor, smoothing: float | Tensor = 0.0) -> Tensor:
        """Return half of chi2, of residuals smoothed by a Gaussian.

        Parameters
        ----------
        white : tensor
            Shape (..., nx, ny, nz).
        smoothing : float or tensor
            Width of the Gaussian [Mpc/h].

        Returns
        -------
        tensor of float64
            Summed over all fields.
        """
        modes = to_modes(self.residual(white))
        scale = tf.cast(smoothing, tf.float32) * tf.cast(self._wavenumber, tf.float32)
        smooth = to_field(modes * tf.cast(tf.exp(-0.5 * scale**2), modes.dtype), self.box.shape)
        return 0.5 * tf.reduce_sum(tf.cast(smooth, tf.float64) ** 2)

    def value_and_gradient(
        self, white: Tensor, smoothing: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the negative logarithm of the posterior, but for a constant, and its gradient.

        Parameters
        ----------
        white : tensor of float64
            Shape (..., nx, ny, nz).
        smoothing : float or tensor
            Of the residuals [Mpc/h]; 0 is the posterior itself.

        Returns
        -------
        value : tensor of float64
            Of all fields together.
        gradient : tensor of float64
            Same shape as `white`.

        Raises
        ------
        BoxError
            If the white noise is not of the box.
        """
        white = tf.cast(white, tf.float64)
        self.box.check_field(white.shape)
        return self._compiled(white, tf.convert_to_tensor(smoothing, tf.float32))

    def gradients(self, white: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of likelihood and prior apart.

        Parameters
        ----------
        white : tensor
            Shape (..., nx, ny, nz).

        Returns
        -------
        likelihood, prior : tensor
            Of their negative logarithms, same shape.
        """
        gradient = self.value_and_gradient(white)[1]
        return gradient - tf.cast(white, tf.float64), tf.cast(white, tf.float64)

    def _evaluate(self, white: Tensor, smoothing: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(white)
            value = self.misfit(white, smoothing) + 0.5 * tf.reduce_sum(white**2)
        return value, tape.gradient(value, white)


def _check_observation(observed: np.ndarray, noise: np.ndarray) -> None:
    if not np.all(noise > 0):
        raise ReconstructionError(
            f"The smallest noise is {np.min(noise)}; it must be positive. Give the standard "
            "deviation of a cell, infinite where nothing was seen.",
            float(np.min(noise)),
        )
    seen = np.isfinite(np.broadcast_to(noise, observed.shape))
    if not np.all(np.isfinite(observed[seen])) or not np.any(seen):
        raise ReconstructionError(
            f"Of {seen.sum()} cells that were seen, {np.sum(~np.isfinite(observed[seen]))} hold no "
            "finite number. Give an infinite noise where nothing was seen, and see something.",
            int(seen.sum()),
        )

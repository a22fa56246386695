"""How stiff a posterior is in each direction, so that one step size suits them all.

Where the prior is white noise and the likelihood is sharp, or the other way round, a sampler
without a metric takes hundreds of steps where one is enough. For images the metric is diagonal in
Fourier space, C(k) = 1 / (1 / (P + sigma^2) + T / (1 + sigma^2 T)), with the power P of the prior's
Gaussian and the likelihood's response T(k) to a mode: its mean at a wavenumber, or each mode's own
where the likelihood mixes none, as when some modes are measured and others not. It is exact for a
Gaussian prior with stationary noise and full coverage of pixels or a mask of modes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ..fourier import filtered, to_modes, wavenumbers
from ..likelihood import GaussianLikelihood
from ..prior import Prior

__all__ = ["Metric"]

Tensor = Any

_N_PROBES = 4
_N_BINS = 24
_MIXED = 1e-4  # of the power that comes back, at most, where modes do not mix


class Metric:
    """Multiply fields by the root of an approximate posterior covariance.

    Parameters
    ----------
    prior : Prior
    likelihood : GaussianLikelihood
    event_shape : tuple of int
    """

    def __init__(
        self, prior: Prior, likelihood: GaussianLikelihood, event_shape: tuple[int, ...]
    ) -> None:
        gaussian = prior.gaussian(event_shape) if len(event_shape) == 2 else None
        self._is_fourier = gaussian is not None
        power = np.asarray(prior.std**2) if gaussian is None else gaussian.power
        self._power = tf.constant(power, tf.float32)
        response = _respond(likelihood, event_shape, is_fourier=self._is_fourier)
        self._response = tf.constant(response, tf.float32)

    def root(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Multiply by the root of the covariance.

        Parameters
        ----------
        x : tensor, shape (n, ...)
        sigma : tensor
            The noise level.

        Returns
        -------
        tensor, shape (n, ...)
        """
        variance = sigma**2
        precision = 1.0 / (self._power + variance)
        precision += self._response / (1.0 + variance * self._response)
        factor = tf.math.rsqrt(precision)
        return filtered(x, factor) if self._is_fourier else x * factor


def _respond(
    likelihood: GaussianLikelihood, event_shape: tuple[int, ...], *, is_fourier: bool
) -> Any:
    """Return A^T N^-1 A for a mode, smooth in wavenumber if it mixes modes, or for any number."""
    n_fields = int(likelihood.data.shape[0])
    shape = (max(n_fields, _N_PROBES), *event_shape)
    white = tf.constant(np.random.default_rng(0).standard_normal(shape), tf.float32)
    fields = white if n_fields == 1 else white[:n_fields]  # one a field, if each has its own
    seen = likelihood.mask * likelihood.operator.forward(fields) / likelihood.noise_variance
    back = likelihood.operator.adjoint(seen)
    if not is_fourier:
        return max(float(tf.reduce_mean(fields * back)), 0.0)
    modes, images = to_modes(fields).numpy(), to_modes(back).numpy()
    product = (modes.conj() * images).real.sum(axis=0)
    norm = (np.abs(modes) ** 2).sum(axis=0)
    own = product / norm
    if np.sum(np.abs(images - own * modes) ** 2) < _MIXED * np.sum(np.abs(images) ** 2):
        return np.maximum(own, 0.0)
    k = wavenumbers((event_shape[0], event_shape[1]))
    which = np.digitize(k.ravel(), np.linspace(0.0, k.max(), _N_BINS))
    means = [np.bincount(which, values.ravel()) for values in (product, norm)]
    return np.maximum(means[0][which] / means[1][which], 0.0).reshape(k.shape)

"""Potential gradient descent: give back the small scales that a coarse force loses.

Particles are moved along a force of which only a band of scales is kept, as halos would have pulled
them (Dai, Feng and Seljak 2018, arXiv:1804.00671). Two scales and a strength are fitted to the
power spectrum of a simulation of higher resolution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ..errors import BoxError
from .box import Box
from .gravity import acceleration, density
from .kernels import inverse_laplacian
from .lpt import Particles
from .optimizers import load_minimizer
from .spectrum import power_spectrum

__all__ = ["fit_sharpening", "sharpen"]

Tensor = Any

_STRENGTH, _SCALES, _STEP = 0.02, (0.15, 1.0), 0.7  # where the search begins; step of the logarithm


def sharpen(
    particles: Particles,
    box: Box,
    *,
    strength: float | Tensor,
    long_scale: float,
    short_scale: float,
    resolution: int = 1,
) -> Particles:
    """Move particles towards the halos that a coarse force leaves too fluffy.

    Parameters
    ----------
    particles : Particles
        At any time.
    box : Box
        Their box.
    strength : float or tensor
        How far to go, in units of the filtered displacement; gradients flow to it. `fit_sharpening`
        finds it and the scales.
    long_scale : float
        Wavenumber below which nothing is moved [h/Mpc].
    short_scale : float
        Wavenumber above which the force is smoothed [h/Mpc].
    resolution : int
        Force mesh cells along a particle cell.

    Returns
    -------
    Particles
        The same momenta, new places.

    Raises
    ------
    BoxError
        If the scales are not 0 < long_scale < short_scale.

    Source: Dai, Feng and Seljak 2018, arXiv:1804.00671, equations 4 to 7.
    """
    if not 0 < long_scale < short_scale:
        raise BoxError(
            f"The band from {long_scale} to {short_scale} h/Mpc is empty. Give 0 < long_scale < "
            "short_scale.",
            (long_scale, short_scale),
        )
    mesh = box.refined(resolution)
    k = mesh.wavenumber()
    k[0, 0, 0] = np.inf
    band = np.exp(-((long_scale / k) ** 2) - (k / short_scale) ** 4)
    pull = acceleration(
        particles.displacement,
        box,
        resolution=resolution,
        kernel=inverse_laplacian(mesh) * band,
    )
    moved = particles.displacement + tf.cast(strength, pull.dtype) * pull
    return Particles(moved, particles.momentum)


def fit_sharpening(
    particles: Particles,
    box: Box,
    power: ArrayLike,
    *,
    largest_k: float = np.inf,
    resolution: int = 1,
    n_iterations: int = 80,
) -> dict[str, float]:
    """Find the parameters of `sharpen` that give particles the power of a better simulation.

    Parameters
    ----------
    particles : Particles
        Of a quick simulation.
    box : Box
        Their box.
    power : array_like, shape (shell,)
        Of a better simulation from the same linear field, in the shells of `power_spectrum` of this
        box [(Mpc/h)^3].
    largest_k : float
        Wavenumber up to which power is compared [h/Mpc].
    resolution : int
        As of `sharpen`.
    n_iterations : int
        Of Nelder and Mead's search, at most.

    Returns
    -------
    dict of str to float
        The keyword arguments `strength`, `long_scale` and `short_scale`.

    Raises
    ------
    BoxError
        If the power is not positive in every shell of the box, or none is compared.
    MissingExtraError
        Without the extra `inference`.
    """
    found = power_spectrum(density(particles.displacement, box), box)
    power = np.asarray(power, float)
    if power.shape != found.k.shape or not np.all(power > 0):
        raise BoxError(
            f"Power of shape {power.shape} is not that of the box's {len(found.k)} shells, or not "
            "positive. Give the power_spectrum of a density on the same grid.",
            power.shape,
        )
    is_compared = found.k < largest_k
    if not is_compared.any():
        raise BoxError(
            f"No shell is below {largest_k:g} h/Mpc: the first is at {found.k[0]:.3g}. Give a "
            "larger largest_k.",
            largest_k,
        )
    minimize = load_minimizer("nelder_mead_minimize", "Fitting")

    def parameters(logs: Tensor) -> dict[str, float]:
        strength, long_scale, width = np.exp(np.asarray(logs, float)).tolist()
        return {
            "strength": strength,
            "long_scale": long_scale,
            "short_scale": long_scale + width,
        }

    def distance(logs: Tensor) -> Tensor:
        sharp = sharpen(particles, box, resolution=resolution, **parameters(logs))
        ours = power_spectrum(density(sharp.displacement, box), box).power
        off = tf.math.log(ours / tf.constant(power, ours.dtype))
        return tf.reduce_mean(tf.cast(off, tf.float64)[is_compared] ** 2)

    nyquist = min(np.pi / cell for cell in box.cell)
    first = tf.constant(np.log([_STRENGTH, *(share * nyquist for share in _SCALES)]))
    search = minimize(distance, initial_vertex=first, step_sizes=_STEP, max_iterations=n_iterations)
    return parameters(search.position)

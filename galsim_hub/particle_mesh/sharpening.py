"""Potential gradient descent: give back the small scales that a coarse force loses.

Particles are moved along a force of which only a band of scales is kept, as halos would have pulled
them (Dai, Feng and Seljak 2018, arXiv:1804.00671). Two scales and a strength are fitted to a
simulation of higher resolution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BoxError
from .box import Box
from .gravity import acceleration
from .kernels import inverse_laplacian
from .lpt import Particles

__all__ = ["sharpen"]

Tensor = Any


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
        How far to go, in units of the filtered displacement; gradients flow to it.
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
    return Particles(particles.displacement + strength * pull, particles.momentum)

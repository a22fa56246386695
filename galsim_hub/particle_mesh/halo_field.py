"""Halo fields: from the density of matter to that of the haloes in it, by a small network.

A particle mesh with few steps puts matter where haloes are, but does not form them. A network that
sees the density and the tidal field around a cell, smoothed on a few scales, says how much halo
there is (Modi, Feng and Seljak 2018, arXiv:1805.02247). It is trained on haloes that are found in
better simulations of the same initial conditions, and is differentiable as everything here is.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..backend import load_function
from ..errors import BoxError, ExtrapolationWarning
from ..registry import locate
from ..spec import ModuleSpec, read_spec
from .bias import tidal_square
from .box import Box
from .fields import as_field
from .fourier import to_field, to_modes

__all__ = ["HaloField", "halo_features", "smooth"]

FLOOR = 0.05  # of densities whose logarithm is taken: less than a particle in a smoothed cell
CELL_TOLERANCE = 0.01

Tensor = Any


def smooth(field: Tensor, box: Box, scale: float) -> Tensor:
    """Convolve a field with a Gaussian.

    Parameters
    ----------
    field : tensor
        Shape (..., nx, ny, nz).
    box : Box
        Its grid.
    scale : float
        Standard deviation of the Gaussian along each axis [Mpc/h]; 0 changes nothing.

    Returns
    -------
    tensor
        Same shape. Differentiable.

    Raises
    ------
    BoxError
        If `field` is not one of `box`, or the scale is negative or not finite.

    Examples
    --------
    >>> peak = tf.one_hot(0, 512, dtype=tf.float32)
    >>> smoothed = smooth(tf.reshape(peak, [8, 8, 8]), Box(8, 8.0), 1.5)
    >>> print(f"{tf.reduce_sum(smoothed):.4f}")
    1.0000
    """
    field = as_field(field, box)
    if not 0 <= scale < np.inf:
        raise BoxError(
            f"A field was to be smoothed on {scale} Mpc/h. Give 0 or a positive scale.", scale
        )
    if scale == 0:
        return field
    modes = to_modes(field)
    kernel = np.exp(-0.5 * (scale * box.wavenumber()) ** 2)
    return to_field(modes * tf.cast(kernel, modes.dtype), box.shape)


def halo_features(density: Tensor, box: Box, scales: Sequence[float]) -> Tensor:
    """Return what a network is told of every cell.

    Parameters
    ----------
    density : tensor
        1 + delta, shape (..., nx, ny, nz).
    box : Box
        Its grid.
    scales : sequence of float
        Of the smoothing [Mpc/h].

    Returns
    -------
    tensor
        Shape (..., nx, ny, nz, 2 * len(scales)): for each scale the logarithm of the density and of
        1 + the square of the tidal field. Differentiable.

    Raises
    ------
    BoxError
        If `density` is not a field of `box`, or a scale is negative or not finite.
    """
    features = []
    for scale in scales:
        smoothed = smooth(density, box, scale)
        # A Gaussian that is cut at the Nyquist mode rings a little below zero.
        features.append(tf.math.log(tf.maximum(smoothed, 0.0) + FLOOR))
        features.append(tf.math.log1p(tf.maximum(tidal_square(smoothed - 1.0, box), 0.0)))
    return tf.stack(features, axis=-1)


class HaloField:
    """Use a module of kind ``halo_field``.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION`` or the path of a module's folder.

    Raises
    ------
    UnknownModuleError
        If there is no such module.
    UnsupportedModuleError
        If it is a module of another kind.
    """

    def __init__(self, file_name: str | os.PathLike[str]) -> None:
        location = locate(file_name)
        self._spec, self._folder = read_spec(location.folder), location.folder
        self._file_name = location.address
        self._spec.require_kind("halo_field", location.address)
        self._network: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"galsim_hub.particle_mesh.HaloField({self._file_name!r})"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self._file_name,)  # the network, once loaded, cannot be sent

    @property
    def spec(self) -> ModuleSpec:
        """The module's card."""
        return self._spec

    @property
    def cell(self) -> float:
        """Side of the cells that the network was trained on [Mpc/h]."""
        return float(self._spec.training["cell"])

    @property
    def smoothing(self) -> float:
        """Standard deviation of the Gaussian below which the field was not fitted [Mpc/h]."""
        return float(self._spec.training["smoothing"])

    @property
    def mean_mass_density(self) -> float:
        """The mass of haloes in a volume where the field is 1 [Msun/h / (Mpc/h)^3]."""
        return float(self._spec.training["mean_mass_density"])

    def __call__(self, density: Tensor, box: Box) -> Tensor:
        """Return the halo field of a density.

        Parameters
        ----------
        density : tensor
            1 + delta of a particle mesh today, shape (..., nx, ny, nz).
        box : Box
            Its grid, with cells of the size `cell`.

        Returns
        -------
        tensor
            The mass of haloes in units of `mean_mass_density`, same shape. Gradients flow to
            `density`. Small scales were not fitted: `smooth` it by `smoothing` before you look at
            single cells. Subtract its mean where you need fluctuations, and do not divide by it:
            the mean is fitted loosely, see the card.

        Raises
        ------
        BoxError
            If `density` is not a field of `box`.
        """
        density = tf.cast(density, tf.float32)
        box.check_field(density.shape)
        self._check_cell(box)
        features = halo_features(density, box, self._spec.training["scales"])
        if self._network is None:
            self._network = load_function(self._folder, self._spec, "halo_field")
        rows = tf.reshape(features, [-1, features.shape[-1]])
        return tf.reshape(self._network(features=rows)["field"], density.shape)

    def _check_cell(self, box: Box) -> None:
        if any(abs(side / self.cell - 1.0) > CELL_TOLERANCE for side in box.cell):
            warnings.warn(
                f"Cells of {box.cell} Mpc/h are not those that {self._spec.label} was trained on, "
                f"{self.cell:g} Mpc/h along each side. Simulate with such cells, or check the "
                "result against haloes.",
                ExtrapolationWarning,
                stacklevel=3,
            )

"""Fourier kernels: gradients and the inverse Laplacian on the grid of a box.

Two gradients are offered. ``"spectral"`` is exact and what perturbation theory wants; the Nyquist
mode, whose sign is unknown, has none. ``"four_point"`` is the central difference over four cells,
which FastPM and its descendants use because it damps what the grid cannot resolve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BoxError
from .box import Box

__all__ = ["gradient_kernels", "inverse_laplacian"]


def inverse_laplacian(box: Box) -> NDArray[np.float64]:
    """Return -1 / k^2, and 0 for the mean [(Mpc/h)^2].

    Parameters
    ----------
    box : Box
        Its grid.

    Returns
    -------
    ndarray of float64
        Shape (nx, ny, nz / 2 + 1).
    """
    square = box.wavenumber() ** 2
    return -1.0 / np.where(square == 0, np.inf, square)


def gradient_kernels(box: Box, kind: str = "spectral") -> tuple[NDArray[Any], ...]:
    """Return the imaginary part of the gradient along each axis [h/Mpc].

    Parameters
    ----------
    box : Box
        Its grid.
    kind : str
        ``"spectral"`` or ``"four_point"``.

    Returns
    -------
    tuple of 3 ndarray of float64
        They broadcast to (nx, ny, nz / 2 + 1).

    Raises
    ------
    BoxError
        If there is no such kind.

    Source: Hamming 1989, Digital Filters, section 6.4; Feng et al. 2016, arXiv:1603.00476.
    """
    wavenumbers = box.wavenumbers()
    if kind == "spectral":
        return tuple(
            np.where(np.abs(k) * h > np.pi * (1 - 1e-9), 0.0, k)
            for k, h in zip(wavenumbers, box.cell, strict=True)
        )
    if kind == "four_point":
        return tuple(
            (8.0 * np.sin(k * h) - np.sin(2.0 * k * h)) / (6.0 * h)
            for k, h in zip(wavenumbers, box.cell, strict=True)
        )
    raise BoxError(f"There is no gradient {kind!r}. Choose 'spectral' or 'four_point'.", kind)

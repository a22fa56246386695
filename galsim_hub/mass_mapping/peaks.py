"""Peaks of a map of mass, with the places where a catalogue of clusters can be asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .field import Field

__all__ = ["find_peaks"]

APART = 2.0  # [arcmin]: a peak is the highest value within that of it, along both axes


def find_peaks(
    field: Field,
    convergence: NDArray[np.float64],
    std: NDArray[np.float64],
    is_mapped: NDArray[np.bool_],
    *,
    threshold: float = 0.0,
) -> Any:
    """List the peaks of a map by their significance.

    Parameters
    ----------
    field : Field
    convergence, std : ndarray, shape (y, x)
        Mean and standard deviation of a posterior, or a map and its noise.
    is_mapped : ndarray of bool, shape (y, x)
        Where peaks count.
    threshold : float
        The least convergence by its standard deviation.

    Returns
    -------
    astropy.table.Table
        Columns ra, dec [deg], x, y [pixel, from 0], convergence, std and significance, the most
        significant first.
    """
    from astropy.table import Table

    reach = max(1, round(APART / field.pixel_scale))
    masked = np.where(is_mapped, convergence, -np.inf)
    significance = np.divide(convergence, std, out=np.zeros_like(std), where=is_mapped & (std > 0))
    is_peak = is_mapped & (masked == _highest_near(masked, reach)) & (significance > threshold)
    y, x = np.nonzero(is_peak)
    order = np.argsort(-significance[y, x], kind="stable")
    y, x = y[order], x[order]
    ra, dec = field.to_sky(x, y)
    table = Table()
    for name, values, unit in (
        ("ra", ra, "deg"),
        ("dec", dec, "deg"),
        ("x", x, "pix"),
        ("y", y, "pix"),
        ("convergence", convergence[y, x], ""),
        ("std", std[y, x], ""),
        ("significance", significance[y, x], ""),
    ):
        table[name] = values
        table[name].unit = unit or None
    return table


def _highest_near(image: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the highest value of the square around each pixel."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (reach, reach)
        padded = np.pad(image, padding, constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis)
        image = windows.max(axis=-1)
    return image

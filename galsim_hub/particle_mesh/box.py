"""The periodic box and its grid: sizes, cells and wavenumbers.

Every length is comoving, in Mpc/h, every wavenumber in h/Mpc. Sides may differ in length and in
number of cells.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import is_count
from ..errors import BoxError

__all__ = ["Box"]


@dataclasses.dataclass(frozen=True)
class Box:
    """A periodic box divided into cells, one particle a cell at the start.

    Parameters
    ----------
    shape : int or sequence of 3 int
        Cells along each side: even, at least 4; powers of two are not required.
    size : float or sequence of 3 float
        Length of each side [Mpc/h].

    Raises
    ------
    BoxError
        If a number of cells is odd or too small, or a length is not positive.

    Examples
    --------
    >>> box = Box(shape=(64, 64, 32), size=(200.0, 200.0, 100.0))
    >>> box.cell, box.n_cells
    ((3.125, 3.125, 3.125), 131072)
    """

    shape: tuple[int, int, int]
    size: tuple[float, float, float]

    def __init__(self, shape: int | Sequence[int], size: float | Sequence[float]) -> None:
        cells = _three(shape, "shape")
        if any(n < 4 or n % 2 for n in cells):
            raise BoxError(
                f"A box of {cells} cells was asked for; each side needs an even number of "
                "cells, 4 or more. Choose the next even number.",
                cells,
            )
        object.__setattr__(self, "shape", tuple(int(n) for n in cells))
        object.__setattr__(self, "size", tuple(float(side) for side in _three(size, "size")))
        if not all(math.isfinite(side) and side > 0 for side in self.size):
            raise BoxError(
                f"A box of {self.size} Mpc/h was asked for; each side must be positive and "
                "finite. Give lengths in Mpc/h.",
                self.size,
            )

    @property
    def cell(self) -> tuple[float, float, float]:
        """Length of each side of a cell [Mpc/h]."""
        lx, ly, lz = (side / n for side, n in zip(self.size, self.shape, strict=True))
        return lx, ly, lz

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    @property
    def volume(self) -> float:
        """Volume [(Mpc/h)^3]."""
        return math.prod(self.size)

    def refined(self, resolution: int) -> Box:
        """Return the same volume with more cells.

        Parameters
        ----------
        resolution : int
            Cells of the result along a cell of this box, 1 or more.

        Returns
        -------
        Box

        Raises
        ------
        BoxError
            If `resolution` is not a positive whole number.
        """
        if not is_count(resolution):
            raise BoxError(
                f"The force resolution is {resolution!r}; it is the number of mesh cells along a "
                "particle cell: give 1, 2, 3 ...",
                resolution,
            )
        return Box([int(resolution) * n for n in self.shape], self.size)

    def mode_numbers(self) -> tuple[NDArray[np.int64], ...]:
        """Return the wavevectors of a real transform in units of the fundamental modes.

        Returns
        -------
        tuple of 3 ndarray of int64
            Shapes (nx, 1, 1), (1, ny, 1), (1, 1, nz / 2 + 1), which broadcast together. The Nyquist
            mode is negative.
        """
        nx, ny, nz = ((np.arange(n) + n // 2) % n - n // 2 for n in self.shape)
        return nx[:, None, None], ny[None, :, None], nz[None, None, : self.shape[2] // 2 + 1]

    def wavenumbers(self) -> tuple[NDArray[Any], ...]:
        """Return the wavenumbers of a real transform along each axis [h/Mpc].

        Returns
        -------
        tuple of 3 ndarray of float64
            Shapes (nx, 1, 1), (1, ny, 1), (1, 1, nz / 2 + 1), which broadcast together.
        """
        kx, ky, kz = (
            2 * np.pi / side * n for n, side in zip(self.mode_numbers(), self.size, strict=True)
        )
        return kx, ky, kz

    def wavenumber(self) -> NDArray[np.float64]:
        """Return the modulus of every wavevector of a real transform [h/Mpc].

        Returns
        -------
        ndarray of float64
            Shape (nx, ny, nz / 2 + 1).
        """
        return np.sqrt(sum(k**2 for k in self.wavenumbers()))

    def check_field(self, shape: Sequence[int | None], components: int | None = None) -> None:
        """Raise unless a tensor's last axes are those of this box.

        Parameters
        ----------
        shape : sequence of int or None
            The tensor's static shape.
        components : int, optional
            Length of the axis before the box's three, where there is one.

        Raises
        ------
        BoxError
            If they differ.
        """
        expected = self.shape if components is None else (components, *self.shape)
        if tuple(shape)[-len(expected) :] != expected:
            raise BoxError(
                f"A field has the shape {tuple(shape)}; this box needs (..., "
                f"{', '.join(map(str, expected))}). Give the Box that the field was made with.",
                tuple(shape),
            )


def _three(value: Any, name: str) -> tuple[float, ...]:
    values = (value,) * 3 if np.ndim(value) == 0 else tuple(value)
    if len(values) != 3 or not all(isinstance(x, numbers.Real) for x in values):
        raise BoxError(f"The {name} of a box is one number or three, not {value!r}.", value)
    return values

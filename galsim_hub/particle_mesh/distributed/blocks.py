"""The share of one rank: its block of cells, and its block of modes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceMeshError
from ..box import Box

__all__ = ["CellBlock", "ModeBlock", "check_division", "halo_widths"]


@dataclasses.dataclass(frozen=True)
class CellBlock(Box):
    """The cells of one rank: a box cut along its first two sides.

    Parameters
    ----------
    box : Box
        The whole.
    mesh : tuple of 2 int
        Ranks along the first two sides.
    """

    def __init__(self, box: Box, mesh: tuple[int, int]) -> None:
        # Not by Box's constructor: a block may have an odd number of cells.
        cuts = (*mesh, 1)
        shape = tuple(n // cut for n, cut in zip(box.shape, cuts, strict=True))
        size = tuple(side / cut for side, cut in zip(box.size, cuts, strict=True))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "size", size)


@dataclasses.dataclass(frozen=True)
class ModeBlock(Box):
    """A box of which only one rank's modes are known, in the order (y, z, x).

    The first side of the mesh cuts y and the second z. Where that does not divide the modes along
    z, copies of the last fill up; what they hold is never used.

    Parameters
    ----------
    box : Box
        The whole.
    mesh : tuple of 2 int
        Ranks along the two sides.
    coordinates : tuple of 2 int
        This rank's place.
    """

    mesh: tuple[int, int]
    coordinates: tuple[int, int]

    def __init__(self, box: Box, mesh: tuple[int, int], coordinates: tuple[int, int]) -> None:
        super().__init__(box.shape, box.size)
        object.__setattr__(self, "mesh", mesh)
        object.__setattr__(self, "coordinates", coordinates)

    @property
    def n_filled(self) -> int:
        """Number of modes along z, those that fill up included."""
        return math.ceil((self.shape[2] // 2 + 1) / self.mesh[1]) * self.mesh[1]

    def mode_numbers(self) -> tuple[NDArray[np.int64], ...]:
        """Return the wavevectors of the rank's modes in units of the fundamental modes.

        Returns
        -------
        tuple of 3 ndarray of int64
            Along x, y and z, which broadcast to (y, z, x).
        """
        nx, ny, nz = (axis.ravel() for axis in super().mode_numbers())
        nz = np.pad(nz, (0, self.n_filled - len(nz)), mode="edge")
        ny, nz = (
            np.split(axis, cut)[place]
            for axis, cut, place in zip((ny, nz), self.mesh, self.coordinates, strict=True)
        )
        return nx[None, None, :], ny[:, None, None], nz[None, :, None]


def check_division(box: Box, mesh: tuple[int, int]) -> None:
    """Raise unless a mesh of ranks divides a box, in cells and in modes.

    Parameters
    ----------
    box : Box
        The whole.
    mesh : tuple of 2 int
        Ranks along the first two sides.

    Raises
    ------
    DeviceMeshError
        If it does not.
    """
    nx, ny, _ = box.shape
    if nx % mesh[0] or ny % mesh[1] or ny % mesh[0]:
        raise DeviceMeshError(
            f"A mesh of {mesh} devices does not divide a box of {box.shape} cells: the first "
            f"number has to divide both {nx} and {ny}, the second {ny}. Choose other numbers of "
            "devices or of cells.",
            mesh,
        )


def halo_widths(grid: Box, mesh: tuple[int, int], largest: float) -> tuple[int, int, int]:
    """Return the cells that a rank needs of its neighbours, along each side.

    Parameters
    ----------
    grid : Box
        The whole mesh of the force.
    mesh : tuple of 2 int
        Ranks along the first two sides.
    largest : float
        Largest displacement to provide for [Mpc/h].

    Returns
    -------
    tuple of 3 int
        Those that a particle can reach, and two for the difference of the potential; 0 where a
        side is not cut.

    Raises
    ------
    DeviceMeshError
        If a halo is wider than the neighbour's block.
    """
    cuts, widths = (*mesh, 1), []
    for n, cell, cut in zip(grid.shape, grid.cell, cuts, strict=True):
        width = 0 if cut == 1 else math.ceil(largest / cell) + 1 + 2
        if width > n // cut:
            raise DeviceMeshError(
                f"Blocks of {n // cut} cells are narrower than the halo of {width} that "
                f"displacements of up to {largest:g} Mpc/h need. Cut that side into fewer than "
                f"{cut} blocks, cut the other side too, or lower largest_displacement.",
                mesh,
            )
        widths.append(width)
    return widths[0], widths[1], widths[2]

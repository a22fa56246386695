"""The force on the particles of one rank.

Particles stay with the rank of the cell that they began in, wherever they go. They paint onto that
rank's cells and a halo around them, which is then added to the neighbours' cells; the potential is
read from cells and halo in the same way.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...errors import HaloError
from ..box import Box
from ..gravity import Solver
from ..kernels import inverse_laplacian
from .blocks import CellBlock, check_division, halo_widths
from .communicator import Communicator
from .transform import BlockTransform

__all__ = ["BlockSolver", "fold_halo", "pad_halo"]

Tensor = Any


class BlockSolver(Solver):
    """Compute accelerations of a rank's particles and their gradient.

    What concerns this rank alone is compiled, in parts; what passes between ranks is not. Sums over
    particles are in double precision, so that their order, which is another for every mesh of
    ranks, does not show: a particle that rounding carries over the edge of a cell would change the
    gradient in single precision by 1e-4.

    Parameters
    ----------
    box, grid : Box
        The whole grid of the particles and the whole mesh of the force.
    communicator : Communicator
        To the other ranks.
    largest_displacement : float
        What the halo provides for [Mpc/h].
    dtype : dtype
        float32 or float64.
    """

    def __init__(
        self,
        box: Box,
        grid: Box,
        communicator: Communicator,
        largest_displacement: float,
        dtype: Any,
    ) -> None:
        check_division(grid, communicator.mesh)
        self._communicator = communicator
        self._largest = largest_displacement
        self._transform = BlockTransform(grid, communicator)
        margin = halo_widths(grid, communicator.mesh, largest_displacement)
        kernel = tf.constant(inverse_laplacian(self._transform.modes), dtype)
        cells = CellBlock(box, communicator.mesh), CellBlock(grid, communicator.mesh)
        super().__init__(*cells, kernel, margin, sum_dtype=tf.float64)
        self._paint, self._read, self._read_back, self._slope = (
            tf.function(part, jit_compile=True, autograph=False)
            for part in (super().paint, super().read, super().read_back, super().slope)
        )

    def solve(self, source: Tensor) -> Tensor:
        """Return the potential of a source, both with their halos.

        Parameters
        ----------
        source : tensor
            Shape (batch, x, y, z).

        Returns
        -------
        tensor
            Same shape.
        """
        modes = self._transform.forward(self._fold(source))
        field = self._transform.inverse(modes * tf.cast(self._kernel, modes.dtype))
        return pad_halo(field, self._margin, self._communicator)

    def density(self, x: Tensor) -> Tensor:
        """Return the density on this rank's cells, with its gradient.

        Parameters
        ----------
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Shape (batch, x, y, z).
        """

        @tf.custom_gradient
        def painted(x: Tensor) -> tuple[Tensor, Any]:
            x = tf.stop_gradient(x)

            def gradient(upstream: Tensor) -> Tensor:
                return self.slope(pad_halo(upstream, self._margin, self._communicator), x)

            return self._fold(self.paint(x)), gradient

        return painted(x)

    def paint(self, x: Tensor) -> Tensor:
        """Return the density that this rank's particles make on its cells and halo.

        Parameters
        ----------
        x : tensor
            Displacements [Mpc/h], shape (batch, 3, nx, ny, nz).

        Returns
        -------
        tensor
            Shape (batch, x, y, z).

        Raises
        ------
        HaloError
            If a particle of any rank is beyond the halo.
        """
        self._check(x)
        return self._paint(x)

    def read(self, potential: Tensor, x: Tensor) -> Tensor:  # noqa: D102 - as in Solver
        return self._read(potential, x)

    def read_back(  # noqa: D102 - as in Solver
        self, potential: Tensor, x: Tensor, upstream: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._read_back(potential, x, upstream)

    def slope(self, source: Tensor, x: Tensor) -> Tensor:  # noqa: D102 - as in Solver
        return self._slope(source, x)

    def _fold(self, source: Tensor) -> Tensor:
        """Add up what ranks painted, and round it once: the same however the mesh is cut."""
        field = fold_halo(source, self._margin, self._communicator)
        return tf.cast(field, self._kernel.dtype)

    def _check(self, x: Tensor) -> None:
        """Raise on every rank if a particle of any has left its halo."""
        sides = [i for i, width in enumerate(self._margin) if width]
        if not sides:
            return
        mine = tf.reduce_max([tf.reduce_max(tf.abs(x[:, i])) for i in sides])
        everyone = self._communicator.sum(
            tf.one_hot(
                self._communicator.rank, self._communicator.n_ranks, mine, 0.0, dtype=x.dtype
            )
        )
        largest = float(tf.reduce_max(everyone))
        if not largest <= self._largest:  # also if it is not a number
            raise HaloError(
                f"A particle is {largest:.4g} Mpc/h from where it began, and the halos of the "
                f"blocks provide for {self._largest:g}. Give a larger largest_displacement.",
                largest,
                self._largest,
            )


def pad_halo(field: Tensor, widths: tuple[int, ...], communicator: Communicator) -> Tensor:
    """Add the neighbours' cells around a block.

    Parameters
    ----------
    field : tensor
        This rank's cells, shape (batch, x, y, z).
    widths : tuple of 3 int
        Cells of the halo on both ends of each side.
    communicator : Communicator
        To the neighbours.

    Returns
    -------
    tensor
        Shape (batch, x + 2 widths[0], y + 2 widths[1], z). The gradient is `fold_halo`.
    """
    for side, width in enumerate(widths[:2]):
        if width:
            first, last = _ends(field, side + 1, width)
            before, after = communicator.exchange(first, last, side)
            field = tf.concat([before, field, after], side + 1)
    return field


def fold_halo(field: Tensor, widths: tuple[int, ...], communicator: Communicator) -> Tensor:
    """Add the halo of a block to the neighbours' cells.

    Parameters
    ----------
    field : tensor
        This rank's cells with their halo, shape (batch, x, y, z).
    widths : tuple of 3 int
        Cells of the halo on both ends of each side.
    communicator : Communicator
        To the neighbours.

    Returns
    -------
    tensor
        Shape (batch, x - 2 widths[0], y - 2 widths[1], z). The gradient is `pad_halo`.
    """
    for side, width in reversed(list(enumerate(widths[:2]))):
        if width:
            axis = side + 1
            n = field.shape[axis] - 2 * width
            first, last = _ends(field, axis, width)
            before, after = communicator.exchange(first, last, side)
            _, field, _ = tf.split(field, [width, n, width], axis)
            field += _extend(before, 0, n - width, axis) + _extend(after, n - width, 0, axis)
    return field


def _ends(field: Tensor, axis: int, width: int) -> tuple[Tensor, Tensor]:
    n = field.shape[axis]
    first, _ = tf.split(field, [width, n - width], axis)
    _, last = tf.split(field, [n - width, width], axis)
    return first, last


def _extend(field: Tensor, before: int, after: int, axis: int) -> Tensor:
    paddings = [[0, 0] for _ in field.shape]
    paddings[axis] = [before, after]
    return tf.pad(field, paddings)

"""What ranks say to each other, and what a gradient says on the way back.

The ranks of a run form a mesh of two sides, over the first two sides of the box. Three exchanges
are all that the simulator needs. A transpose and an exchange with neighbours are their own
adjoints. A sum makes one value of many, known to all; its adjoint gives every rank that value's
gradient. `replicate` is the reverse: one value that every rank uses has the sum of their gradients.

Every rank has to call the same methods in the same order.
"""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

__all__ = ["Communicator", "SerialCommunicator"]

Tensor = Any


class Communicator(abc.ABC):
    """One rank's view of a mesh of ranks.

    Parameters
    ----------
    mesh : tuple of 2 int
        Ranks along the first and the second side of the box.
    rank : int
        Number of this rank; those along the second side are neighbours in number.

    Attributes
    ----------
    coordinates : tuple of 2 int
        Place in the mesh.
    """

    def __init__(self, mesh: tuple[int, int], rank: int) -> None:
        self.mesh = mesh
        self.rank = rank
        self.coordinates = divmod(rank, mesh[1])

    @property
    def n_ranks(self) -> int:
        """Number of ranks."""
        return self.mesh[0] * self.mesh[1]

    def transpose(self, x: Tensor, axis: int, first: int) -> Tensor:
        """Swap the last axis of a tensor with one that is cut among ranks.

        Parameters
        ----------
        x : tensor
            Every rank along a side of the mesh has a piece of the axis `first` and the whole last
            one.
        axis : int
            Side of the mesh, 0 or 1.
        first : int
            Axis, counted from the end: -2 or -3.

        Returns
        -------
        tensor
            A piece of what was the last axis in the place of `first`, the whole of that one last.
        """

        @tf.custom_gradient
        def transposed(x: Tensor) -> tuple[Tensor, Any]:
            x = tf.stop_gradient(x)
            return self._transpose(x, axis, first), lambda g: self.transpose(g, axis, first)

        return transposed(x)

    def exchange(self, before: Tensor, after: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Send to both neighbours along a side of the mesh, and receive from both.

        Parameters
        ----------
        before, after : tensor
            For the neighbour before and for that after, of one shape. The mesh wraps around.
        axis : int
            Side of the mesh, 0 or 1.

        Returns
        -------
        before, after : tensor
            From the neighbour before and from that after.
        """

        @tf.custom_gradient
        def exchanged(before: Tensor, after: Tensor) -> tuple[Any, Any]:
            before, after = tf.stop_gradient(before), tf.stop_gradient(after)
            return self._exchange(before, after, axis), lambda b, a: self.exchange(b, a, axis)

        return exchanged(before, after)

    def sum(self, x: Tensor) -> Tensor:
        """Add up the tensors of all ranks.

        Parameters
        ----------
        x : tensor
            This rank's.

        Returns
        -------
        tensor
            The sum, on every rank. It is one value: differentiate it as such.
        """

        @tf.custom_gradient
        def summed(x: Tensor) -> tuple[Tensor, Any]:
            return self._add(tf.stop_gradient(x)), lambda g: g

        return summed(x)

    def replicate(self, x: Tensor) -> Tensor:
        """Mark a value that is the same on all ranks, such as a cosmological parameter.

        Parameters
        ----------
        x : tensor
            The value.

        Returns
        -------
        tensor
            The same. Its gradient is the sum of those of all ranks.
        """

        @tf.custom_gradient
        def replicated(x: Tensor) -> tuple[Tensor, Any]:
            return tf.identity(x), self.sum

        return replicated(x)

    def _transpose(self, x: Tensor, axis: int, first: int) -> Tensor:
        line = self._line(axis)
        shape = x.shape.as_list()
        axes = list(range(len(shape) + 1))
        # Pieces of the last axis come foremost, and what is left of it in the place of `first`.
        axes[first - 1], axes[-1] = axes[-1], axes[first - 1]
        pieces = tf.reshape(x, [*shape[:-1], len(line), shape[-1] // len(line)])
        pieces = tf.transpose(pieces, [axes.pop(-2), *axes])
        pieces = self._swap(pieces, line)
        n_axes = len(pieces.shape)
        pieces = tf.transpose(pieces, [*range(1, n_axes - 1), 0, n_axes - 1])
        return tf.reshape(pieces, [*pieces.shape[:-2], pieces.shape[-2] * pieces.shape[-1]])

    def _exchange(self, before: Tensor, after: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        line, place = self._line(axis), self.coordinates[axis]
        n = len(line)
        if n == 1:
            return after, before
        received = {}
        # Pairs that share no rank talk at once: those at even places, at odd ones, the odd one out.
        for edge in sorted(
            {place, (place - 1) % n}, key=lambda i: 2 if i == n - 1 and n % 2 else i % 2
        ):
            is_after = edge == place
            pair = sorted((line[edge], line[(edge + 1) % n]))
            mine = after if is_after else before
            received[is_after] = self._swap(tf.stack([mine, mine]), pair)[1 - pair.index(self.rank)]
        return received[False], received[True]

    def _line(self, axis: int) -> list[int]:
        """Return the numbers of the ranks along a side of the mesh, through this one."""
        row, column = self.coordinates
        if axis == 0:
            return [i * self.mesh[1] + column for i in range(self.mesh[0])]
        return [row * self.mesh[1] + i for i in range(self.mesh[1])]

    @abc.abstractmethod
    def _swap(self, pieces: Tensor, ranks: list[int]) -> Tensor:
        """Give each of some ranks, this one among them, its piece; return theirs in order."""

    @abc.abstractmethod
    def _add(self, x: Tensor) -> Tensor:
        """Return the sum over all ranks."""


class SerialCommunicator(Communicator):
    """The only rank of a run: its neighbours are itself."""

    def __init__(self) -> None:
        super().__init__((1, 1), 0)

    def _swap(self, pieces: Tensor, ranks: list[int]) -> Tensor:
        return pieces

    def _add(self, x: Tensor) -> Tensor:
        return tf.identity(x)

"""Exchanges by TensorFlow's own collectives, between threads, processes and hosts.

Each rank calls them from its own thread, on its own device, one after the other; so no order has
to be arranged, and nothing can lock. The key of an exchange is made of what is exchanged, so that
ranks agree on it without counting.
"""

from __future__ import annotations

import zlib
from typing import Any

import tensorflow as tf

from ...errors import PeerError
from .communicator import Communicator

__all__ = ["CollectiveCommunicator"]

Tensor = Any


class CollectiveCommunicator(Communicator):
    """One rank among those that `launch` started.

    Parameters
    ----------
    mesh : tuple of 2 int
        Ranks along the first and the second side of the box.
    rank : int
        Number of this rank.
    timeout : float
        Seconds to wait for the others in an exchange before they are given up.
    """

    def __init__(self, mesh: tuple[int, int], rank: int, timeout: float) -> None:
        super().__init__(mesh, rank)
        self._timeout = timeout

    def _swap(self, pieces: Tensor, ranks: list[int]) -> Tensor:
        if len(ranks) == 1:
            return pieces
        if pieces.dtype.is_complex:  # which the collectives do not take
            swapped = self._swap(tf.bitcast(pieces, pieces.dtype.real_dtype), ranks)
            return tf.bitcast(swapped, pieces.dtype)
        return self._run(tf.raw_ops.CollectiveAllToAllV2, pieces, ranks)

    def _add(self, x: Tensor) -> Tensor:
        ranks = list(range(self.n_ranks))
        options = {"merge_op": "Add", "final_op": "Id"}
        return self._run(tf.raw_ops.CollectiveReduceV2, x, ranks, **options)

    def _run(self, exchange: Any, x: Tensor, ranks: list[int], **options: str) -> Tensor:
        try:
            return exchange(
                input=x,
                group_size=len(ranks),
                group_key=_key(ranks),
                instance_key=_key(exchange.__name__, x.shape, x.dtype.name),
                ordering_token=[],
                timeout_seconds=self._timeout,
                **options,
            )
        except tf.errors.OpError as error:
            raise PeerError(
                f"Rank {self.rank} lost one of the ranks {ranks} ({type(error).__name__}): it "
                f"died, was never started, or did not answer for {self._timeout:g} s. Look for the "
                "first error in the output of the others, and start the run again; it goes on from "
                "its checkpoints.",
                self.rank,
            ) from error


def _key(*parts: Any) -> int:
    """Return a whole number of 31 bits that is the same in every process."""
    return zlib.crc32(repr(parts).encode()) & 0x7FFFFFFF

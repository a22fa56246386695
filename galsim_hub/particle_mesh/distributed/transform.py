"""Fourier transforms of a field that is cut among ranks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..box import Box
from ..fourier import Transform, multiplicity
from .blocks import ModeBlock
from .communicator import Communicator

__all__ = ["BlockTransform"]

Tensor = Any


class BlockTransform(Transform):
    """Transform one side after the other, each while a rank has the whole of it.

    Fields are (..., x, y, z) with x and y cut; modes are (..., y, z, x) with y and z cut.

    Parameters
    ----------
    box : Box
        The whole box.
    communicator : Communicator
        To the other ranks.

    Attributes
    ----------
    modes : ModeBlock
        Gives the wavenumbers of this rank's modes.
    """

    def __init__(self, box: Box, communicator: Communicator) -> None:
        self.modes = ModeBlock(box, communicator.mesh, communicator.coordinates)
        # The numbers along z index the counts: the Nyquist mode's is negative.
        super().__init__(box.shape, multiplicity(box.shape[2])[abs(self.modes.mode_numbers()[2])])
        self._communicator = communicator

    def forward(self, field: Tensor) -> Tensor:
        """Return the modes of real fields, without a gradient.

        Parameters
        ----------
        field : tensor
            This rank's cells, shape (..., x, y, z).

        Returns
        -------
        tensor of complex
            This rank's modes, shape (..., y, z, x).
        """
        modes = tf.signal.rfft(field)
        filling = self.modes.n_filled - modes.shape[-1]
        if filling:
            modes = tf.pad(modes, [[0, 0]] * (len(modes.shape) - 1) + [[0, filling]])
        modes = self._communicator.transpose(modes, axis=1, first=-2)
        modes = tf.signal.fft(modes)
        modes = self._communicator.transpose(modes, axis=0, first=-3)
        return tf.signal.fft(modes)

    def inverse(self, modes: Tensor) -> Tensor:
        """Return the real fields of modes, without a gradient.

        Parameters
        ----------
        modes : tensor of complex
            This rank's modes, shape (..., y, z, x).

        Returns
        -------
        tensor
            This rank's cells, shape (..., x, y, z).
        """
        modes = tf.signal.ifft(modes)
        modes = self._communicator.transpose(modes, axis=0, first=-3)
        modes = tf.signal.ifft(modes)
        modes = self._communicator.transpose(modes, axis=1, first=-2)
        nz = self.shape[2]
        return tf.signal.irfft(modes[..., : nz // 2 + 1], fft_length=[nz])

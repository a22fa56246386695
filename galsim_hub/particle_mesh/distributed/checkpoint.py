"""The state of a run on disk, between its steps.

Every rank writes its own file, under another name until it is whole. The last two steps are kept:
a rank may have been ended just before it wrote the one that the others have.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import CheckpointError
from .communicator import Communicator

__all__ = ["Checkpoints"]

N_KEPT = 2

Tensor = Any


class Checkpoints:
    """Write and find the steps of one run.

    Parameters
    ----------
    folder : str or path
        On a disk that every process sees, or each its own; made if it is not there.
    communicator : Communicator
        To the other ranks.
    run : str
        Identifies the run: what else would give another result.
    """

    def __init__(self, folder: str | Path, communicator: Communicator, run: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._communicator = communicator
        self._run = run

    def save(self, step: int, x: Tensor, p: Tensor) -> None:
        """Write the state after a step, and delete that of long before.

        Parameters
        ----------
        step : int
            Steps done.
        x, p : tensor
            This rank's displacements and momenta.
        """
        path = self._path(step)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.savez(file, x=x.numpy(), p=p.numpy(), run=self._run)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._path(step - N_KEPT).unlink(missing_ok=True)

    def load(self, n_steps: int) -> tuple[int, Tensor, Tensor] | None:
        """Read the last step that every rank has.

        Parameters
        ----------
        n_steps : int
            Steps of the whole run.

        Returns
        -------
        step : int
            Steps done.
        x, p : tensor
            This rank's displacements and momenta. Instead of the three None, where no step is
            whole.

        Raises
        ------
        CheckpointError
            On every rank, if the file of any is another run's.
        """
        steps = range(1, n_steps + 1)
        counts = self._communicator.sum(
            tf.constant([float(self._path(step).exists()) for step in steps])
        ).numpy()
        whole = [
            i for i, count in zip(steps, counts, strict=True) if count == self._communicator.n_ranks
        ]
        if not whole:
            return None
        state = self._read(whole[-1])
        if float(self._communicator.sum(tf.constant(float(state is None)))) > 0:
            path = self._path(whole[-1])
            raise CheckpointError(
                f"The checkpoints at {path} are those of another box, mesh of devices, beginning "
                "or steps, or are damaged. Choose another folder, or delete this one.",
                str(path),
            )
        return whole[-1], tf.constant(state[0]), tf.constant(state[1])

    def _read(self, step: int) -> Any:
        try:
            with np.load(self._path(step)) as state:
                return (state["x"], state["p"]) if str(state["run"]) == self._run else None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def _path(self, step: int) -> Path:
        return self._folder / f"step_{step:04d}_rank_{self._communicator.rank:04d}.npz"

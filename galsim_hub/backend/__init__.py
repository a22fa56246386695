"""Inference engines: the only part of the runtime that knows how a network is run.

`load_engine` gives the engine of a module in this process, started on first use. Nothing
here imports an engine before that, so that a process may build, pickle and send models
around, and fork, without paying for or being broken by TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..legacy import is_legacy
from ..registries import is_bundled_identity
from ..spec import ModuleSpec

__all__ = ["Engine", "load_engine"]


class Engine(Protocol):
    """Run a module's signatures.

    An engine promises that a row's outputs depend on that row's inputs only, bit for bit:
    not on the number of rows, their order, or the machine's load.
    """

    def run(
        self, signature: str, inputs: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[Any]]:
        """Compute one signature for a batch.

        Parameters
        ----------
        signature : str
            One of the module's signatures.
        inputs : mapping of str to ndarray of float32
            Batch first, at least one row.

        Returns
        -------
        dict of str to ndarray
            Batch first.
        """
        ...


# By process: an engine does not survive a fork.
_engines: dict[tuple[int, str], Engine] = {}


def load_engine(folder: Path, spec: ModuleSpec) -> Engine:
    """Return this process's engine of a module, starting it on first use.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card; the files are checked against it before they are loaded.

    Returns
    -------
    Engine

    Raises
    ------
    CorruptedModuleError
        If the files are not those of the card, or cannot be loaded.
    EngineError
        If the engine cannot start in this process.
    UnsafeModuleError
        If its graph could do more than compute.
    """
    key = (os.getpid(), spec.sha256)
    if key not in _engines:
        spec.verify(folder)
        _engines[key] = _start(folder, spec)
    return _engines[key]


def _start(folder: Path, spec: ModuleSpec) -> Engine:
    from .legacy import LegacyEngine  # here: it takes seconds
    from .tensorflow import TensorFlowEngine

    if is_legacy(folder):
        return LegacyEngine(folder)
    return TensorFlowEngine(folder, is_known=is_bundled_identity(spec.sha256))

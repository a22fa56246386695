"""Inference engines: the only part of the runtime that knows how a network is run.

`load_engine` gives the engine of a module in this process, started on first use. Nothing
here imports an engine before that, so that a process may build, pickle and send models
around, and fork, without paying for or being broken by TensorFlow. Two engines run the same
module: ``light`` (ONNX Runtime, quick and small) has what drawing needs, ``tensorflow`` has
every signature.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, suggest
from ..legacy import is_legacy
from ..registries import is_bundled_identity
from ..spec import ModuleSpec

__all__ = ["ENGINES", "Engine", "check_engine", "load_engine", "load_function", "pick_engine"]

ENGINES = ("auto", "light", "tensorflow")


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
_engines: dict[tuple[int, str, str], Engine] = {}


def check_engine(name: str) -> str:
    """Return the name of an engine, or 'auto'.

    Parameters
    ----------
    name : {'auto', 'light', 'tensorflow'}

    Returns
    -------
    str

    Raises
    ------
    EngineError
        If it is none of these.
    """
    if name not in ENGINES:
        raise EngineError(
            f"engine must be one of {', '.join(map(repr, ENGINES))}, got {name!r}."
            f"{suggest(str(name), ENGINES)}",
            str(name),
        )
    return name


def pick_engine(spec: ModuleSpec, signature: str) -> str:
    """Tell which engine 'auto' means: the light one where the module has files for it.

    Parameters
    ----------
    spec : ModuleSpec
    signature : str

    Returns
    -------
    {'light', 'tensorflow'}
    """
    return "light" if signature in spec.light else "tensorflow"


def load_engine(folder: Path, spec: ModuleSpec, name: str = "tensorflow") -> Engine:
    """Return this process's engine of a module, starting it on first use.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card; the files are checked against it before they are loaded.
    name : {'tensorflow', 'light'}

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
    key = (os.getpid(), spec.sha256, name)
    if key not in _engines:
        spec.verify(folder)
        _engines[key] = _start(folder, spec, name)
    return _engines[key]


def load_function(folder: Path, spec: ModuleSpec, signature: str) -> Callable[..., Any]:
    """Return a signature as a function of tensors, for those who write their graphs around it.

    Unlike an engine's `run` it takes a batch whole, so that a row's last bits may depend on the
    number of rows.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card; the files are checked against it before they are loaded.
    signature : str

    Returns
    -------
    callable
        From tensors by name to a dict of tensors.

    Raises
    ------
    EngineError
        If there is no such signature, or TensorFlow cannot start in this process.
    """
    from .tensorflow import TensorFlowEngine  # here: TensorFlow may not be installed

    engine = load_engine(folder, spec, "tensorflow")
    assert isinstance(engine, TensorFlowEngine)  # what load_engine makes of that name
    return engine.function(signature)


def _start(folder: Path, spec: ModuleSpec, name: str) -> Engine:
    # Imported here: each engine is heavy, and may not be installed.
    if name == "light":
        from .light import LightEngine

        return LightEngine(folder, spec.light)
    from .legacy import LegacyEngine
    from .tensorflow import TensorFlowEngine

    if is_legacy(folder):
        return LegacyEngine(folder)
    return TensorFlowEngine(folder, is_known=is_bundled_identity(spec.sha256))

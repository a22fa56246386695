"""Run a module's light files with ONNX Runtime, without TensorFlow.

A signature is a chain of ONNX files; each takes what it needs by name, from the inputs and
from what the files before it made. A file's batch size is fixed when it is exported, because
kernels are picked by the shape of a batch: so a galaxy's bits depend neither on its company
nor on the number of threads, each of which computes whole calls. No thread outlives a call, so
a process may fork at any time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptedModuleError, EngineError
from .chunks import run_in_chunks
from .onnx_file import read_onnx

__all__ = ["LightEngine"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Program:
    """Hold a session with what it says of itself, which takes a while to ask."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batch: int


class LightEngine:
    """Run the signatures of one module that have light files.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.
    chains : mapping of str to sequence of str
        For each signature its files in order, relative to the folder.

    Raises
    ------
    EngineError
        If ONNX Runtime is not installed.
    """

    def __init__(self, folder: Path, chains: Mapping[str, Sequence[str]]) -> None:
        self._runtime = _start_runtime()
        self._folder = folder
        self._chains = chains
        self._programs: dict[str, _Program] = {}

    def run(self, signature: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute one signature for a batch.

        Parameters
        ----------
        signature : str
            One of the signatures with light files.
        inputs : mapping of str to ndarray
            Batch first, at least one row; cast to float32.

        Returns
        -------
        dict of str to ndarray
            Batch first.

        Raises
        ------
        CorruptedModuleError
            If a file cannot be read, or holds more than a network.
        EngineError
            If there is no such signature, or ONNX Runtime fails.
        """
        if signature not in self._chains:
            raise EngineError(
                f"The module has no light files for signature {signature!r}, only for "
                f"{', '.join(self._chains) or 'none'}. Use engine='tensorflow', which "
                "pip install 'galsim-hub[tensorflow]' brings.",
                "light",
            )
        known: dict[str, NDArray[Any]] = {
            name: np.asarray(rows, dtype=np.float32) for name, rows in inputs.items()
        }
        outputs: dict[str, NDArray[Any]] = {}
        for name in self._chains[signature]:
            outputs = self._run_file(name, known)
            known.update(outputs)
        return outputs

    def _run_file(self, name: str, known: Arrays) -> dict[str, NDArray[Any]]:
        program = self._program(name)

        def call(chunk: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            found = program.session.run(program.outputs, chunk)
            return dict(zip(program.outputs, found, strict=True))

        try:
            wanted = {each: known[each] for each in program.inputs}
            return run_in_chunks(call, wanted, program.batch)
        except Exception as error:
            raise EngineError(
                f"ONNX Runtime could not run {self._folder / name}: {error}. Check that the "
                "module's card and light files belong together.",
                "light",
            ) from error

    def _program(self, name: str) -> _Program:
        if name not in self._programs:
            self._programs[name] = self._load(self._folder / name)
        return self._programs[name]

    def _load(self, path: Path) -> _Program:
        content = read_onnx(path)
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; they are raised as well
        try:
            session = self._runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            inputs, outputs = session.get_inputs(), session.get_outputs()
            names = [tuple(entry.name for entry in some) for some in (inputs, outputs)]
            return _Program(session, names[0], names[1], int(inputs[0].shape[0]))
        except Exception as error:
            raise CorruptedModuleError(
                f"ONNX Runtime cannot load {path}: {error}. Fetch the module again.", str(path)
            ) from error


def _start_runtime() -> Any:
    # Else ONNX Runtime keeps an id of the machine and reports its use; it reads this at import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime  # here: 0.1 s that `import galsim_hub` must not take
    except ImportError as error:
        raise EngineError(
            f"ONNX Runtime cannot be imported: {error}. Install it with 'pip install onnxruntime'.",
            "light",
        ) from error
    return onnxruntime

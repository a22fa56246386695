"""Run a module's SavedModel with TensorFlow.

TensorFlow picks its kernels by the shape of a batch: a decoder with 128x128 output gave
the same bits at batch sizes 1, 2 and 4, and others (by 7e-8 of the peak) from 8 on. So
every batch is cut into chunks of one fixed size, and a galaxy's pixels do not depend on its
company. Chunks of 1 make that true by construction; running them in parallel threads gives
back what larger batches would win.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import CorruptedModuleError, EngineError
from .chunks import run_in_chunks
from .graph import check_graph

__all__ = ["CHUNK_SIZE", "TensorFlowEngine"]

logger = logging.getLogger(__name__)

CHUNK_SIZE = 1

Arrays = Mapping[str, NDArray[Any]]

# The ids of the processes that started TensorFlow: a fork inherits its parent's.
_processes: list[int] = []

# Two threads that redirect stderr at a time would each restore what the other had put there.
_stderr_is_redirected = threading.Lock()


class TensorFlowEngine:
    """Run the signatures of one SavedModel.

    Parameters
    ----------
    folder : pathlib.Path
        The SavedModel's folder.
    chunk_size : int
        Rows a call; fixes the bits of the result, so leave it alone.
    tags : sequence of str, optional
        Which of its graphs, where there are several.
    is_known : bool
        Whether it comes with the package, so that its graph need not be looked through.

    Raises
    ------
    CorruptedModuleError
        If TensorFlow cannot read the SavedModel.
    EngineError
        If TensorFlow is not installed, or was started before this process was forked.
    UnsafeModuleError
        If its graph could do more than compute.
    """

    def __init__(
        self,
        folder: Path,
        chunk_size: int = CHUNK_SIZE,
        tags: Sequence[str] | None = None,
        *,
        is_known: bool = False,
    ) -> None:
        self._tensorflow = _start_tensorflow()
        self._chunk_size = chunk_size
        if not is_known:
            check_graph(folder)
        # Kept whole: its variables die with it.
        self._loaded = _load_saved_model(self._tensorflow, folder, tags)

    def run(self, signature: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute one signature for a batch.

        Parameters
        ----------
        signature : str
            One of the SavedModel's signatures.
        inputs : mapping of str to ndarray
            Batch first, at least one row; cast to float32.

        Returns
        -------
        dict of str to ndarray
            Batch first.

        Raises
        ------
        EngineError
            If there is no such signature, or TensorFlow fails.
        """
        function = self.function(signature)
        try:
            return run_in_chunks(
                lambda chunk: self._call(function, chunk), inputs, self._chunk_size
            )
        except Exception as error:
            raise EngineError(
                f"TensorFlow could not run signature {signature!r}: {error}. Check that the "
                "module's card and SavedModel belong together.",
                "tensorflow",
            ) from error

    def input_shapes(self, signature: str) -> dict[str, tuple[int | None, ...]]:
        """Tell the shapes of a signature's inputs.

        Parameters
        ----------
        signature : str
            One of the SavedModel's signatures.

        Returns
        -------
        dict of str to tuple of int or None
            Batch first.
        """
        function: Any = self.function(signature)
        _, inputs = function.structured_input_signature
        return {name: tuple(spec.shape) for name, spec in inputs.items()}

    def function(self, name: str) -> Callable[..., Mapping[str, Any]]:
        """Return a signature as a function of tensors.

        Parameters
        ----------
        name : str
            One of the SavedModel's signatures.

        Returns
        -------
        callable
            From tensors by name to a mapping of tensors.

        Raises
        ------
        EngineError
            If there is no such signature.
        """
        signatures = self._loaded.signatures
        if name not in signatures:
            raise EngineError(
                f"The SavedModel has no signature {name!r}; it has {sorted(signatures)}. Its card "
                "promises otherwise: export the module again.",
                "tensorflow",
            )
        function: Callable[..., Mapping[str, Any]] = signatures[name]
        return function

    def _call(
        self, function: Callable[..., Mapping[str, Any]], chunk: Arrays
    ) -> dict[str, NDArray[Any]]:
        constant, dtype = self._tensorflow.constant, self._tensorflow.float32
        outputs = function(**{name: constant(rows, dtype) for name, rows in chunk.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def _start_tensorflow() -> Any:
    starter = _processes[0] if _processes else os.getpid()
    if starter != os.getpid():
        raise EngineError(
            f"TensorFlow was started in process {starter} before this one was forked from it, "
            "and would hang here. Draw with engine='light', or run the parallel job in a fresh "
            "process, as the galsim executable does.",
            "tensorflow",
        )
    try:
        with _quiet_stderr():
            import tensorflow as tf  # here: it takes seconds
    except ImportError as error:
        raise EngineError(
            f"TensorFlow cannot be imported: {error}. Install it with "
            "pip install 'galsim-hub[tensorflow]'.",
            "tensorflow",
        ) from error
    _processes.append(os.getpid())
    return tf


def _load_saved_model(tensorflow: Any, folder: Path, tags: Sequence[str] | None) -> Any:
    try:
        with _quiet_stderr():
            return tensorflow.saved_model.load(str(folder), None if tags is None else list(tags))
    except Exception as error:
        raise CorruptedModuleError(
            f"TensorFlow cannot load the SavedModel in {folder}: {error}. Fetch the module again.",
            str(folder),
        ) from error


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send to the debug log what the C++ libraries write to file descriptor 2.

    They announce missing GPUs and rounding there before any log level can be set.
    """
    with _stderr_is_redirected, tempfile.TemporaryFile() as capture:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(capture.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            capture.seek(0)
            for line in capture.read().decode(errors="replace").splitlines():
                logger.debug("tensorflow: %s", line)

"""Run a module of 2020 as if it were one of today."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .tensorflow import TensorFlowEngine

__all__ = ["LegacyEngine"]

_SIGNATURE = "default"


class LegacyEngine:
    """Run the one signature of a module in TensorFlow 1's hub format.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.

    Raises
    ------
    CorruptedModuleError
        If TensorFlow cannot read the module.
    EngineError
        If TensorFlow cannot be used.
    UnsafeModuleError
        If the graph could do more than compute.
    """

    def __init__(self, folder: Path) -> None:
        self._engine = TensorFlowEngine(folder, tags=())

    def run(
        self, signature: str, inputs: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[Any]]:
        """Generate images.

        Parameters
        ----------
        signature : str
            ``generate``.
        inputs : mapping of str to ndarray
            Batch first, one number a galaxy but for ``random_normal``.

        Returns
        -------
        dict of str to ndarray
            ``image``, shape (n, y, x).

        Raises
        ------
        EngineError
            If the module gives anything but one image a galaxy.
        """
        shapes = self._engine.input_shapes(_SIGNATURE)
        given = {name: rows.reshape(-1, *shapes[name][1:]) for name, rows in inputs.items()}
        outputs = self._engine.run(_SIGNATURE, given)
        image = outputs.get(_SIGNATURE, np.empty(0))
        if image.ndim == 4 and image.shape[3] == 1:
            image = image[..., 0]
        if image.ndim != 3:
            shapes_got = {name: values.shape for name, values in outputs.items()}
            raise EngineError(
                f"The module gives {shapes_got} where one image a galaxy was expected, of shape "
                "(n, y, x) or (n, y, x, 1). It cannot be used.",
                "tensorflow",
            )
        return {"image": image}

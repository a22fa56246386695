"""Advance chains step by step, with progress, and with checkpoints to resume from.

The random numbers of a step are those of the seed and the step, so a run that was interrupted ends
with the very samples that it would have had.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SamplingError
from ...writing import write_whole

__all__ = ["Progress", "State", "run_steps"]

State = dict[str, NDArray[Any]]
Progress = Callable[[int, int], None]

_SAVE_EVERY = 60.0  # [s]


def run_steps(
    advance: Callable[[int, State], State],
    state: State,
    n_steps: int,
    *,
    settings: Mapping[str, Any],
    checkpoint: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> State:
    """Call `advance` for every step, from where a checkpoint stands.

    Parameters
    ----------
    advance : callable
        From the step's number and the state before it to the state after it.
    state : dict of str to ndarray
        Where to start.
    n_steps : int
    settings : mapping
        What makes the run the same run: a checkpoint of others is refused.
    checkpoint : path, optional
        A file to save the state in, every minute and at the end.
    progress : callable, optional
        Is told the number of steps done, and of all.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    SamplingError
        If the checkpoint is another run's, none or cannot be written, or a field is not finite any
        more.
    """
    path = None if checkpoint is None else Path(checkpoint)
    mark = _fingerprint(settings, state, n_steps)
    if path is not None:
        _check_place(path)
    first, state = _load(path, mark, state)
    saved = time.monotonic()
    for step in range(first, n_steps):
        state = advance(step, state)
        if not np.isfinite(state["x"]).all():
            raise SamplingError(
                f"Fields are not finite after step {step + 1}. Start with a smaller step_size.",
                "step_size",
            )
        if progress is not None:
            progress(step + 1, n_steps)
        if path is not None and (time.monotonic() - saved > _SAVE_EVERY or step + 1 == n_steps):
            _save(path, mark, step + 1, state)
            saved = time.monotonic()
    return state


def _fingerprint(settings: Mapping[str, Any], state: State, n_steps: int) -> str:
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True, default=str).encode())
    digest.update(str(n_steps).encode())
    for name in sorted(state):
        digest.update(name.encode() + np.ascontiguousarray(state[name]).tobytes())
    return digest.hexdigest()


def _load(path: Path | None, mark: str, state: State) -> tuple[int, State]:
    if path is None or not path.exists():
        return 0, state
    try:
        with path.open("rb") as stream, np.load(stream) as stored:
            found = str(stored["mark"])
            if found == mark:
                return int(stored["step"]), {name: stored[f"state/{name}"] for name in state}
    except Exception as error:  # zip, zlib, pickle and numpy each have their own
        raise SamplingError(
            f"{path} is no checkpoint that can be read ({type(error).__name__}). Delete it, or "
            "choose another file.",
            "checkpoint",
            str(path),
        ) from error
    raise SamplingError(
        f"Checkpoint {path} is of a run with other data, settings or starting fields. "
        "Delete it, or choose another file.",
        "checkpoint",
        str(path),
    )


def _check_place(path: Path) -> None:
    """Check before a long run that its checkpoint can be written."""
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise SamplingError(
            f"No checkpoint can be written to {path}: {error}. Choose another file.",
            "checkpoint",
            str(path),
        ) from error


def _save(path: Path, mark: str, step: int, state: State) -> None:
    arrays = {f"state/{name}": values for name, values in state.items()}

    def write(partial: Path) -> None:
        with partial.open("wb") as stream:  # which keeps numpy from adding a suffix
            np.savez(stream, mark=mark, step=step, **arrays)  # type: ignore[arg-type]

    write_whole(path, write)

"""Cut a batch into calls of one fixed size, so that no row's bits depend on its company."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["limit_threads", "run_in_chunks"]

Arrays = Mapping[str, NDArray[Any]]

_most_threads: ContextVar[int | None] = ContextVar("_most_threads", default=None)


@contextmanager
def limit_threads(n_threads: int | None) -> Iterator[None]:
    """Have batches computed in no more threads than given, for processes that share the cores.

    Parameters
    ----------
    n_threads : int or None
        None is one a core.
    """
    token = _most_threads.set(n_threads)
    try:
        yield
    finally:
        _most_threads.reset(token)


def run_in_chunks(
    call: Callable[[dict[str, NDArray[Any]]], Arrays], inputs: Arrays, size: int
) -> dict[str, NDArray[Any]]:
    """Compute a batch in calls of exactly `size` rows, in parallel threads.

    Parameters
    ----------
    call : callable
        From arrays by name to arrays by name, batch first; releases the interpreter's lock.
    inputs : mapping of str to ndarray
        Batch first, at least one row.
    size : int
        Rows a call; the last call is filled up with the last row.

    Returns
    -------
    dict of str to ndarray
        As many rows as `inputs`.
    """
    n_rows = len(next(iter(inputs.values())))
    if n_rows == size:  # as a galaxy made alone is: nothing to cut, to fill up or to join
        return dict(call(dict(inputs)))
    outputs = _map_in_threads(call, list(_split(inputs, size, n_rows)))
    return {
        name: np.concatenate([output[name] for output in outputs])[:n_rows] for name in outputs[0]
    }


def _split(inputs: Arrays, size: int, n_rows: int) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, n_rows, size):
        # The last row fills up the last chunk: any valid row will do.
        index = np.minimum(np.arange(start, start + size), n_rows - 1)
        yield {name: np.asarray(rows)[index] for name, rows in inputs.items()}


def _map_in_threads(call: Callable[[Any], Any], chunks: list[Any]) -> list[Any]:
    # A worker has siblings, which take the other cores already.
    is_worker = multiprocessing.parent_process() is not None
    most = 1 if is_worker else len(os.sched_getaffinity(0))
    n_threads = min(len(chunks), _most_threads.get() or most)
    if n_threads == 1:
        return [call(chunk) for chunk in chunks]
    with concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(call, chunks))

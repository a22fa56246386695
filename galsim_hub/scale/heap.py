"""Freed memory stays in a Dask worker's hands while it draws.

Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536 in their environment (its option
distributed.nanny.pre-spawn-environ), so that the C library returns freed memory to the system at
once and, besides, no longer adapts to what is asked for. Each galaxy then takes its arrays from the
system anew, page by page.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["keep_freed_memory"]

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_KEPT, _LARGEST = 64 << 20, 32 << 20  # [byte]; glibc takes no more than the latter for M_MMAP
_MAP_DEFAULT = 128 << 10  # [byte]


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep up to 64 MB of what is freed inside, if the environment has memory returned at once.

    Returned is what the environment says, so that memory goes back to the system afterwards.
    Where the environment says nothing, or there is no glibc, nothing is changed. The settings are
    the process's: of threads that overlap, the first to leave puts them back until the next enters.
    """
    trim = _from_environment("MALLOC_TRIM_THRESHOLD_", _KEPT)
    mallopt = _find_mallopt()
    if mallopt is None or not 0 <= trim < _KEPT:  # a negative one has nothing returned
        yield
        return
    mallopt(_TRIM, _KEPT)
    mallopt(_MAP, _LARGEST)
    try:
        yield
    finally:
        mallopt(_MAP, min(_LARGEST, _from_environment("MALLOC_MMAP_THRESHOLD_", _MAP_DEFAULT)))
        mallopt(_TRIM, trim)


def _from_environment(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:  # no number: left alone
        return default


def _find_mallopt() -> Any:
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return None

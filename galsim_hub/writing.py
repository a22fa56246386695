"""Write files so that whoever dies or runs out of disk meanwhile leaves none half-written."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["flush_to_disk", "write_whole"]


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file, or a folder that is not there yet, so that it appears whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
    write : function of a pathlib.Path
        Writes to the path that it is given, beside the final one and with its suffix.
    """
    # The leading dot hides it from readers of a folder of Parquet files.
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        write(partial)
        if partial.is_file():
            flush_to_disk(partial)
        partial.replace(path)
    except BaseException:
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Have a file on the disk before what vouches for it.

    Parameters
    ----------
    path : pathlib.Path
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

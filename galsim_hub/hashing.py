"""Tell a file by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["hash_file"]


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's content.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    str
        In hexadecimal digits.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

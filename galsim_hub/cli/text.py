"""How the command reads and writes text: results go to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..contracts import Finding

__all__ = ["megabytes", "positive", "print_findings", "print_json", "print_table", "say", "track"]


def megabytes(size: int) -> str:
    """Spell a size.

    Parameters
    ----------
    size : int
        [bytes]

    Returns
    -------
    str

    Examples
    --------
    >>> megabytes(21_035_312)
    '21.0 MB'
    """
    return f"{size / 1e6:.1f} MB"


def positive(text: str) -> int:
    """Read a number of things, as an argument's type.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Raises
    ------
    argparse.ArgumentTypeError
        If it is less than 1.
    """
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {count}")
    return count


def say(message: str) -> None:
    """Tell the person at the terminal something that is not the result.

    Parameters
    ----------
    message : str
    """
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a value as JSON.

    Parameters
    ----------
    value : object
        Of dicts, lists, tuples, text and numbers.
    """
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns as wide as they need.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence
        One entry a column.
    """
    lines = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings, those that do not hold marked.

    Parameters
    ----------
    findings : iterable of Finding
    """
    header = ("", "what", "found", "wanted")
    print_table(header, [("ok" if f.holds else "FAULT", f.name, f.value, f.bar) for f in findings])


def track(total: int, step: int, things: str) -> Iterator[slice]:
    """Go through a long job in parts, and show how far it is where somebody watches.

    Parameters
    ----------
    total, step : int
        How many things there are, and how many make a part.
    things : str
        What they are called.

    Yields
    ------
    slice
        The next part.
    """
    is_watched = sys.stderr.isatty()
    for start in range(0, total, step):
        if is_watched:
            print(f"\r{start} of {total} {things}", end="", file=sys.stderr, flush=True)
        yield slice(start, min(start + step, total))
    if is_watched:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

"""look after the modules that were downloaded.

galsim-hub cache list            what is there, and how large
galsim-hub cache path            the folder (GALSIM_HUB_CACHE sets it)
galsim-hub cache prune           read all of it; delete unfinished downloads and damaged modules
galsim-hub cache prune --all     delete everything; it can be downloaded again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..cache import CacheEntry, cache_root, entries, prune
from .text import megabytes, print_json, print_table, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("action", choices=("list", "path", "prune"))
    parser.add_argument("--all", action="store_true", help="prune: sound modules too")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """List, locate or prune.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    if args.action == "path":
        print(cache_root())
        return 0
    found = entries() if args.action == "list" else prune(everything=args.all)
    if args.json:
        print_json([_entries(entry) for entry in found])
    elif found:
        _print_entries(found)
    if args.action == "prune":
        say(f"deleted {len(found)}, {megabytes(sum(entry.size for entry in found))}")
    return 0


def _print_entries(found: Sequence[CacheEntry]) -> None:
    rows = [
        (
            entry.label,
            "complete" if entry.is_complete else "unusable",
            megabytes(entry.size),
            entry.folder,
        )
        for entry in found
    ]
    print_table(("module", "state", "size", "folder"), rows)


def _entries(entry: CacheEntry) -> dict[str, object]:
    return {
        "module": entry.label,
        "sha256": entry.sha256,
        "is_complete": entry.is_complete,
        "size": entry.size,
        "folder": str(entry.folder),
    }

"""write the index of a folder of modules, which makes it a registry.

galsim-hub index hub_modules            write hub_modules/index.json from the cards
galsim-hub index hub_modules --check    exit with 1 if it is stale
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import RegistryError
from ..publish import check_index, write_index
from .text import say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("folder", type=Path, help="of NAME/VERSION folders")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument(
        "--allow-changed",
        action="store_true",
        help="list other programs under the same versions: of versions that nobody has yet",
    )


def run(args: argparse.Namespace) -> int:
    """Write or compare the index.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    if not args.check:
        print(write_index(args.folder, allow_changed=args.allow_changed))
        return 0
    try:
        check_index(args.folder)
    except RegistryError as error:
        say(f"error: {error}")
        return 1
    return 0

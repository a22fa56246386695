"""start a module to contribute.

galsim-hub new dwarfs
python dwarfs/build.py
galsim-hub check --fix dwarfs/1
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..contribution import scaffold

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("name", help="the module's name: small letters, digits, - and _")
    parser.add_argument(
        "--in", dest="parent", type=Path, default=Path(), metavar="FOLDER", help="where (here)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the scaffold, and say what comes next.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    folder = scaffold(args.name, args.parent)
    version = folder / "1"
    print(f"Wrote {folder / 'build.py'} and {version / 'card.md'}. Next:")
    print(f"  python {folder / 'build.py'}           # draws discs until your network is in it")
    print(f"  galsim-hub check --fix {version}  # hashes, golden, cover; what is left")
    return 0

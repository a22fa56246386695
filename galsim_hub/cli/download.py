"""have modules on this machine, and say in which folder.

  galsim-hub download hub:cosmos@1 https://example.org/dwarfs-1.tar.gz#sha256=...

For machines that are offline later: galaxies are drawn from then on without the network.
"""

from __future__ import annotations

import argparse

from ..legacy import describe
from ..registry import locate

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="addresses")
    parser.add_argument(
        "--allow-unverified", action="store_true", help="take what an address without sha256 gives"
    )


def run(args: argparse.Namespace) -> int:
    """Print a folder a module.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    for address in args.modules:
        folder = locate(address, allow_unverified=args.allow_unverified).folder
        describe(folder)  # who prepares to be offline wants to know now that it is no module
        print(folder)
    return 0

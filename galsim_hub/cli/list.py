"""list the modules of every registry.

galsim-hub list
"""

from __future__ import annotations

import argparse

from ..registries import Listing, list_releases
from .text import megabytes, print_json, print_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print a line a version.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    listings = list_releases()
    if args.json:
        print_json([_entries(listing) for listing in listings])
    else:
        header = ("module", "kind", "size", "where", "summary")
        print_table(header, [_row(listing) for listing in listings])
    return 0


def _row(listing: Listing) -> tuple[str, ...]:
    release = listing.release
    summary = f"DEPRECATED: {release.deprecated}" if release.deprecated else release.summary
    return (release.address, release.kind, megabytes(release.size), _where(listing), summary)


def _where(listing: Listing) -> str:
    if listing.is_bundled:
        return "installed"
    return "downloaded" if listing.folder else "to download"


def _entries(listing: Listing) -> dict[str, object]:
    release = listing.release
    return {
        "address": release.address,
        "kind": release.kind,
        "summary": release.summary,
        "licence": release.licence,
        "size": release.size,
        "sha256": release.sha256,
        "identity": release.identity,
        "deprecated": release.deprecated,
        "registry": listing.registry,
        "where": _where(listing),
        "folder": str(listing.folder) if listing.folder else None,
    }

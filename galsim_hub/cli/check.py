"""check a module that is to be contributed.

  galsim-hub check dwarfs/1          look: card, licence, files, size, golden sample, contracts
  galsim-hub check --fix dwarfs/1    write hashes, golden sample and cover first

Its exit code is the check of a contribution: 0 if it can be merged, 1 if not.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from ..contribution import complete, examine
from .text import print_findings, print_json, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a version's folder, NAME/VERSION"
    )
    parser.add_argument(
        "--fix", action="store_true", help="write hashes, golden sample and cover first"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Complete the modules if asked to, and print what is found.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    findings = {}
    for folder in args.folders:
        if args.fix:
            say(f"wrote {', '.join(path.name for path in complete(folder))}")
        findings[str(folder)] = examine(folder)
        if not args.json:
            print(f"{folder}\n")
            print_findings(findings[str(folder)])
    if args.json:
        print_json(
            {name: [dataclasses.asdict(f) for f in found] for name, found in findings.items()}
        )
    return int(not all(finding.holds for found in findings.values() for finding in found))

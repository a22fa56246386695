"""measure whether a module works on this machine.

  galsim-hub validate hub:cosmos

Replays the golden sample, and draws galaxies over the middle of the trained ranges: finite, the
same bits in any order, centred, inside their stamp, as bright as asked for; and how fast. How like
the sky they are cannot be measured without the data a module was trained on: `galsim-hub info` has
those figures, and `python -m training validate`, in the source repository, measures them.
"""

from __future__ import annotations

import argparse
import dataclasses

from ..contracts import measure
from .text import positive, print_findings, print_json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("module", help="hub:NAME, hub:NAME@VERSION, or a folder")
    parser.add_argument(
        "-n", dest="count", type=positive, default=64, metavar="COUNT", help="galaxies drawn (64)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what is found.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    findings = measure(args.module, args.count)
    if args.json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        print_findings(findings)
    return int(not all(finding.holds for finding in findings))

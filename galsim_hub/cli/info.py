"""show a module's card.

galsim-hub info hub:cosmos
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from ..legacy import describe
from ..registry import ModuleLocation, locate
from ..spec import CARD_NAME, ModuleSpec
from .text import print_json, print_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("module", help="hub:NAME, hub:NAME@VERSION, or a folder")
    parser.add_argument("--json", action="store_true", help="print the card's entries as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the card.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    location = locate(args.module)
    spec = describe(location.folder)
    if args.json:
        known = {
            "address": location.address,
            "folder": str(location.folder),
            "identity": spec.sha256,
        }
        print_json(known | dataclasses.asdict(spec))
    else:
        _print_card(location, spec)
    return 0


def _print_card(location: ModuleLocation, spec: ModuleSpec) -> None:
    print(f"{spec.label}: {spec.summary}\n")
    print_table(("card", "says"), _entries(location, spec))
    if spec.inputs:
        print("\nConditions\n")
        rows = [
            (c.name, c.unit, f"{c.minimum:g}", f"{c.maximum:g}", c.description) for c in spec.inputs
        ]
        print_table(("name", "unit", "from", "to", "what"), rows)
    fidelity = spec.fidelity.get("rows", [])
    if fidelity:
        print(f"\nFidelity: {spec.fidelity.get('protocol', '')}\n")
        header = ("quantity", "value", "bar")
        print_table(header, [[row[name] for name in header] for row in fidelity])
    if (location.folder / CARD_NAME).is_file():  # modules of 2020 have none
        print(f"\nLimits and how it was trained: {location.folder / CARD_NAME}")


def _entries(location: ModuleLocation, spec: ModuleSpec) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = [
        ("address", location.address),
        ("kind", spec.kind),
        ("licence", spec.licence),
        ("created", f"{spec.created} by {', '.join(spec.authors)}"),
        ("signatures", ", ".join(spec.signatures)),
    ]
    if spec.stamp_size and spec.pixel_size:
        side = spec.stamp_size * spec.pixel_size
        entries.append(
            ("stamp", f"{spec.stamp_size} pixel of {spec.pixel_size:g} arcsec: {side:.3g} arcsec")
        )
    if spec.bands:
        entries.append(("bands", ", ".join(spec.bands)))
    if spec.flux:
        entries.append(("flux", ", ".join(f"{key} {value}" for key, value in spec.flux.items())))
    of_what = "a galaxy" if spec.kind == "galaxy" else "a draw"
    random = f"{spec.random_size} normals {of_what}" if spec.random_name else "none"
    return [*entries, ("random input", random), ("identity", spec.sha256)]

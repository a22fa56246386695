"""compare modules' files with their cards, byte for byte.

galsim-hub verify              every module on this machine
galsim-hub verify hub:cosmos@1 my_modules/dwarfs/1
"""

from __future__ import annotations

import argparse

from ..errors import CorruptedModuleError
from ..registry import bundled_versions, locate
from ..spec import read_spec
from .text import print_json, print_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="addresses or folders")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a line a module.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    results = [_verify(address) for address in args.modules or _local_modules()]
    if args.json:
        print_json(results)
    else:
        rows = [("ok" if r["sound"] else "FAULT", r["module"], r["detail"]) for r in results]
        print_table(("", "module", "files"), rows)
    return int(not all(result["sound"] for result in results))


def _local_modules() -> list[str]:
    return [
        f"hub:{name}@{version}"
        for name, versions in bundled_versions().items()
        for version in versions
    ]


def _verify(address: str) -> dict[str, str | bool]:
    location = locate(address)
    spec = read_spec(location.folder)
    try:
        spec.verify(location.folder)
    except CorruptedModuleError as error:
        return {"module": location.address, "sound": False, "detail": str(error)}
    return {"module": location.address, "sound": True, "detail": f"{len(spec.files)} as published"}

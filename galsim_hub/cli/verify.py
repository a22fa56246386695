"""compare modules with what was published, byte for byte.

galsim-hub verify              every module on this machine
galsim-hub verify hub:cosmos@1 my_modules/dwarfs/1
"""

from __future__ import annotations

import argparse

from ..cache import cache_root, entries
from ..hashing import hash_file
from ..legacy import describe
from ..registries import list_releases
from ..registry import ModuleLocation, locate, resolve
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
    if not args.modules:
        results += _damaged_modules()
    if args.json:
        print_json(results)
    else:
        rows = [("ok" if r["sound"] else "FAULT", r["module"], r["detail"]) for r in results]
        print_table(("", "module", "files"), rows)
    return int(not all(result["sound"] for result in results))


def _local_modules() -> list[str]:
    return [listing.release.address for listing in list_releases() if listing.folder]


def _damaged_modules() -> list[dict[str, str | bool]]:
    """Name what the cache would not give out: nobody finds it by its address any more."""
    return [
        {
            "module": entry.label,
            "sound": False,
            "detail": f"{entry.folder} is damaged; 'galsim-hub cache prune' deletes it",
        }
        for entry in entries()
        if entry.folder.parent.name == "modules" and not entry.is_complete
    ]


def _verify(address: str) -> dict[str, str | bool]:
    location = locate(address)
    expected = _published_files(location.address) or dict(describe(location.folder).files)
    paths = {name: location.folder / name for name in expected}
    bad = [
        name
        for name, path in paths.items()
        if not path.is_file() or hash_file(path) != expected[name]
    ]
    detail = f"{len(expected)} as published"
    if bad:
        detail = f"missing or changed: {', '.join(bad)}; {_remedy(location)}"
    return {"module": location.address, "sound": not bad, "detail": detail}


def _remedy(location: ModuleLocation) -> str:
    if location.folder.is_relative_to(cache_root()):
        return "'galsim-hub cache prune' deletes the module, and it can be downloaded again"
    if location.address.startswith("hub:"):
        return "install galsim_hub again"
    return "get the folder again from where it came"


def _published_files(address: str) -> dict[str, str]:
    """Give every file that an index lists; a mere folder has only its card to be held to."""
    if not address.startswith("hub:"):
        return {}
    return {name: entry.sha256 for name, entry in resolve(address).release.files.items()}

"""Turn the name of a module into the folder that holds it.

An address is ``hub:NAME`` (the newest bundled version), ``hub:NAME@VERSION``, or the path
of a module's folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import UnknownModuleError, suggest

__all__ = ["ModuleLocation", "bundled_root", "bundled_versions", "locate"]

_HUB_ADDRESS = re.compile(r"hub:(?P<name>[A-Za-z0-9][\w-]*)(@(?P<version>[1-9]\d*))?")
_REMOTE_ADDRESS = re.compile(r"https?://|.*\.(tar\.gz|tgz|zip)$")


@dataclass(frozen=True)
class ModuleLocation:
    """Say where a module is.

    Attributes
    ----------
    address : str
        The address with its version pinned, or the absolute path: valid in any process.
    folder : pathlib.Path
        The folder that holds the module.
    """

    address: str
    folder: Path


def bundled_root() -> Path:
    """Find the folder of the modules that come with the package.

    Returns
    -------
    pathlib.Path
        ``hub_modules`` inside the package when installed, beside it in a source checkout.
    """
    package = Path(__file__).resolve().parent
    installed = package / "hub_modules"
    return installed if installed.is_dir() else package.parent / "hub_modules"


def bundled_versions() -> dict[str, tuple[int, ...]]:
    """List the bundled modules.

    Returns
    -------
    dict of str to tuple of int
        Each module's versions, ascending.
    """
    versions: dict[str, list[int]] = {}
    for card in bundled_root().glob("*/*/card.md"):
        if card.parent.name.isdigit():
            versions.setdefault(card.parent.parent.name, []).append(int(card.parent.name))
    return {name: tuple(sorted(found)) for name, found in sorted(versions.items())}


def locate(file_name: str | os.PathLike[str]) -> ModuleLocation:
    """Find the module that an address names.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION`` or the path of a module's folder.

    Returns
    -------
    ModuleLocation

    Raises
    ------
    UnknownModuleError
        If there is no such module; the error lists the near names.
    """
    address = os.fspath(file_name)
    if address.startswith("hub:"):
        return _locate_bundled(address)
    folder = Path(address).expanduser()
    if not folder.is_dir():
        raise _no_folder(address)
    absolute = folder.resolve()
    return ModuleLocation(str(absolute), absolute)


def _locate_bundled(address: str) -> ModuleLocation:
    match = _HUB_ADDRESS.fullmatch(address)
    known = bundled_versions()
    if match is None or match["name"] not in known:
        raise _no_name(address, known)
    name, versions = match["name"], known[match["name"]]
    version = int(match["version"] or versions[-1])
    if version not in versions:
        raise UnknownModuleError(
            f"Module {name!r} has no version {version}; its versions are "
            f"{', '.join(map(str, versions))}. Use 'hub:{name}' for the newest.",
            address,
            [f"hub:{name}@{number}" for number in versions],
        )
    return ModuleLocation(f"hub:{name}@{version}", bundled_root() / name / str(version))


def _no_name(address: str, known: dict[str, tuple[int, ...]]) -> UnknownModuleError:
    addresses = [f"hub:{name}" for name in known]
    return UnknownModuleError(
        f"No module is called {address!r}.{suggest(address.partition('@')[0], addresses)} "
        f"Known modules: {', '.join(addresses) or 'none'}; add @VERSION to pin a version, or "
        "give the path of a module's folder.",
        address,
        addresses,
    )


def _no_folder(address: str) -> UnknownModuleError:
    if _REMOTE_ADDRESS.match(address):
        return UnknownModuleError(
            f"This galsim_hub does not fetch or unpack {address!r}. Unpack the module yourself "
            "and give the path of its folder.",
            address,
        )
    addresses = [f"hub:{name}" for name in bundled_versions()]
    return UnknownModuleError(
        f"There is no folder {address!r}.{suggest('hub:' + address, addresses)} Give the path "
        f"of a module's folder, or one of: {', '.join(addresses) or 'none'}.",
        address,
        addresses,
    )

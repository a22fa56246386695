"""Turn the name of a module into the folder that holds it.

An address is ``hub:NAME`` (the newest version), ``hub:NAME@VERSION``, the path of a module's
folder, or the path or https address of a tar.gz archive; the latter ends in ``#sha256=`` and the
archive's sha256. A module that is neither bundled nor in the cache is downloaded.
"""

from __future__ import annotations

import itertools
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import (
    CorruptedModuleError,
    DownloadError,
    RegistryWarning,
    UnknownModuleError,
    UnsafeModuleError,
    UnsupportedModuleError,
    UnverifiedWarning,
    suggest,
)
from .fetch import fetch, fetch_archive
from .hashing import hash_file
from .index import Alias, Index, Release
from .mirrors import is_remote
from .registries import (
    bundled_folder,
    bundled_index,
    is_bundled,
    read_known_registries,
    read_registries,
)
from .spec import SPEC_VERSION, read_spec

__all__ = [
    "ModuleLocation",
    "Resolution",
    "bundled_versions",
    "locate",
    "resolve",
]

_HUB_ADDRESS = re.compile(r"hub:(?P<name>[A-Za-z0-9][\w-]*)(@(?P<version>[1-9]\d{0,5}))?", re.ASCII)
_ARCHIVE = re.compile(r".*\.(tar\.gz|tgz)", re.DOTALL)
_FRAGMENT = re.compile(r"sha256=(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True)
class ModuleLocation:
    """Say where a module is.

    Attributes
    ----------
    address : str
        The address with its version or sha256 pinned, or the absolute path: valid in any
        process.
    folder : pathlib.Path
        The folder that holds the module.
    given : mapping of str to float
        Conditions that the name fixes: an old name may stand for a module with fewer.
    """

    address: str
    folder: Path
    given: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolution:
    """Say what a ``hub:`` address means.

    Attributes
    ----------
    address : str
        The address with its version pinned.
    release : Release
        The release that it means.
    registry : str
        The path or address of the index that lists it.
    given : mapping of str to float
        Conditions that the name fixes.
    """

    address: str
    release: Release
    registry: str
    given: Mapping[str, float] = field(default_factory=dict)


def bundled_versions() -> dict[str, tuple[int, ...]]:
    """List the bundled modules.

    Returns
    -------
    dict of str to tuple of int
        Each module's versions, ascending.
    """
    versions: dict[str, list[int]] = {}
    for release in bundled_index().releases:
        if is_bundled(release.name, release.version):
            versions.setdefault(release.name, []).append(release.version)
    return {name: tuple(sorted(found)) for name, found in sorted(versions.items())}


def locate(file_name: str | os.PathLike[str], *, allow_unverified: bool = False) -> ModuleLocation:
    """Find the module that an address names, downloading it if need be.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION``, the path of a module's folder, or the path or
        https address of a tar.gz archive.
    allow_unverified : bool
        Take what an https address without a sha256 gives, with a warning.

    Returns
    -------
    ModuleLocation

    Raises
    ------
    CacheError
        If it has to be downloaded and the cache cannot be written to.
    DownloadError
        If it cannot be downloaded.
    RegistryError
        If a registry cannot be used.
    UnknownModuleError
        If there is no such module; the error lists the near names.
    UnsafeModuleError
        If the archive is hostile, or an address has no sha256 or is not https.
    """
    if not isinstance(file_name, str | os.PathLike):
        raise UnknownModuleError(
            f"A module's address must be a text or a path, got {file_name!r}. Give one such as "
            "'hub:cosmos', or the path of a module's folder.",
            repr(file_name),
        )
    address = os.fspath(file_name)
    if address.startswith("hub:"):
        return _locate_release(address)
    if is_remote(address):
        return _locate_remote(address, allow_unverified=allow_unverified)
    path = Path(os.path.expanduser(address))  # which leaves the name of no user as it is
    if address and path.is_dir():
        absolute = path.resolve()
        return ModuleLocation(str(absolute), absolute)
    if path.is_file() and _ARCHIVE.fullmatch(address):
        return _locate_archive(path.resolve())
    raise _no_folder(address)


def resolve(address: str) -> Resolution:
    """Find out what a ``hub:`` address means, without downloading the module.

    The bundled modules come first, then each registry. A name without a version means the
    newest version in the first registry that has the name, so that a further registry never
    changes what a name means. No server is asked about the names of bundled modules.

    Parameters
    ----------
    address : str
        ``hub:NAME`` or ``hub:NAME@VERSION``.

    Returns
    -------
    Resolution

    Raises
    ------
    DownloadError
        If a registry that may have the name cannot be read.
    RegistryError
        If a registry cannot be used.
    UnknownModuleError
        If there is no such module; the error lists the near names.

    Warns
    -----
    RegistryWarning
        If the name is an alias, is found in two registries, or its version is deprecated.
    """
    match = _HUB_ADDRESS.fullmatch(address)
    if match is None:
        raise _no_name(address, _all_names(read_registries()))
    name, version = match["name"], int(match["version"] or 0)
    registries = _deciding_registries(name, version)
    # What comes after a registry that could not be read must not decide in its stead.
    known = tuple(itertools.takewhile(lambda registry: not registry.fault, registries))
    alias = _find_alias(name, known)
    target = alias.target if alias else name
    try:
        registry, release = _choose(address, target, version, known)
    except UnknownModuleError as error:
        if len(known) == len(registries):
            raise
        raise _undecided(error, registries[len(known)]) from error
    resolution = Resolution(
        f"hub:{name if alias and alias.given else target}@{release.version}",
        release,
        registry.place,
        alias.given if alias else {},
    )
    if alias and not version:
        _warn_of_alias(address, resolution)
    if release.deprecated:
        _warn(f"{release.address} is deprecated: {release.deprecated}")
    return resolution


def _locate_release(address: str) -> ModuleLocation:
    resolution = resolve(address)
    release = resolution.release
    if is_bundled(release.name, release.version):
        folder = bundled_folder(release.name, release.version)
        return ModuleLocation(resolution.address, folder, resolution.given)
    if release.spec_version > SPEC_VERSION:
        raise UnsupportedModuleError(
            f"{release.address} is of specification {release.spec_version}; this galsim_hub reads "
            f"up to {SPEC_VERSION}. Update galsim_hub, or choose an older version of the module.",
            release.address,
            f"specification {release.spec_version}",
        )
    folder = fetch(release)
    got = read_spec(folder).sha256
    if got != release.identity:
        raise CorruptedModuleError(
            f"Registry {resolution.registry} says that {release.address} has the identity "
            f"{release.identity}; its card gives {got}. Ask whoever keeps the registry.",
            str(folder),
            release.identity,
            got,
        )
    return ModuleLocation(resolution.address, folder, resolution.given)


def _locate_remote(address: str, *, allow_unverified: bool) -> ModuleLocation:
    url, _, fragment = address.partition("#")
    promised = _FRAGMENT.fullmatch(fragment)
    if not url.startswith("https://"):
        raise UnsafeModuleError(
            f"{url} is not https: anyone on the way could change the module. Give an https "
            "address, or download the archive yourself and give its path.",
            address,
            [url],
        )
    if (fragment and not promised) or not (promised or allow_unverified):
        raise UnsafeModuleError(
            f"{address} does not say which bytes are meant. Add '#sha256=' and the archive's "
            "sha256 of 64 lower-case digits; or, if you trust the server, allow_unverified=True.",
            address,
            [url],
        )
    folder, sha256 = fetch_archive(url, promised["sha256"] if promised else None)
    pinned = f"{url}#sha256={sha256}"
    if not promised:
        _warn(f"Nobody vouches for the module of {url}. Pin it: {pinned}", UnverifiedWarning)
    return ModuleLocation(pinned, folder)


def _locate_archive(path: Path) -> ModuleLocation:
    folder, _ = fetch_archive(str(path), hash_file(path))
    return ModuleLocation(str(path), folder)


def _deciding_registries(name: str, version: int) -> tuple[Index, ...]:
    """Read the registries that a name needs; one of a bundled module needs no network."""
    bundled = bundled_index()
    alias = _find_alias(name, (bundled,))
    target = alias.target if alias else name
    if is_bundled(target, version):
        return (bundled,)
    if not version and any(release.name == target for release in bundled.releases):
        return read_known_registries()  # for the warning of namesakes alone
    return read_registries()


def _find_alias(name: str, registries: tuple[Index, ...]) -> Alias | None:
    """Find an alias, unless a module has that name in a registry before it."""
    for registry in registries:
        if any(release.name == name for release in registry.releases):
            return None
        if name in registry.aliases:
            return registry.aliases[name]
    return None


def _choose(
    address: str, name: str, version: int, registries: tuple[Index, ...]
) -> tuple[Index, Release]:
    """Choose among the releases of a name: that version, or the newest of the first registry."""
    found = [
        (registry, release)
        for registry in registries
        for release in sorted(registry.releases, key=lambda release: release.version)
        if release.name == name
    ]
    if not found:
        raise _no_name(address, _all_names(registries))
    first = found[0][0]
    if version:
        wanted = [pair for pair in found if pair[1].version == version]
    else:
        own = [pair for pair in found if pair[0] is first]
        wanted = [pair for pair in own if not pair[1].deprecated][-1:] or own[-1:]
    if not wanted:
        raise _no_version(address, name, version, sorted({pair[1].version for pair in found}))
    _warn_of_namesakes(wanted[0], found, is_pinned=bool(version))
    return wanted[0]


def _warn_of_namesakes(
    chosen: tuple[Index, Release], found: list[tuple[Index, Release]], *, is_pinned: bool
) -> None:
    """Tell that a name means different things in two registries."""
    registry, release = chosen
    others = {
        other.place: namesake.label
        for other, namesake in found
        if other is not registry
        and namesake.sha256 != release.sha256
        and (not is_pinned or namesake.version == release.version)
    }
    for place, label in others.items():
        _warn(
            f"{release.address} is taken from {registry.place}; {place} has another {label}. Pin a "
            "version, or leave one of the registries out."
        )


def _warn_of_alias(address: str, resolution: Resolution) -> None:
    given = "".join(f", with {name} = {value:g}" for name, value in resolution.given.items())
    _warn(
        f"{address} is an old name; it now means {resolution.release.address}{given}, another "
        f"network than the one of that name. Write {resolution.address} to say so."
    )


def _warn(message: str, category: type[Warning] = RegistryWarning) -> None:
    warnings.warn(message, category, stacklevel=6)


def _all_names(registries: tuple[Index, ...]) -> list[str]:
    return sorted({release.name for registry in registries for release in registry.releases})


def _no_version(address: str, name: str, version: int, versions: list[int]) -> UnknownModuleError:
    return UnknownModuleError(
        f"Module {name!r} has no version {version}; its versions are "
        f"{', '.join(map(str, versions))}. Use 'hub:{name}' for the newest.",
        address,
        [f"hub:{name}@{number}" for number in versions],
    )


def _no_name(address: str, known: list[str]) -> UnknownModuleError:
    addresses = [f"hub:{name}" for name in known]
    return UnknownModuleError(
        f"No module is called {address!r}.{suggest(address.partition('@')[0], addresses)} "
        f"Known modules: {', '.join(addresses) or 'none'}; add @VERSION to pin a version, or "
        "give the path of a module's folder.",
        address,
        addresses,
    )


def _undecided(unknown: UnknownModuleError, unread: Index) -> DownloadError:
    return DownloadError(
        f"{unknown} Registry {unread.place} may have it, but could not be asked: {unread.fault}",
        unread.fault.urls if unread.fault else (),
    )


def _no_folder(address: str) -> UnknownModuleError:
    addresses = [f"hub:{name}" for name in bundled_versions()]
    return UnknownModuleError(
        f"There is no folder or tar.gz file {address!r}."
        f"{suggest('hub:' + address, addresses)} Give the path of a module, or one of: "
        f"{', '.join(addresses) or 'none'}.",
        address,
        addresses,
    )

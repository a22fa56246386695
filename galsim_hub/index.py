"""What a registry offers: the releases and aliases that its index lists, read and checked.

An index lists every file of every release with its sha256, and the mirrors that serve them. It is
taken for hostile until each entry was checked. `galsim_hub.publish` makes indexes.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

from .errors import DownloadError, RegistryError
from .mirrors import is_remote
from .safety import is_safe_path

__all__ = [
    "INDEX_NAME",
    "INDEX_VERSION",
    "Alias",
    "FileEntry",
    "Index",
    "Release",
    "parse_index",
    "read_index",
]

INDEX_NAME = "index.json"
INDEX_VERSION = 1


@dataclass(frozen=True)
class FileEntry:
    """Say what one file of a module is.

    Attributes
    ----------
    sha256 : str
    size : int
        [bytes]
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Release:
    """Hold what an index says of one version of a module.

    Attributes
    ----------
    name, kind, summary, licence : str
        As in its card.
    version, spec_version : int
        As in its card.
    identity : str
        The identity of its models: the hash of the files that decide their output.
    files : mapping of str to FileEntry
        Every file that was published, the card included.
    urls : tuple of str
        Mirrors, in order: folders (ending in ``/``) or tar.gz archives.
    deprecated : str or None
        Why it should not be used any more.
    """

    name: str
    version: int
    kind: str
    summary: str
    licence: str
    spec_version: int
    identity: str
    files: Mapping[str, FileEntry]
    urls: tuple[str, ...] = ()
    deprecated: str | None = None

    @property
    def label(self) -> str:
        """Name the module and its version, ``cosmos@1``."""
        return f"{self.name}@{self.version}"

    @property
    def address(self) -> str:
        """Give the address that means this release, ``hub:cosmos@1``."""
        return f"hub:{self.label}"

    @property
    def size(self) -> int:
        """Add up the sizes of its files [bytes]."""
        return sum(entry.size for entry in self.files.values())

    @functools.cached_property
    def sha256(self) -> str:
        """Identify everything that was published, the card included.

        The sha256 of the canonical JSON (sorted keys, no spaces) of each file's sha256.
        """
        table = {name: entry.sha256 for name, entry in self.files.items()}
        canonical = json.dumps(table, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Alias:
    """Hold what another name of a module means.

    Attributes
    ----------
    target : str
        The module's own name.
    given : mapping of str to float
        Conditions that the old module did not have, and the values that stand in for them.
    """

    target: str
    given: Mapping[str, float]


@dataclass(frozen=True)
class Index:
    """Hold what a registry offers.

    Attributes
    ----------
    place : str
        The index's path or address.
    releases : tuple of Release
    aliases : mapping of str to Alias
    fault : DownloadError or None
        Why it could not be read; what it offers is not known then.
    """

    place: str
    releases: tuple[Release, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    fault: DownloadError | None = None


def read_index(path: Path) -> Index:
    """Read and check an index in a file.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    Index

    Raises
    ------
    RegistryError
        If it is missing or cannot be used.
    """
    try:
        status = path.stat()
        return _read_file(path.resolve(), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise RegistryError(
            f"Index {path} cannot be read: {error.strerror}. Give the path or the https address of "
            f"an {INDEX_NAME}.",
            str(path),
        ) from error


# Unpickling a galaxy looks its module up: the time stamp keeps that cheap.
@functools.lru_cache(maxsize=64)
def _read_file(path: Path, mtime_ns: int, size: int) -> Index:
    return parse_index(path.read_bytes(), str(path))


def parse_index(content: bytes, place: str) -> Index:
    """Check an index.

    Parameters
    ----------
    content : bytes
        JSON.
    place : str
        Where it was read; relative addresses start there.

    Returns
    -------
    Index

    Raises
    ------
    RegistryError
        If it is no JSON, of a newer version, invalid, or names something unsafe.
    """
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _invalid(place, f"it is no JSON ({error})") from error
    version = document.get("index_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > INDEX_VERSION:
        raise RegistryError(
            f"Index {place} is of version {version}; this galsim_hub reads up to {INDEX_VERSION}. "
            "Update galsim_hub.",
            place,
            "index_version",
        )
    _check_schema(document, place)
    releases = tuple(_from_entry(entry, place) for entry in document["modules"])
    _check_labels(releases, place)
    aliases = {
        name: Alias(alias["target"], alias.get("given", {}))
        for name, alias in document.get("aliases", {}).items()
    }
    return Index(place, releases, aliases)


def _check_schema(document: Any, place: str) -> None:
    import jsonschema  # here: 0.1 s that `import galsim_hub` must not take

    error = next(jsonschema.Draft202012Validator(_schema()).iter_errors(document), None)
    if error is not None:
        entry = ".".join(map(str, error.absolute_path)) or "(top level)"
        raise _invalid(place, f"{entry}: {error.message[:200]}", entry)


@functools.cache
def _schema() -> dict[str, Any]:
    schemas = importlib.resources.files(__package__) / "schema"
    text = (schemas / f"index-{INDEX_VERSION}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _from_entry(entry: Mapping[str, Any], place: str) -> Release:
    label = f"{entry['name']}@{entry['version']}"
    _check_files(entry["files"], label, place)
    return Release(
        name=entry["name"],
        version=entry["version"],
        kind=entry["kind"],
        summary=entry["summary"],
        licence=entry["licence"],
        spec_version=entry["spec_version"],
        identity=entry["identity"],
        files={name: FileEntry(**file) for name, file in entry["files"].items()},
        urls=tuple(_absolute(url, place, label) for url in entry["urls"]),
        deprecated=entry.get("deprecated"),
    )


def _check_files(names: Iterable[str], label: str, place: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not is_safe_path(name):
            raise _invalid(place, f"{label} has a file {name!r} outside its folder", label)
        if name.lower() in seen:
            raise _invalid(place, f"{label} has files whose names differ only in case", label)
        seen.add(name.lower())
    folders = {str(parent) for name in seen for parent in PurePosixPath(name).parents}
    for name in sorted(seen & folders):
        raise _invalid(place, f"{label} has {name!r} both as a file and as a folder", label)


def _absolute(url: str, place: str, label: str) -> str:
    if is_remote(url):
        if not url.startswith("https://"):
            raise _invalid(place, f"{label} has the address {url}, which is not https", label)
        if not _has_host(url):
            raise _invalid(place, f"{label} has the address {url!r}, which names no server", label)
        return url
    if not is_safe_path(url.removesuffix("/")):
        raise _invalid(place, f"{label} has the address {url!r} outside the index's folder", label)
    if is_remote(place):
        return urljoin(place, url)
    return str(Path(place).parent / url) + ("/" if url.endswith("/") else "")


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # brackets that hold no address of version 6
        return False


def _check_labels(releases: Iterable[Release], place: str) -> None:
    labels: set[str] = set()
    for release in releases:
        if release.label in labels:
            raise _invalid(place, f"{release.label} is there twice", release.label)
        labels.add(release.label)


def _invalid(place: str, reason: str, entry: str | None = None) -> RegistryError:
    return RegistryError(
        f"Index {place} cannot be used: {reason}. Ask whoever keeps it to make it again with "
        "galsim_hub, or leave it out of your registries.",
        place,
        entry,
    )

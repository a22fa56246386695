"""Bring a module into the cache: from a registry's mirrors, or from one archive.

What arrives is compared with what was published before it counts: file by file for a release, as a
whole for an archive.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from .cache import delete, ensure, locked, partial_folder
from .errors import DownloadError, GalSimHubError, UnsafeModuleError
from .hashing import hash_file
from .index import FileEntry, Release
from .mirrors import Patience
from .safety import Limits, unpack
from .spec import CARD_NAME
from .transfer import Promise, download, writing_to

__all__ = ["fetch", "fetch_archive"]

logger = logging.getLogger(__name__)

_ARCHIVE = "archive.tar.gz"
_GRAPH = "saved_model.pb"  # which a module of 2020 has, and no card
_ARCHIVE_LIMIT = 4 << 30  # bytes, of an archive whose size nobody has declared


def fetch(release: Release, patience: Patience | None = None) -> Path:
    """Give the folder of a release, downloading it if it is not in the cache.

    Parameters
    ----------
    release : Release
    patience : Patience, optional
        How long to bear with bad servers.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    CacheError
        If the cache cannot be written to.
    DownloadError
        If no mirror gives the bytes that were published.
    UnsafeModuleError
        If the only mirror is a hostile archive.
    """

    def build(folder: Path) -> Mapping[str, FileEntry]:
        folders = [url for url in release.urls if url.endswith("/")]
        archives = [url for url in release.urls if not url.endswith("/")]
        try:
            _gather(release, folders, folder, patience)
        except DownloadError:
            if not archives:
                raise
            _gather_from_archive(release, archives, folder, patience)
        return release.files

    return ensure(release.sha256, release.label, build)


def fetch_archive(
    address: str, sha256: str | None, patience: Patience | None = None
) -> tuple[Path, str]:
    """Give the folder of the module in an archive.

    Parameters
    ----------
    address : str
        The https address or the path of a tar.gz file.
    sha256 : str or None
        The archive's sha256. None takes whatever comes, and always transfers it.
    patience : Patience, optional
        How long to bear with bad servers.

    Returns
    -------
    folder : pathlib.Path
        Where its card or its graph is.
    sha256 : str
        The archive's sha256.

    Raises
    ------
    CacheError
        If the cache cannot be written to.
    DownloadError
        If the archive cannot be had.
    UnsafeModuleError
        If the archive is hostile.
    """
    if sha256 is not None:
        return _ensure_archive(address, address, sha256, patience), sha256
    key = hashlib.sha256(address.encode()).hexdigest()
    with locked(key):
        folder = partial_folder(key)
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            archive = folder / _ARCHIVE
            got = download([address], archive, Promise(None, _ARCHIVE_LIMIT), patience).sha256
            return _ensure_archive(str(archive), address, got, patience), got
        finally:
            delete(folder)  # nobody has promised that the rest would be of the same file


def _ensure_archive(source: str, label: str, sha256: str, patience: Patience | None) -> Path:
    def build(folder: Path) -> Mapping[str, FileEntry]:
        _keep_only(folder, [_ARCHIVE])
        archive = folder / _ARCHIVE
        download([source], archive, Promise(sha256, _ARCHIVE_LIMIT), patience)
        _unpack_here(archive, label, Limits())
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if not any(path.name in (CARD_NAME, _GRAPH) for path in paths):
            delete(folder)
            raise DownloadError(
                f"Archive {label} holds no module: it has neither {CARD_NAME} nor {_GRAPH}. Give "
                "the archive of a module's folder.",
                [label],
            )
        return {
            path.relative_to(folder).as_posix(): FileEntry(hash_file(path), path.stat().st_size)
            for path in paths
        }

    return ensure(sha256, label, build)


def _gather(
    release: Release, folders: Iterable[str], folder: Path, patience: Patience | None
) -> None:
    """Bring the files of a release that are not there yet."""
    _keep_only(folder, release.files)
    bases = list(folders)
    for name, entry in release.files.items():
        path = folder / name
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not _holds(path, entry):
            promise = Promise(entry.sha256, entry.size, entry.size)
            arrival = download([base + name for base in bases], path, promise, patience)
            # Those that failed come last: each would take its time again for every file.
            bases.sort(key=lambda base: base + name != arrival.url)


def _gather_from_archive(
    release: Release, urls: list[str], folder: Path, patience: Patience | None
) -> None:
    """Bring a release from the first archive that holds what was published."""
    archive = folder / _ARCHIVE
    _keep_only(folder, [_ARCHIVE])
    # gzip makes what it cannot compress longer by less than this.
    promise = Promise(None, release.size + release.size // 100 + (1 << 16))
    left, faults = list(urls), list[GalSimHubError]()
    while left:
        try:
            url = download(left, archive, promise, patience).url
        except DownloadError as error:  # of all that are left
            faults.append(error)
            break
        try:
            return _unpack_release(release, archive, url)
        except (DownloadError, UnsafeModuleError) as error:
            logger.info("%s: %s", url, error)
            faults.append(error)
            _keep_only(folder, ())
            left.remove(url)
    if len(faults) == 1:
        raise faults[0]
    raise DownloadError(
        f"No archive of {release.label} can be used. {' '.join(map(str, faults))}", urls
    ) from faults[-1]


def _unpack_release(release: Release, archive: Path, url: str) -> None:
    folder = archive.parent
    _unpack_here(archive, url, Limits(len(release.files) + 100, release.size + (1 << 16)))
    _keep_only(folder, release.files)
    wrong = [name for name, entry in release.files.items() if not _holds(folder / name, entry)]
    if wrong:
        raise DownloadError(
            f"The archive {url} of {release.label} does not hold the {wrong[0]} that was "
            "published. Ask whoever keeps the registry to repair its mirrors.",
            [url],
        )


def _holds(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and hash_file(path) == entry.sha256


def _unpack_here(archive: Path, label: str, limits: Limits) -> None:
    """Put what is in an archive in its place, without the folder that wraps it."""
    folder = archive.parent
    content = folder / ".content"
    with writing_to(folder):
        unpack(archive, content, limits, label)
        archive.unlink()
        while len(inside := list(content.iterdir())) == 1 and inside[0].is_dir():
            content = inside[0]
        for path in content.iterdir():
            path.rename(folder / path.name)
    delete(folder / ".content")


def _keep_only(folder: Path, names: Iterable[str]) -> None:
    """Delete what an earlier attempt has left, but for these files and their beginnings."""
    wanted = {ending for name in names for ending in (name, name + ".part")}
    with writing_to(folder):
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif path.is_file() and path.relative_to(folder).as_posix() not in wanted:
                path.unlink()

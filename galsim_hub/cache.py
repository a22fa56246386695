"""The modules that were downloaded: complete, checked, and shared by every process.

A module is one folder, named by the sha256 of what was published. It is put together under
another name and renamed when all of it is there, with a manifest in it, so that a process killed
at any moment leaves nothing that could be mistaken for a module. Reach for `find` to learn
whether a module is there; `galsim_hub.fetch` brings those that are not.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CacheError, CorruptedModuleError, UnsafeModuleError
from .hashing import hash_file
from .index import FileEntry
from .transfer import writing_to

__all__ = [
    "CacheEntry",
    "cache_root",
    "delete",
    "ensure",
    "entries",
    "find",
    "locked",
    "partial_folder",
    "prune",
    "remove",
    "verify",
]

logger = logging.getLogger(__name__)

_FOLDER = "GALSIM_HUB_CACHE"
_MANIFEST = ".complete.json"


class _BusyError(Exception):
    """Say that another process holds a module's lock."""


@dataclass(frozen=True)
class CacheEntry:
    """Describe what the cache holds of one module.

    Attributes
    ----------
    label : str
        ``NAME@VERSION``, or the address it came from.
    sha256 : str
        What it is filed under.
    folder : pathlib.Path
    size : int
        What it takes on the disk [bytes].
    is_complete : bool
        Whether it can be used.
    """

    label: str
    sha256: str
    folder: Path
    size: int
    is_complete: bool


def cache_root() -> Path:
    """Find the folder of the cache; it need not exist.

    Returns
    -------
    pathlib.Path
        ``GALSIM_HUB_CACHE``, or the platform's folder for caches.
    """
    chosen = os.environ.get(_FOLDER)
    if chosen:
        return Path(os.path.expanduser(chosen)).absolute()
    import platformdirs  # here: only a module that is not bundled needs it

    return Path(platformdirs.user_cache_dir("galsim_hub", appauthor=False))


def partial_folder(sha256: str) -> Path:
    """Name the folder in which a module is put together.

    Parameters
    ----------
    sha256 : str
        What it is filed under.

    Returns
    -------
    pathlib.Path
    """
    return cache_root() / "partial" / sha256


def entries() -> list[CacheEntry]:
    """List what the cache holds, unfinished downloads included.

    Returns
    -------
    list of CacheEntry
    """
    parts = ("modules", "partial")
    folders = [folder for part in parts for folder in cache_root().glob(f"{part}/*")]
    return sorted(
        (_describe(folder) for folder in folders if folder.is_dir()),
        key=lambda entry: (entry.label, entry.sha256),
    )


def find(sha256: str) -> Path | None:
    """Find a complete module.

    Parameters
    ----------
    sha256 : str
        What it is filed under.

    Returns
    -------
    pathlib.Path or None
        None if it is not there, or is no longer what was downloaded. Files whose size and
        time are those of the manifest are not read again.
    """
    folder = _module_folder(sha256)
    files = _read_manifest(folder)["files"]
    return (
        folder if files and all(_is_intact(folder / name, files[name]) for name in files) else None
    )


def verify(folder: Path) -> None:
    """Read a cached module whole and compare it with what was downloaded.

    Parameters
    ----------
    folder : pathlib.Path
        As `find` gives it.

    Raises
    ------
    CorruptedModuleError
        If a file is missing or has changed, or the download was never completed.
    """
    files = _read_manifest(folder)["files"]
    if not files:
        raise _damaged(folder, "it is not complete")
    for name, entry in files.items():
        path = folder / name
        if not path.is_file() or hash_file(path) != entry["sha256"]:
            raise _damaged(path, "it is missing or has changed")


def ensure(sha256: str, label: str, build: Callable[[Path], Mapping[str, FileEntry]]) -> Path:
    """Give a module's folder, having it made if it is not there.

    Parameters
    ----------
    sha256 : str
        What it is filed under.
    label : str
        What to call it in lists.
    build : callable
        Fills the folder that it is given, which may hold what an earlier call left, and
        returns the files that make the module. One process at a time is in it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    CacheError
        If the cache cannot be written to.
    """
    found = find(sha256)
    if found is not None:
        return found
    with locked(sha256):
        found = find(sha256)  # another process may have been first
        return found if found is not None else _make(sha256, label, build)


def remove(sha256: str) -> None:
    """Delete what the cache holds of a module.

    Parameters
    ----------
    sha256 : str
        What it is filed under.

    Raises
    ------
    CacheError
        If it cannot be deleted.
    """
    with locked(sha256):
        delete(_module_folder(sha256))
        delete(partial_folder(sha256))


def prune(*, everything: bool = False) -> list[CacheEntry]:
    """Delete unfinished downloads and damaged modules; every file is read whole to find them.

    Parameters
    ----------
    everything : bool
        Delete the sound modules as well.

    Returns
    -------
    list of CacheEntry
        What was deleted. What another process is downloading is left alone.

    Raises
    ------
    CacheError
        If something cannot be deleted.
    """
    deleted = []
    for entry in entries():
        try:
            with locked(entry.sha256, timeout=0):
                if everything or not _is_sound(entry.folder):
                    delete(entry.folder)
                    deleted.append(entry)
        except _BusyError:
            logger.info("%s is being downloaded; left alone", entry.folder)
    return deleted


@contextmanager
def locked(sha256: str, timeout: float = -1) -> Iterator[None]:
    """Keep other processes from the same module; the lock dies with its process.

    Parameters
    ----------
    sha256 : str
        What the module is filed under.
    timeout : float
        How long to wait for another process [s]; for ever if negative.

    Yields
    ------
    None
    """
    import filelock  # here: only a module that is not bundled needs it

    path = cache_root() / "locks" / f"{sha256}.lock"
    # Never deleted: another process may be waiting on the same file.
    lock = filelock.FileLock(path)
    try:
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout)
    except CacheError as error:
        if isinstance(error.__cause__, filelock.Timeout):
            raise _BusyError from error
        raise
    try:
        yield
    finally:
        lock.release()


def delete(folder: Path) -> None:
    """Delete a folder, if it is there.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    CacheError
        If it cannot be deleted.
    """
    with writing_to(folder):
        if folder.exists():
            shutil.rmtree(folder)


def _make(sha256: str, label: str, build: Callable[[Path], Mapping[str, FileEntry]]) -> Path:
    partial, target = partial_folder(sha256), _module_folder(sha256)
    try:
        with writing_to(partial):
            partial.mkdir(parents=True, exist_ok=True)
        files = build(partial)
        _write_manifest(partial, label, files)
        delete(target)
        with writing_to(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, target)
    except (CacheError, UnsafeModuleError):
        # A full disk should not stay full of it, nor a hostile archive lie about.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def _module_folder(sha256: str) -> Path:
    return cache_root() / "modules" / sha256


def _write_manifest(folder: Path, label: str, files: Mapping[str, FileEntry]) -> None:
    path = folder / _MANIFEST
    with writing_to(path):
        table = {
            name: {
                "sha256": entry.sha256,
                "size": entry.size,
                "mtime_ns": (folder / name).stat().st_mtime_ns,
            }
            for name, entry in files.items()
        }
        path.write_text(json.dumps({"label": label, "files": table}), encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Read what makes a module complete; without it, it has no files."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        for entry in manifest["files"].values():
            entry["sha256"], entry["size"], entry["mtime_ns"]
        return {"label": str(manifest["label"]), "files": manifest["files"]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {"label": "(unfinished)", "files": {}}


def _is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    if status.st_size != entry["size"]:
        return False
    # A copied cache has new times and the same content.
    return status.st_mtime_ns == entry["mtime_ns"] or hash_file(path) == entry["sha256"]


def _is_sound(folder: Path) -> bool:
    try:
        verify(folder)
    except CorruptedModuleError:
        return False
    return folder == _module_folder(folder.name)  # and not put together still


def _describe(folder: Path) -> CacheEntry:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a download goes on, and moves its files
            size += path.stat().st_size if path.is_file() else 0
    label = _read_manifest(folder)["label"]
    return CacheEntry(label, folder.name, folder, size, find(folder.name) == folder)


def _damaged(path: Path, reason: str) -> CorruptedModuleError:
    return CorruptedModuleError(
        f"Cached {path} cannot be used: {reason}. Delete it with 'galsim-hub cache prune' and "
        "fetch the module again.",
        str(path),
    )

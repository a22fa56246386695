"""Archives from strangers: unpack nothing but plain files, inside their folder, within limits.

Reach for `unpack` wherever an archive that somebody else made becomes files, and for `pack` to
make an archive whose bytes depend on the content alone.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import UnsafeModuleError

__all__ = ["Limits", "is_safe_path", "pack", "unpack"]

# ASCII, no leading dot: the same name on every file system, and none of a hidden file.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
_MOST_PARTS = 8
_BLOCK = 1 << 16  # bytes
_HEADER_LIMIT = 1 << 16  # bytes; a real extended header holds a few hundred
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    OverflowError,
    RecursionError,  # of header upon header
    ValueError,
)


@dataclass(frozen=True)
class Limits:
    """Say how much may come out of an archive.

    Attributes
    ----------
    files : int
        The most members, folders included.
    size : int
        The most bytes, all files together.
    """

    files: int = 1000
    size: int = 4 << 30


def is_safe_path(name: str) -> bool:
    """Tell whether a relative path stays in its folder, on every file system.

    Parameters
    ----------
    name : str
        With forward slashes.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_safe_path("variables/variables.index"), is_safe_path("../card.md")
    (True, False)
    """
    parts = name.split("/")
    return len(parts) <= _MOST_PARTS and all(map(_PART.fullmatch, parts))


def unpack(
    archive: Path, folder: Path, limits: Limits = Limits(), label: str | None = None
) -> None:
    """Unpack a tar.gz file that is not trusted.

    Parameters
    ----------
    archive : pathlib.Path
        A tar file, compressed with gzip.
    folder : pathlib.Path
        Made if need be. After an error it may hold some of the files: delete it.
    limits : Limits
        How much may come out.
    label : str, optional
        What errors call the archive, by default its path.

    Raises
    ------
    UnsafeModuleError
        If it is no such archive, or a member is no plain file or folder, leaves the folder,
        comes twice, or exceeds the limits.
    """
    label = label or str(archive)
    folder.mkdir(parents=True, exist_ok=True)
    # Room for the tar file's own blocks, beside what the members hold.
    most = limits.size + (limits.files + 2) * (4 * tarfile.BLOCKSIZE) + tarfile.RECORDSIZE
    try:
        with gzip.open(archive) as stream:
            bounded = _Bounded(stream, most, label)
            with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_Member) as members:  # type: ignore[call-overload]
                for member, name in _checked(members, label, limits):
                    _write(members, member, folder / name)
    except _BROKEN as error:
        raise UnsafeModuleError(
            f"Archive {label} cannot be unpacked: {error}. Expected a tar.gz file; fetch it "
            "again from its publisher.",
            label,
        ) from error


def pack(folder: Path, archive: Path) -> None:
    """Pack a module's folder so that equal files give equal bytes.

    Parameters
    ----------
    folder : pathlib.Path
        Its files are packed without a leading folder, in the order of their names.
    archive : pathlib.Path
        The tar.gz file to write.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as members,
    ):
        for path in files:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                members.addfile(member, content)


class _Member(tarfile.TarInfo):
    """Refuse extended headers that tarfile would read into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > _HEADER_LIMIT:
            raise tarfile.ReadError(f"an extended header of {member.size} bytes")
        return member


class _Bounded:
    """Read no more from a stream than was allowed: a small archive may hold a huge one."""

    def __init__(self, stream: gzip.GzipFile, most: int, label: str) -> None:
        self._stream = stream
        self._left = most
        self._label = label

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _refused(self._label, "it holds more than was allowed")
        return content


def _checked(
    members: tarfile.TarFile, label: str, limits: Limits
) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield the members that are files, each after its check."""
    names: set[str] = set()
    count, size = 0, 0
    for member in members:
        count += 1
        size += member.size
        name = _checked_name(member, label)
        if count > limits.files:
            raise _refused(label, f"it has more than {limits.files} members", name)
        if member.size < 0 or size > limits.size:
            raise _refused(label, f"it unpacks to more than {limits.size} bytes", name)
        if member.isdir():
            continue
        # Some file systems do not tell upper from lower case.
        if name.lower() in names:
            raise _refused(label, f"member {name!r} comes twice", name)
        names.add(name.lower())
        yield member, name


def _checked_name(member: tarfile.TarInfo, label: str) -> str:
    name = member.name.removeprefix("./").rstrip("/")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise _refused(label, f"member {name!r} is no plain file", name)
    if not (is_safe_path(name) or (member.isdir() and name in ("", "."))):
        raise _refused(label, f"member {name!r} is outside its folder or oddly named", name)
    return str(PurePosixPath(name))


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = members.extractfile(member)
    assert content is not None  # a plain file has content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            shutil.copyfileobj(content, target, _BLOCK)
    except (FileExistsError, NotADirectoryError) as error:
        raise tarfile.ReadError(f"member {member.name!r} is both a file and a folder") from error


def _refused(label: str, reason: str, *found: Any) -> UnsafeModuleError:
    return UnsafeModuleError(
        f"Archive {label} is refused: {reason}. Do not use it; ask its publisher for a plain "
        "archive of the module's folder.",
        label,
        found,
    )

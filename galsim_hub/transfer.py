"""Bring a file from the first mirror that gives the promised bytes.

A transfer goes to a temporary name, continues where it broke off, and gets its own name only when
its sha256 is right. Reach for `download`; `is_offline` tells whether the network may be used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from .errors import CacheError, DownloadError

if TYPE_CHECKING:
    import requests

__all__ = ["OFFLINE", "Patience", "Promise", "download", "is_offline", "is_remote", "writing_to"]

logger = logging.getLogger(__name__)

OFFLINE = "GALSIM_HUB_OFFLINE"
_BLOCK = 1 << 14  # bytes; what a broken transfer may lose
_MOST_REDIRECTS = 5


@dataclass(frozen=True)
class Patience:
    """Say how long to bear with bad servers.

    Attributes
    ----------
    rounds : int
        How often every mirror is tried.
    first_wait : float
        The pause after the first round [s]; it doubles each round.
    timeout : float
        The longest silence of a server [s].
    """

    rounds: int = 5
    first_wait: float = 1.0
    timeout: float = 30.0


@dataclass(frozen=True)
class Promise:
    """Say what a file must be.

    Attributes
    ----------
    sha256 : str or None
        None where nobody has said.
    most : int
        The most bytes that are read.
    size : int or None
        The exact number of bytes, where it is known.
    """

    sha256: str | None
    most: int
    size: int | None = None


class _TransferError(Exception):
    """Say why one attempt at one mirror failed."""


def is_offline() -> bool:
    """Tell whether ``GALSIM_HUB_OFFLINE`` forbids the network.

    Returns
    -------
    bool
        True for any value but an empty one and ``0``.
    """
    return os.environ.get(OFFLINE, "0") not in ("", "0")


def is_remote(place: str) -> bool:
    """Tell an address from a path.

    Parameters
    ----------
    place : str

    Returns
    -------
    bool
    """
    return "://" in place


def download(
    urls: Sequence[str], path: Path, promise: Promise, patience: Patience | None = None
) -> str:
    """Bring a file from the first mirror that gives the promised bytes.

    Parameters
    ----------
    urls : sequence of str
        https addresses or paths, tried in order, several times.
    path : pathlib.Path
        Where it goes, in a folder that exists; ``.part`` is added until it is complete.
    promise : Promise
        What it must be.
    patience : Patience, optional
        How long to bear with bad servers.

    Returns
    -------
    str
        Its sha256.

    Raises
    ------
    CacheError
        If the file cannot be written.
    DownloadError
        If no mirror gives the promised bytes.
    """
    patience = patience or Patience()
    part = path.with_name(path.name + ".part")
    reasons: dict[str, str] = {}
    wait = patience.first_wait
    for round_ in range(patience.rounds):
        for url in urls:
            try:
                return _attempt(url, part, path, promise, patience)
            except _TransferError as error:
                logger.info("%s: %s", url, error)
                reasons[url] = str(error)
        # A path that is missing now will be missing in a second, and so will be the network.
        if is_offline() or not any(map(is_remote, urls)):
            break
        if round_ + 1 < patience.rounds:
            time.sleep(wait)
            wait *= 2
    raise _no_mirror(path.name, urls, reasons)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error that says what to do.

    Parameters
    ----------
    path : pathlib.Path
        What is written.

    Yields
    ------
    None

    Raises
    ------
    CacheError
        If the block raises an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"The cache cannot be written to: {error.strerror or error} ({path}). Free some space, "
            "or set GALSIM_HUB_CACHE to a folder that can be written to.",
            str(path),
        ) from error


def _attempt(url: str, part: Path, path: Path, promise: Promise, patience: Patience) -> str:
    if is_remote(url):
        _receive(url, part, promise, patience)
    else:
        _copy(Path(url), part, promise)
    with writing_to(part):
        with part.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
        if promise.sha256 not in (None, got):
            part.unlink()
            raise _TransferError(f"its sha256 is {got}, not {promise.sha256}")
        os.replace(part, path)
    return got


def _copy(source: Path, part: Path, promise: Promise) -> None:
    if not source.is_file():
        raise _TransferError("there is no such file")
    if source.stat().st_size > promise.most:
        raise _TransferError(f"it has more than {promise.most} bytes")
    with writing_to(part):
        shutil.copyfile(source, part)


def _receive(url: str, part: Path, promise: Promise, patience: Patience) -> None:
    """Receive what is missing of a file."""
    import requests  # here: 0.1 s that `import galsim_hub` must not take

    if is_offline():
        raise _TransferError(f"{OFFLINE} forbids the network")
    with writing_to(part):
        start = part.stat().st_size if part.exists() else 0
    if promise.size is not None and start >= promise.size:
        start = 0
    try:
        with requests.Session() as session:
            response = _open(session, url, start, patience.timeout)
            with response:
                _save(response, part, start, promise)
    except requests.RequestException as error:
        raise _TransferError(str(error)) from error
    _check_size(part, promise)


def _open(session: requests.Session, url: str, start: int, timeout: float) -> requests.Response:
    # Compressed on the way, a file could not be continued from a byte of its own.
    headers = {"Accept-Encoding": "identity", "User-Agent": "galsim_hub"}
    if start:
        headers["Range"] = f"bytes={start}-"
    for _ in range(_MOST_REDIRECTS):
        if urlsplit(url).scheme != "https":
            raise _TransferError(f"it leads to {url}, which is not https")
        response = session.get(
            url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
        )
        if not response.is_redirect:
            return response
        url = urljoin(url, response.headers["location"])
        response.close()
    raise _TransferError(f"it redirects more than {_MOST_REDIRECTS} times")


def _save(response: requests.Response, part: Path, start: int, promise: Promise) -> None:
    """Write the body of a response behind the bytes that are there."""
    if response.status_code == 416:  # what is there is longer than the file
        with writing_to(part):
            part.unlink(missing_ok=True)
    if response.status_code not in (200, 206):
        raise _TransferError(f"the server answers {response.status_code} {response.reason}")
    if response.status_code == 200:
        start = 0
    elif not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        raise _TransferError("the server continues at the wrong byte")
    report = _progress(part.name.removesuffix(".part"), promise.size)
    with _open_part(part, start) as stream:
        for block in response.iter_content(_BLOCK):
            with writing_to(part):
                received = stream.tell() + len(block)
                if received > promise.most:
                    part.unlink()
                    raise _TransferError(f"it has more than {promise.most} bytes")
                _write(stream, block)
            report(received)


@contextmanager
def _open_part(part: Path, start: int) -> Iterator[FileIO]:
    """Open a file to go on writing at a byte; what fails on closing is a failure to write too."""
    with writing_to(part):
        # Without a buffer, that would be written once more on closing when the disk is full.
        stream = part.open("r+b" if start else "wb", buffering=0)
    try:
        with writing_to(part):
            stream.seek(start)
            stream.truncate()
        yield stream
    finally:
        with writing_to(part):
            stream.close()


def _write(stream: FileIO, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[stream.write(left) :]


def _check_size(part: Path, promise: Promise) -> None:
    with writing_to(part):
        got = part.stat().st_size
    if promise.size is not None and got < promise.size:
        raise _TransferError(f"it broke off after {got} of {promise.size} bytes")


def _progress(name: str, size: int | None) -> Callable[[int], None]:
    """Give what reports progress: on a terminal a line, elsewhere nothing."""
    if not sys.stderr.isatty():
        return lambda _: None
    total = f" of {size / 1e6:.1f}" if size else ""

    def report(received: int) -> None:
        end = "\n" if received == size else ""
        sys.stderr.write(f"\r{name}: {received / 1e6:.1f}{total} MB{end}")
        sys.stderr.flush()

    return report


def _no_mirror(name: str, urls: Sequence[str], reasons: dict[str, str]) -> DownloadError:
    tried = "; ".join(f"{url}: {reason}" for url, reason in reasons.items()) or "no mirror is known"
    remedy = (
        f"Unset {OFFLINE}, or fetch the module where there is a network and copy the cache."
        if is_offline()
        else "Check the network and try again; what has arrived is kept."
    )
    return DownloadError(f"Cannot download {name} ({tried}). {remedy}", urls)

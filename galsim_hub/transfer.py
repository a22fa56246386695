"""Bring a file from the first mirror that gives the promised bytes.

A transfer goes to a temporary name, continues where it broke off, and gets its own name only when
its sha256 is right. Reach for `download`, and for `read` where a small file is only looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from .errors import CacheError, DownloadError
from .hashing import hash_file
from .mirrors import (
    OFFLINE,
    AttemptError,
    NoMirrorError,
    Patience,
    ask_mirrors,
    is_offline,
    is_remote,
)

if TYPE_CHECKING:
    import requests

__all__ = [
    "Arrival",
    "Promise",
    "download",
    "read",
    "writing_to",
]

_BLOCK = 1 << 14  # bytes; what a broken transfer may lose
_MOST_REDIRECTS = 5
_GONE = (404, 410)  # the answers that stay the same a few seconds later


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


@dataclass(frozen=True)
class Arrival:
    """Say what has arrived.

    Attributes
    ----------
    url : str
        The mirror that gave it.
    sha256 : str
    """

    url: str
    sha256: str


def download(
    urls: Sequence[str], path: Path, promise: Promise, patience: Patience | None = None
) -> Arrival:
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
    Arrival

    Raises
    ------
    CacheError
        If the file cannot be written.
    DownloadError
        If no mirror gives the promised bytes.
    """
    patience = patience or Patience()
    part = path.with_name(path.name + ".part")
    try:
        return ask_mirrors(urls, lambda url: _attempt(url, part, path, promise, patience), patience)
    except NoMirrorError as error:
        remedy = (
            f"Unset {OFFLINE}, or fetch the module where there is a network and copy the cache."
            if is_offline()
            else "Check the network and try again; what has arrived is kept."
        )
        raise DownloadError(f"Cannot download {path.name} ({error}). {remedy}", urls) from error


def read(url: str, most: int, patience: Patience | None = None) -> bytes:
    """Read a small file from a server, writing nothing.

    Parameters
    ----------
    url : str
        https address.
    most : int
        The most bytes that are read.
    patience : Patience, optional
        How long to bear with a bad server.

    Returns
    -------
    bytes

    Raises
    ------
    DownloadError
        If it cannot be had.
    """
    patience = patience or Patience()
    try:
        return ask_mirrors([url], lambda url: _read(url, most, patience.timeout), patience)
    except NoMirrorError as error:
        remedy = f"Unset {OFFLINE}" if is_offline() else "Check the network and the address"
        raise DownloadError(f"Cannot read {error}. {remedy}, and try again.", [url]) from error


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


def _attempt(url: str, part: Path, path: Path, promise: Promise, patience: Patience) -> Arrival:
    if is_remote(url):
        _receive(url, part, promise, patience)
    else:
        _copy(Path(url), part, promise)
    with writing_to(part):
        got = hash_file(part)
        if promise.sha256 not in (None, got):
            part.unlink()
            raise AttemptError(f"its sha256 is {got}, not {promise.sha256}")
        os.replace(part, path)
    return Arrival(url, got)


def _copy(source: Path, part: Path, promise: Promise) -> None:
    if not source.is_file():
        raise AttemptError("there is no such file")
    if source.stat().st_size > promise.most:
        raise AttemptError(f"it has more than {promise.most} bytes")
    with writing_to(part):
        shutil.copyfile(source, part)
    _check_size(part, promise)


def _receive(url: str, part: Path, promise: Promise, patience: Patience) -> None:
    """Receive what is missing of a file."""
    with writing_to(part):
        start = part.stat().st_size if part.exists() else 0
    if promise.size is not None and start >= promise.size:
        start = 0
    with _asking(url, start, patience.timeout) as response:
        _save(response, part, start, promise)
    _check_size(part, promise)


def _read(url: str, most: int, timeout: float) -> bytes:
    content = bytearray()
    with _asking(url, 0, timeout) as response:
        _require_content(response)
        for block in response.iter_content(_BLOCK):
            content += block
            if len(content) > most:
                raise AttemptError(f"it has more than {most} bytes")
    return bytes(content)


@contextmanager
def _asking(url: str, start: int, timeout: float) -> Iterator[requests.Response]:
    """Ask a server for a file from a byte on; whatever goes wrong then is the server's failure."""
    import requests  # here: 0.1 s that `import galsim_hub` must not take

    if is_offline():
        raise AttemptError(f"{OFFLINE} forbids the network")
    try:
        with (
            requests.Session() as session,
            _open(session, url, start, timeout) as response,
        ):
            yield response
    # Addresses that are none raise a ValueError of the parser that first looks at them.
    except (requests.RequestException, ValueError) as error:
        raise AttemptError(str(error)) from error


def _open(session: requests.Session, url: str, start: int, timeout: float) -> requests.Response:
    # Compressed on the way, a file could not be continued from a byte of its own.
    headers = {"Accept-Encoding": "identity", "User-Agent": "galsim_hub"}
    if start:
        headers["Range"] = f"bytes={start}-"
    for _ in range(_MOST_REDIRECTS):
        if urlsplit(url).scheme != "https":
            raise AttemptError(f"it leads to {url}, which is not https")
        response = session.get(
            url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
        )
        if not response.is_redirect:
            return response
        url = urljoin(url, response.headers["location"])
        response.close()
    raise AttemptError(f"it redirects more than {_MOST_REDIRECTS} times")


def _save(response: requests.Response, part: Path, start: int, promise: Promise) -> None:
    """Write the body of a response behind the bytes that are there."""
    if response.status_code == 416:  # what is there is longer than the file
        with writing_to(part):
            part.unlink(missing_ok=True)
    _require_content(response)
    if response.status_code == 200:
        start = 0
    elif not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        with writing_to(part):
            part.unlink(missing_ok=True)  # or the next attempt would ask for that byte again
        raise AttemptError("the server continues at the wrong byte")
    report = _progress(part.name.removesuffix(".part"), promise.size)
    with _open_part(part, start) as stream:
        for block in response.iter_content(_BLOCK):
            with writing_to(part):
                received = stream.tell() + len(block)
                if received > promise.most:
                    part.unlink()
                    raise AttemptError(f"it has more than {promise.most} bytes")
                _write(stream, block)
            report(received)


def _require_content(response: requests.Response) -> None:
    status = response.status_code
    if status not in (200, 206):
        reason = f"the server answers {status} {response.reason}"
        wait = _read_wait(response.headers.get("retry-after", ""))
        raise AttemptError(reason, is_final=status in _GONE, wait=wait)


def _read_wait(asked: str) -> float:
    """Return how long a Retry-After header asks for [s]: a number or a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    try:
        return max(parsedate_to_datetime(asked).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


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
        raise AttemptError(f"it ends after {got} of {promise.size} bytes")


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

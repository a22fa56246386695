"""Ask mirrors one after the other, several times, with longer and longer pauses.

Reach for `ask_mirrors` where servers may fail; `is_offline` tells whether the network may be used.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = [
    "OFFLINE",
    "AttemptError",
    "NoMirrorError",
    "Patience",
    "ask_mirrors",
    "is_offline",
    "is_remote",
]

T = TypeVar("T")

logger = logging.getLogger(__name__)

OFFLINE = "GALSIM_HUB_OFFLINE"


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
    longest_wait : float
        The longest pause that a server may ask for [s].
    """

    rounds: int = 5
    first_wait: float = 1.0
    timeout: float = 30.0
    longest_wait: float = 60.0


class AttemptError(Exception):
    """Say why one attempt at one mirror failed.

    Attributes
    ----------
    is_final : bool
        Whether a further attempt would be in vain.
    wait : float
        How long the server asks to be left alone [s].
    """

    def __init__(self, reason: str, *, is_final: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.wait = wait


class NoMirrorError(Exception):
    """Say of every mirror why it failed."""

    def __init__(self, reasons: dict[str, str]) -> None:
        told = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
        super().__init__(told or "no mirror is known")


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


def ask_mirrors(urls: Sequence[str], attempt: Callable[[str], T], patience: Patience) -> T:
    """Give what the first mirror gives, asking all of them several times.

    Parameters
    ----------
    urls : sequence of str
        Addresses and paths, in order.
    attempt : callable
        Asks one of them, and raises an `AttemptError` if that fails.
    patience : Patience

    Returns
    -------
    object
        What the first attempt that succeeds returns.

    Raises
    ------
    NoMirrorError
        If none succeeds.
    """
    left = list(urls)
    reasons: dict[str, str] = {}
    wait = patience.first_wait
    for round_ in range(patience.rounds):
        waits = []
        for url in tuple(left):
            try:
                return attempt(url)
            except AttemptError as error:
                logger.info("%s: %s", url, error)
                reasons[url] = str(error)
                if error.is_final:
                    left.remove(url)
                else:
                    waits.append(error.wait)
        # A path that is missing now will be missing in a second, and so will be the network.
        if is_offline() or not any(map(is_remote, left)):
            break
        if round_ + 1 < patience.rounds:
            # Until the first of those that are busy may be asked again.
            time.sleep(max(wait, min(*waits, patience.longest_wait)))
            wait *= 2
    raise NoMirrorError(reasons)

"""The folder of a run: whose it is, whether its run has ended, and that one process is in it."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator

from .config import FitConfig, fingerprint
from .errors import ConfigError

WEIGHTS = "best.weights.h5"  # of the best validation
_MARK, _DONE, _LOCK = "recipe.sha256", "done.json", "lock"


def claim_of(fit: FitConfig, identity: str) -> str:
    """Return what marks the folder of a fit whose task has this identity."""
    return hashlib.sha256(f"{fingerprint(fit)}/{identity}".encode()).hexdigest()


def claim_folder(folder: pathlib.Path, claim: str) -> None:
    """Mark a folder as a fit's own.

    A folder without checkpoint or weights is free: a start that failed, or a run that diverged at
    once, leaves nothing that another recipe could go on from by mistake.

    Raises
    ------
    ConfigError
        If it holds a run with another claim.
    """
    has_run = (folder / WEIGHTS).is_file() or any(folder.glob("checkpoints/*.index"))
    if has_run and _claim_in(folder) not in (None, claim):
        raise _another(folder)
    (folder / _MARK).write_text(claim)


def require_claim(folder: pathlib.Path, claim: str) -> None:
    """Raise `ConfigError` if a folder holds weights that were not fitted under this claim."""
    if (folder / WEIGHTS).is_file() and _claim_in(folder) != claim:
        raise _another(folder)


def write_done(folder: pathlib.Path, summary: dict, claim: str | None = None) -> None:
    """Say that a run has ended, whole or not at all."""
    if claim is not None:
        (folder / _MARK).write_text(claim)
    part = folder / f"part.{_DONE}"
    part.write_text(json.dumps(summary))
    os.replace(part, folder / _DONE)


def read_done(folder: pathlib.Path) -> dict | None:
    """Return the summary of a run that has ended, None of any other."""
    try:
        return json.loads((folder / _DONE).read_text()) or None
    except (FileNotFoundError, ValueError):  # or cut short, then training says it once more
        return None


@contextlib.contextmanager
def alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Keep other processes from training in a folder; the lock goes with the process.

    Raises
    ------
    ConfigError
        If another process is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Another process is training in {folder}: wait until it has ended, or choose "
                "another workdir."
            ) from error
        yield


def _claim_in(folder: pathlib.Path) -> str | None:
    mark = folder / _MARK
    return mark.read_text() if mark.is_file() else None


def _another(folder: pathlib.Path) -> ConfigError:
    return ConfigError(
        f"{folder} holds a run of another recipe, on other stamps, or on other weights of the fit "
        "before it: take back what was changed, or train in another workdir or after removing it."
    )

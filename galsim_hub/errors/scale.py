"""Errors of drawing whole catalogues."""

from __future__ import annotations

from .base import GalSimHubError

__all__ = ["BadRowError", "MissingExtraError", "OutputError", "TableError", "WorkerError"]


class TableError(GalSimHubError, ValueError):
    """Report a catalogue that cannot be read or lacks a column.

    Attributes
    ----------
    catalogue : str
        Its path, or what it is.
    """

    def __init__(self, message: str, catalogue: str) -> None:
        self.catalogue = catalogue
        super().__init__(message, catalogue)


class BadRowError(GalSimHubError, ValueError):
    """Report a row of a catalogue that makes no galaxy.

    Attributes
    ----------
    row : int
        The row, counted from 0 over the whole catalogue.
    obj_id : int, str or None
        What its id column holds.
    """

    def __init__(self, message: str, row: int, obj_id: object) -> None:
        self.row = row
        self.obj_id = obj_id
        super().__init__(message, row, obj_id)


class OutputError(GalSimHubError, OSError):
    """Report an output folder that belongs to another run, or cannot be written to.

    Attributes
    ----------
    path : str
        The folder.
    """

    def __init__(self, message: str, path: str) -> None:
        self.path = path
        super().__init__(message, path)


class WorkerError(GalSimHubError, RuntimeError):
    """Report a shard that its workers died of, or were cancelled in.

    Attributes
    ----------
    shard : int
        Its number, counted from 0.
    """

    def __init__(self, message: str, shard: int) -> None:
        self.shard = shard
        super().__init__(message, shard)


class MissingExtraError(GalSimHubError, ImportError):
    """Report packages that an extra of galsim_hub would have brought.

    Attributes
    ----------
    extra : str
        The extra's name.
    missing : str
        The first package that is not there.
    """

    def __init__(self, message: str, extra: str, missing: str) -> None:
        self.extra = extra
        self.missing = missing
        super().__init__(message, extra, missing)

"""Errors and warnings of modules: finding, fetching, trusting and reading them."""

from __future__ import annotations

from collections.abc import Iterable

import galsim

from .base import GalSimHubError

__all__ = [
    "CacheError",
    "CardError",
    "ContributionError",
    "CorruptedModuleError",
    "DownloadError",
    "RegistryError",
    "RegistryWarning",
    "UnknownModuleError",
    "UnsafeModuleError",
    "UnsupportedModuleError",
    "UnverifiedWarning",
]


class UnknownModuleError(GalSimHubError, LookupError):
    """Report that an address leads to no module.

    Attributes
    ----------
    file_name : str
        The address as it was given.
    known : tuple of str
        The addresses that would have worked.
    """

    def __init__(self, message: str, file_name: str, known: Iterable[str] = ()) -> None:
        self.file_name = file_name
        self.known = tuple(known)
        super().__init__(message, file_name, self.known)


class CardError(GalSimHubError, ValueError):
    """Report a card that is missing, invalid or newer than this package.

    Attributes
    ----------
    path : str
        The card's path.
    field : str or None
        The entry at fault, dotted, where one entry is.
    """

    def __init__(self, message: str, path: str, field: str | None = None) -> None:
        self.path = path
        self.field = field
        super().__init__(message, path, field)


class CorruptedModuleError(GalSimHubError):
    """Report files that differ from those their module's card describes.

    Attributes
    ----------
    path : str
        The file or folder at fault.
    expected, got : str or None
        The sha256 promised and the one found, None where there is none.
    """

    def __init__(
        self, message: str, path: str, expected: str | None = None, got: str | None = None
    ) -> None:
        self.path = path
        self.expected = expected
        self.got = got
        super().__init__(message, path, expected, got)


class UnsafeModuleError(GalSimHubError):
    """Report a module that would do more than compute pixels, or a transfer nobody vouches for.

    Attributes
    ----------
    path : str
        The archive, folder or address at fault.
    found : tuple of str
        The members, ops or addresses that were refused.
    """

    def __init__(self, message: str, path: str, found: Iterable[str] = ()) -> None:
        self.path = path
        self.found = tuple(found)
        super().__init__(message, path, self.found)


class UnsupportedModuleError(GalSimHubError, NotImplementedError):
    """Report something that a sound module cannot do.

    Attributes
    ----------
    module : str
        The module's address.
    wanted : str
        The kind or signature that was wanted.
    """

    def __init__(self, message: str, module: str, wanted: str) -> None:
        self.module = module
        self.wanted = wanted
        super().__init__(message, module, wanted)


class RegistryError(GalSimHubError, ValueError):
    """Report an index of modules, or a user's list of them, that cannot be used.

    Attributes
    ----------
    place : str
        The path or address of the file at fault.
    field : str or None
        The entry at fault, dotted, where one entry is.
    """

    def __init__(self, message: str, place: str, field: str | None = None) -> None:
        self.place = place
        self.field = field
        super().__init__(message, place, field)


class DownloadError(GalSimHubError):
    """Report that no mirror gives the bytes that were published.

    Attributes
    ----------
    urls : tuple of str
        The addresses that were tried.
    """

    def __init__(self, message: str, urls: Iterable[str]) -> None:
        self.urls = tuple(urls)
        super().__init__(message, self.urls)


class CacheError(GalSimHubError):
    """Report a cache that cannot be written to.

    Attributes
    ----------
    path : str
        The file or folder at fault.
    """

    def __init__(self, message: str, path: str) -> None:
        self.path = path
        super().__init__(message, path)


class ContributionError(GalSimHubError):
    """Report a module to contribute that cannot be scaffolded or completed.

    Attributes
    ----------
    path : str
        The file or folder at fault.
    """

    def __init__(self, message: str, path: str) -> None:
        self.path = path
        super().__init__(message, path)


class RegistryWarning(galsim.GalSimWarning):
    """Warn that a name means something other than it may seem to."""


class UnverifiedWarning(galsim.GalSimWarning):
    """Warn that nobody has said which bytes a downloaded module should have."""

"""Errors and warnings of drawing galaxies."""

from __future__ import annotations

from collections.abc import Iterable

import galsim

from .base import GalSimHubError

__all__ = [
    "BandError",
    "CatalogError",
    "ConditionError",
    "EngineError",
    "ExtrapolationWarning",
    "ImageError",
    "LatentError",
    "PinError",
    "RandomDeviateError",
    "SeedError",
]


class EngineError(GalSimHubError):
    """Report an inference engine that cannot start or returned nonsense.

    Attributes
    ----------
    engine : str
        The engine's name.
    row : int or None
        Of the galaxies that it was asked for, the one that it made nonsense of.
    """

    def __init__(self, message: str, engine: str, row: int | None = None) -> None:
        self.engine = engine
        self.row = row
        super().__init__(message, engine, row)


class ConditionError(GalSimHubError, ValueError):
    """Report a condition that cannot be used.

    Attributes
    ----------
    quantity : str or None
        The condition's name, None where the whole catalogue is at fault.
    value : object
        The first offending value.
    row : int or None
        The row it stands in, counted from 0.
    """

    def __init__(
        self, message: str, quantity: str | None, value: object = None, row: int | None = None
    ) -> None:
        self.quantity = quantity
        self.value = value
        self.row = row
        super().__init__(message, quantity, value, row)


class SeedError(GalSimHubError, ValueError):
    """Report a seed or object id that cannot determine a galaxy.

    Attributes
    ----------
    value : object
        The offending seed, id, or array of them.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)


class RandomDeviateError(GalSimHubError, TypeError):
    """Report an rng that is not a `galsim.BaseDeviate`.

    Attributes
    ----------
    got : str
        The type that was given.
    """

    def __init__(self, message: str, got: str) -> None:
        self.got = got
        super().__init__(message, got)


class BandError(GalSimHubError, ValueError):
    """Report a band that is not one of the module's, or that has to be chosen.

    Attributes
    ----------
    band : str or None
        The band that was asked for.
    bands : tuple of str
        Those that the module has.
    """

    def __init__(self, message: str, band: str | None, bands: Iterable[str] = ()) -> None:
        self.band = band
        self.bands = tuple(bands)
        super().__init__(message, band, self.bands)


class ImageError(GalSimHubError, ValueError):
    """Report an image, PSF or noise variance that cannot be encoded.

    Attributes
    ----------
    value : object
        The offending size, scale, type or variance.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)


class LatentError(GalSimHubError, ValueError):
    """Report latent codes of the wrong shape, or not finite.

    Attributes
    ----------
    shape : tuple of int
        The shape that was given.
    """

    def __init__(self, message: str, shape: tuple[int, ...]) -> None:
        self.shape = shape
        super().__init__(message, shape)


class PinError(GalSimHubError, ValueError):
    """Report a flux, magnitude or size to pin that makes no sense, or contradicts another.

    Attributes
    ----------
    name : str
        The option's name.
    value : object
        What was given.
    """

    def __init__(self, message: str, name: str, value: object = None) -> None:
        self.name = name
        self.value = value
        super().__init__(message, name, value)


class CatalogError(GalSimHubError, ValueError):
    """Report a catalogue of galaxies that cannot be read, selected from or asked that way.

    Attributes
    ----------
    option : str
        The name of the argument at fault.
    value : object
        What was given.
    """

    def __init__(self, message: str, option: str, value: object = None) -> None:
        self.option = option
        self.value = value
        super().__init__(message, option, value)


class ExtrapolationWarning(galsim.GalSimWarning):
    """Warn that conditions lie outside the range a module was trained on."""

"""Every error and warning that galsim_hub raises, and when to raise which.

======================== ==============================================================
`UnknownModuleError`     a name, version or folder leads to no module
`CardError`              a module's card is missing, invalid or of a newer specification
`CorruptedModuleError`   a module's files are not those that its card describes
`UnsafeModuleError`      an archive, address or graph does what a module must not do
`UnsupportedModuleError` a sound module cannot do what was asked of it
`RegistryError`          an index of modules or the user's configuration cannot be used
`DownloadError`          no mirror gives the bytes that were published, or it is offline
`CacheError`             the cache cannot be written to
`EngineError`            the inference engine cannot start, or returned nonsense
`ConditionError`         a condition is missing, not a number, negative, of wrong length
`SeedError`              a seed or object id cannot determine a galaxy
`RandomDeviateError`     an rng is not a `galsim.BaseDeviate`
`ContributionError`      a module to contribute cannot be scaffolded or completed
`BandError`              a band is not one of the module's, or has to be chosen
`ImageError`             an image, PSF or noise variance cannot be encoded
`LatentError`            an array of latent codes has the wrong shape or values
`CosmologyError`         a cosmological parameter or scale factor makes no sense
`BoxError`               a box, grid or field does not fit the simulation
`StepsError`             scale factors do not make a sequence of time steps
`PowerSpectrumError`     a power spectrum is invalid or does not cover the grid
`ExtrapolationWarning`   conditions lie outside the range a module was trained on
`RegistryWarning`        a name means something other than it may seem to
`UnverifiedWarning`      a module was downloaded without a promised sha256
======================== ==============================================================

Each carries the offending values as attributes, survives a pickle (GalSim sends
exceptions between processes), and ends its message with what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import galsim

__all__ = [
    "BandError",
    "BoxError",
    "CacheError",
    "CardError",
    "ConditionError",
    "ContributionError",
    "CorruptedModuleError",
    "CosmologyError",
    "DownloadError",
    "EngineError",
    "ExtrapolationWarning",
    "GalSimHubError",
    "ImageError",
    "LatentError",
    "PowerSpectrumError",
    "RandomDeviateError",
    "RegistryError",
    "RegistryWarning",
    "SeedError",
    "StepsError",
    "UnknownModuleError",
    "UnsafeModuleError",
    "UnsupportedModuleError",
    "UnverifiedWarning",
]


class GalSimHubError(galsim.GalSimError):
    """Report a failure of galsim_hub; the base class of every error it raises.

    Parameters
    ----------
    message : str
        What was asked, what was got, what was expected and what to do.
    *values : object
        The subclass's own values, in the order of its constructor.
    """

    def __init__(self, message: str, *values: object) -> None:
        super().__init__(message)
        self.message = message
        self._arguments = (message, *values)

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        arguments = ", ".join(map(repr, self._arguments))
        return f"galsim.hub.errors.{type(self).__name__}({arguments})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), self._arguments


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


class EngineError(GalSimHubError):
    """Report an inference engine that cannot start or returned nonsense.

    Attributes
    ----------
    engine : str
        The engine's name.
    """

    def __init__(self, message: str, engine: str) -> None:
        self.engine = engine
        super().__init__(message, engine)


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


class CosmologyError(GalSimHubError, ValueError):
    """Report a cosmological parameter or scale factor that makes no sense.

    Attributes
    ----------
    parameter : str
        Its name.
    value : object
        What was given.
    """

    def __init__(self, message: str, parameter: str, value: object) -> None:
        self.parameter = parameter
        self.value = value
        super().__init__(message, parameter, value)


class BoxError(GalSimHubError, ValueError):
    """Report a box, grid or field that does not fit the simulation.

    Attributes
    ----------
    value : object
        The offending shape, size or resolution.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)


class StepsError(GalSimHubError, ValueError):
    """Report scale factors that do not make a sequence of time steps.

    Attributes
    ----------
    value : object
        The offending scale factors, number of steps or name of a scheme.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)


class PowerSpectrumError(GalSimHubError, ValueError):
    """Report a power spectrum that is invalid or does not cover the grid.

    Attributes
    ----------
    first, last : float
        The range of wavenumbers that it has [h/Mpc].
    """

    def __init__(self, message: str, first: float, last: float) -> None:
        self.first = first
        self.last = last
        super().__init__(message, first, last)


class ExtrapolationWarning(galsim.GalSimWarning):
    """Warn that conditions lie outside the range a module was trained on."""


class RegistryWarning(galsim.GalSimWarning):
    """Warn that a name means something other than it may seem to."""


class UnverifiedWarning(galsim.GalSimWarning):
    """Warn that nobody has said which bytes a downloaded module should have."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the known names nearest to a misspelt one, as the end of a message.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``" Did you mean 'a' or 'b'?"``, or an empty string when none is near.

    Examples
    --------
    >>> suggest("cosmso", ["cosmos", "candels"])
    " Did you mean 'cosmos'?"
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""

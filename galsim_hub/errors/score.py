"""Errors of score priors, likelihoods and samplers."""

from __future__ import annotations

from .base import GalSimHubError

__all__ = ["FieldError", "ObservationError", "SamplingError"]


class FieldError(GalSimHubError, ValueError):
    """Report a field, noise level or power spectrum that a score prior cannot take.

    Attributes
    ----------
    value : object
        The offending shape, value or pixel scale.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)


class ObservationError(GalSimHubError, ValueError):
    """Report data, a noise level, a mask or an operator that make no likelihood.

    Attributes
    ----------
    name : str
        The argument at fault.
    value : object
        What was given: a shape or a value.
    """

    def __init__(self, message: str, name: str, value: object = None) -> None:
        self.name = name
        self.value = value
        super().__init__(message, name, value)


class SamplingError(GalSimHubError, ValueError):
    """Report a sampler that was asked for what it cannot do, or whose chains went astray.

    Attributes
    ----------
    name : str
        The argument at fault.
    value : object
        What was given.
    """

    def __init__(self, message: str, name: str, value: object = None) -> None:
        self.name = name
        self.value = value
        super().__init__(message, name, value)

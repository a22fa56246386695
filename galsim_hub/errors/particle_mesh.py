"""Errors of the particle-mesh simulator."""

from __future__ import annotations

from .base import GalSimHubError

__all__ = ["BoxError", "CosmologyError", "PowerSpectrumError", "ReconstructionError", "StepsError"]


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


class ReconstructionError(GalSimHubError, ValueError):
    """Report an observed field or a search that leads to no initial conditions.

    Attributes
    ----------
    value : object
        The offending noise, method, value of the posterior or file.
    """

    def __init__(self, message: str, value: object) -> None:
        self.value = value
        super().__init__(message, value)

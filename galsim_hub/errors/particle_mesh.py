"""Errors of the particle-mesh simulator."""

from __future__ import annotations

from .base import GalSimHubError

__all__ = [
    "BoxError",
    "CheckpointError",
    "CosmologyError",
    "DeviceMeshError",
    "HaloError",
    "PeerError",
    "PowerSpectrumError",
    "ReconstructionError",
    "StepsError",
]


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


class DeviceMeshError(GalSimHubError, ValueError):
    """Report a mesh of devices that does not divide a box, or that is not there.

    Attributes
    ----------
    mesh : tuple of 2 int
        Devices along the first two sides of the box.
    """

    def __init__(self, message: str, mesh: tuple[int, ...]) -> None:
        self.mesh = mesh
        super().__init__(message, mesh)


class HaloError(GalSimHubError, RuntimeError):
    """Report particles that have moved further than their block's halo holds.

    Attributes
    ----------
    displacement : float
        The largest along a side that is cut [Mpc/h].
    largest : float
        What was provided for [Mpc/h].
    """

    def __init__(self, message: str, displacement: float, largest: float) -> None:
        self.displacement = displacement
        self.largest = largest
        super().__init__(message, displacement, largest)


class PeerError(GalSimHubError, RuntimeError):
    """Report other processes of a run that cannot be found, died or do not answer.

    Attributes
    ----------
    rank : int
        The rank that noticed.
    """

    def __init__(self, message: str, rank: int) -> None:
        self.rank = rank
        super().__init__(message, rank)


class CheckpointError(GalSimHubError, RuntimeError):
    """Report checkpoints that belong to another run.

    Attributes
    ----------
    path : str
        The file.
    """

    def __init__(self, message: str, path: str) -> None:
        self.path = path
        super().__init__(message, path)

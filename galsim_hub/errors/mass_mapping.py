"""Errors of mapping mass from shear."""

from __future__ import annotations

from .base import GalSimHubError

__all__ = ["MassMapError"]


class MassMapError(GalSimHubError, ValueError):
    """Report shear, weights or a patch of sky that no map of mass can be made from.

    Attributes
    ----------
    name : str
        What is at fault: a column, an argument.
    value : object
        What was given.
    """

    def __init__(self, message: str, name: str, value: object = None) -> None:
        self.name = name
        self.value = value
        super().__init__(message, name, value)

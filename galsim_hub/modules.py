"""Any hub module by name, as the class that its kind asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from .errors import UnsupportedModuleError
from .legacy import describe
from .model import GenerativeGalaxyModel
from .registry import locate

__all__ = ["load"]

# One line a kind: score priors and particle meshes join here.
_CLASSES: Mapping[str, Callable[..., GenerativeGalaxyModel]] = MappingProxyType(
    {"galaxy": GenerativeGalaxyModel}
)


def load(file_name: str | os.PathLike[str], *, band: str | None = None) -> GenerativeGalaxyModel:
    """Load any module by its name.

    Parameters
    ----------
    file_name : str or path
        As `GenerativeGalaxyModel` takes it.
    band : str, optional
        The band to draw, for a module of several.

    Returns
    -------
    GenerativeGalaxyModel
        For a module of kind ``galaxy``.

    Raises
    ------
    UnknownModuleError
        If there is no such module.
    CardError
        If its card is missing or cannot be used.
    UnsupportedModuleError
        If this galsim_hub has no class for modules of its kind.
    """
    location = locate(file_name)
    kind = describe(location.folder).kind
    if kind not in _CLASSES:
        raise UnsupportedModuleError(
            f"Module {location.address} is of kind {kind!r}; this galsim_hub can load "
            f"{', '.join(_CLASSES)}. Update galsim_hub.",
            location.address,
            kind,
        )
    return _CLASSES[kind](location.address, band=band)

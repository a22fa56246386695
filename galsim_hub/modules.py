"""Any hub module by name, as the class that its kind asks for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .errors import BandError, UnsupportedModuleError
from .legacy import describe
from .registry import locate

__all__ = ["load"]


# One line a kind: where its class is. Those of companions start TensorFlow when they are imported.
_CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "galaxy": ("model", "GenerativeGalaxyModel"),
        "particle_mesh": ("particle_mesh", "Simulator"),
        "field_search": ("particle_mesh", "LearnedSearch"),
        "halo_field": ("particle_mesh", "HaloField"),
        "score_prior": ("score", "ScorePrior"),
    }
)


def load(file_name: str | os.PathLike[str], *, band: str | None = None) -> Any:
    """Load any module by its name.

    Parameters
    ----------
    file_name : str or path
        As `GenerativeGalaxyModel` takes it.
    band : str, optional
        The band to draw, for a module of several.

    Returns
    -------
    GenerativeGalaxyModel, particle_mesh.Simulator, LearnedSearch or HaloField, or score.ScorePrior
        For modules of kind ``galaxy``, ``particle_mesh``, ``field_search``, ``halo_field`` and
        ``score_prior``.

    Raises
    ------
    UnknownModuleError
        If there is no such module.
    CardError
        If its card is missing or cannot be used.
    BandError
        If the module has no such band.
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
    place, name = _CLASSES[kind]
    loaded = getattr(importlib.import_module(f".{place}", __package__), name)
    if kind == "galaxy":
        return loaded(location.address, band=band)
    if band is not None:
        raise BandError(
            f"Module {file_name} makes no galaxies and knows of no bands, got band={band!r}. Leave "
            "band out.",
            band,
        )
    return loaded(location.address)

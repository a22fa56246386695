"""Any hub module by name, as the class that its kind asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .errors import BandError, UnsupportedModuleError
from .legacy import describe
from .model import GenerativeGalaxyModel
from .registry import locate

__all__ = ["load"]


def _load_simulator(file_name: str, *, band: str | None = None) -> Any:
    _refuse_band(file_name, band)
    from .particle_mesh import Simulator  # here: it starts TensorFlow

    return Simulator(file_name)


def _load_search(file_name: str, *, band: str | None = None) -> Any:
    _refuse_band(file_name, band)
    from .particle_mesh import LearnedSearch  # here: it starts TensorFlow

    return LearnedSearch(file_name)


def _load_halo_field(file_name: str, *, band: str | None = None) -> Any:
    _refuse_band(file_name, band)
    from .particle_mesh import HaloField  # here: it starts TensorFlow

    return HaloField(file_name)


def _load_score_prior(file_name: str, *, band: str | None = None) -> Any:
    _refuse_band(file_name, band)
    from .score import ScorePrior  # here: it starts TensorFlow

    return ScorePrior(file_name)


def _refuse_band(file_name: str, band: str | None) -> None:
    if band is not None:
        raise BandError(
            f"Module {file_name} makes no galaxies and knows of no bands, got band={band!r}. Leave "
            "band out.",
            band,
        )


# One line a kind.
_CLASSES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "galaxy": GenerativeGalaxyModel,
        "particle_mesh": _load_simulator,
        "field_search": _load_search,
        "halo_field": _load_halo_field,
        "score_prior": _load_score_prior,
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
    return _CLASSES[kind](location.address, band=band)

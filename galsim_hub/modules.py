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


def _load_score_prior(file_name: str, *, band: str | None = None) -> Any:
    if band is not None:
        raise BandError(
            f"Module {file_name} is a score prior and knows of no bands, got band={band!r}. Leave "
            "band out.",
            band,
        )
    from .score import ScorePrior  # here: it starts TensorFlow

    return ScorePrior(file_name)


# One line a kind: particle meshes join here.
_CLASSES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"galaxy": GenerativeGalaxyModel, "score_prior": _load_score_prior}
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
    GenerativeGalaxyModel or galsim_hub.score.ScorePrior
        For modules of kind ``galaxy`` and ``score_prior``.

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

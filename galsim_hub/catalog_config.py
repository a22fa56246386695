"""GalSim's YAML types of a catalogue: what a configuration of COSMOSGalaxy changes to.

::

    modules: [galsim_hub]
    input:
      generative_catalog: { model: 'hub:cosmos', sample: '23.5' }  # was cosmos_catalog
    gal:
      type: GenerativeCOSMOSGalaxy  # was COSMOSGalaxy

All other fields of ``cosmos_catalog`` and ``COSMOSGalaxy`` stay, and ``flux``, ``mag`` with
``zeropoint``, and ``half_light_radius`` pin those. ``GenerativeCatalog`` and
``GenerativeCatalogGalaxy`` are the same type by plainer names, and ``GenerativeCatalogValue`` what
``COSMOSValue`` is. A model's options (``engine``, ``band``, ``on_extrapolate``,
``allow_unverified``) stand beside ``model``.
Galaxies are made a few ahead if ``index`` is constant, comes from a Catalog or a Sequence, or is an
expression of such ``eval_variables``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import galsim
from galsim.config import (
    GetAllParams,
    GetInputObj,
    GetRNG,
    ParseValue,
    RegisterInputType,
    RegisterObjectType,
    RegisterValueType,
    SetDefaultIndex,
)

from .catalog import GenerativeCatalog
from .chromatic import find_generated
from .errors import CatalogError
from .lookahead import coming_bases, is_foreseeable, strip_state, take_stamp
from .model import GenerativeGalaxyModel
from .recipe import Recipe
from .stamp_blocks import AheadLoader

__all__ = ["register"]

_INPUT_TYPE = "generative_catalog"
_OBJECT_TYPES = ("GenerativeCOSMOSGalaxy", "GenerativeCatalogGalaxy", "GenerativeCatalog")
_VALUE_TYPE = "GenerativeCatalogValue"
_OBJECT_OPTIONS = {
    "index": int,
    "gal_type": str,
    "noise_pad_size": float,
    "deep": bool,
    "sersic_prec": float,
    "chromatic": bool,
    "area": float,
    "exptime": float,
    **dict.fromkeys(("flux", "half_light_radius", "mag", "zeropoint"), float),
}


class _CatalogLoader(AheadLoader):
    """Load a catalogue, with the options of its model."""

    def getKwargs(  # noqa: N802 (GalSim's name)
        self, config: dict[str, Any], base: dict[str, Any], logger: Any
    ) -> tuple[dict[str, Any], bool]:
        """Parse the fields of the input, those of the model into a model."""
        of_model = GenerativeGalaxyModel._opt_params
        options = {**GenerativeCatalog._opt_params, "model": str, **of_model}
        fields, is_safe = GetAllParams(config, base, opt=options)
        address = fields.pop("model", "hub:cosmos")
        given = {name: fields.pop(name) for name in of_model if name in fields}
        return {**fields, "model": GenerativeGalaxyModel(address, **given)}, is_safe


def register() -> None:
    """Teach GalSim's configuration files the input, its objects and its value."""
    # No proxy, as for a model: a worker's rng advances as that of a single process.
    RegisterInputType(_INPUT_TYPE, _CatalogLoader(GenerativeCatalog, use_proxy=False))
    for object_type in _OBJECT_TYPES:
        RegisterObjectType(object_type, _build_galaxy, input_type=_INPUT_TYPE)
    RegisterValueType(_VALUE_TYPE, _get_value, [float, int, str, None], input_type=_INPUT_TYPE)


def _build_galaxy(
    config: dict[str, Any],
    base: dict[str, Any],
    ignore: list[str],
    gsparams: dict[str, Any],
    logger: Any,
) -> tuple[Any, bool]:
    """Build a galaxy of a catalogue from its entry in a configuration, as GalSim asks for it."""
    catalog = GetInputObj(_INPUT_TYPE, config, base, config["type"])
    if "index" in config:
        SetDefaultIndex(config, catalog.nobjects)
    params, is_safe = GetAllParams(config, base, opt=_OBJECT_OPTIONS, ignore=[*ignore, "num"])
    if "index" not in params:
        params["rng"] = GetRNG(config, base, logger, config["type"])
        is_safe = False
    galaxy = catalog.makeGalaxy(
        gsparams=galsim.GSParams(**gsparams) if gsparams else None, **params
    )
    if _is_regular(config, base):
        generated = find_generated(galaxy)
        assert generated is not None  # the catalogue has no others
        ahead = _foresee(config, base, catalog)
        generated.set_stamp(take_stamp(catalog.model, generated.recipe, lambda: ahead))
    logger.debug("obj %d: %s = %s", base.get("obj_num", 0), config["type"], galaxy)
    return galaxy, is_safe


def _is_regular(config: dict[str, Any], base: dict[str, Any]) -> bool:
    """Tell whether the galaxies of the objects to come are known."""
    return (
        base.get("index_key") == "obj_num"
        and isinstance(config.get("num", 0), int)
        and is_foreseeable(config.get("index"), base.get("eval_variables"))
    )


def _foresee(
    config: dict[str, Any], base: dict[str, Any], catalog: GenerativeCatalog
) -> Iterator[Recipe]:
    """Yield the recipes of the next objects, as far as they can be read."""
    for then in coming_bases(base):
        coming = {"index": strip_state(config["index"])}
        try:
            index, _ = ParseValue(coming, "index", then, int)
            yield catalog.recipe(index)
        except (CatalogError, galsim.GalSimConfigError, ValueError, TypeError, IndexError):
            return  # the end of a catalogue, or a bad row, which its own object reports


def _get_value(config: dict[str, Any], base: dict[str, Any], value_type: type) -> tuple[Any, bool]:
    catalog = GetInputObj(_INPUT_TYPE, config, base, _VALUE_TYPE)
    params, is_safe = GetAllParams(config, base, req={"key": str, "index": int}, ignore=["num"])
    return catalog.getValue(**params), is_safe

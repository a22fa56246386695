"""GalSim's YAML types: the input ``generative_model``, the object ``GenerativeModelGalaxy``.

::

    modules: [galsim_hub]
    input:
      generative_model: { file_name: 'hub:cosmos' }
    gal:
      type: GenerativeModelGalaxy
      flux_radius: { type: Random, min: 4, max: 16 }
      mag_auto: 23.5
      zphot: 0.7

``generative_model`` may be a list of models; ``num`` then picks one. A galaxy's seed is one
64-bit draw of its object's rng, unless ``seed`` or ``obj_id`` is given. If that and all
conditions are constant, come from a Catalog or a Sequence, or are expressions of such, galaxies are
made a few ahead.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import galsim
from galsim.config import (
    GetAllParams,
    GetInputObj,
    GetRNG,
    ParseValue,
    RegisterInputType,
    RegisterObjectType,
)

from .errors import ConditionError, GalSimHubError, suggest
from .latents import seed_from_id
from .lookahead import coming_bases, is_foreseeable, strip_state, take_stamp
from .model import GenerativeGalaxyModel
from .profile import GenerativeGalaxy
from .recipe import Recipe
from .spec import InputSpec
from .stamp_blocks import AheadLoader

__all__ = ["register"]

_INPUT_TYPE = "generative_model"
_OBJECT_TYPE = "GenerativeModelGalaxy"
# As what an id is parsed: an expression keeps its type, and any column can be text. GalSim checks
# the type only the first time, so each value type has one.
_KINDS_OF_ID = {"Eval": None, "Catalog": str}
_UNPARSABLE = (galsim.GalSimConfigError, ValueError, TypeError)


def register() -> None:
    """Teach GalSim's configuration files the input and the object type."""
    # No proxy: a model is an address and a card, and must run in the worker that draws.
    # So a worker's rng advances exactly as that of a single process.
    RegisterInputType(_INPUT_TYPE, AheadLoader(GenerativeGalaxyModel, use_proxy=False))
    RegisterObjectType(_OBJECT_TYPE, _build_galaxy, input_type=_INPUT_TYPE)


def _build_galaxy(
    config: dict[str, Any],
    base: dict[str, Any],
    ignore: list[str],
    gsparams: dict[str, Any],
    logger: Any,
) -> tuple[GenerativeGalaxy, bool]:
    """Build a galaxy from its entry in a configuration, as GalSim asks for it."""
    model = GetInputObj(_INPUT_TYPE, config, base, _OBJECT_TYPE)
    params, is_safe = _parse_params(config, base, ignore, model)
    if "seed" not in params and "obj_id" not in params:
        params["rng"] = GetRNG(config, base, logger, _OBJECT_TYPE)
        is_safe = False
    galaxy = GenerativeGalaxy(
        model, gsparams=galsim.GSParams(**gsparams) if gsparams else None, **params
    )
    if _is_regular(config, base, model):
        ahead = _foresee(config, base, ignore, model)
        galaxy.set_stamp(take_stamp(model, galaxy.recipe, lambda: ahead))
    logger.debug("obj %d: %s = %s", base.get("obj_num", 0), _OBJECT_TYPE, galaxy)
    return galaxy, is_safe


def _parse_params(
    config: dict[str, Any], base: dict[str, Any], ignore: list[str], model: GenerativeGalaxyModel
) -> tuple[dict[str, Any], bool]:
    """Parse the conditions in the model's order, then all else in alphabetical order."""
    parsed: dict[str, tuple[Hashable, bool]] = {
        condition.name: _parse_condition(config, base, condition, model.spec.label)
        for condition in model.spec.inputs
    }
    if "obj_id" in config:
        parsed["obj_id"] = _parse_id(config, base)
    # GalSim remembers the fields of the first model, and another `num` may have others.
    config.pop("_get", None)
    options = {k: v for k, v in GenerativeGalaxy._opt_params.items() if k != "obj_id"}
    params, is_safe = GetAllParams(config, base, opt=options, ignore=[*ignore, "num", *parsed])
    params.update({name: value for name, (value, _) in parsed.items()})
    return params, is_safe and all(safe for _, safe in parsed.values())


def _is_regular(config: dict[str, Any], base: dict[str, Any], model: GenerativeGalaxyModel) -> bool:
    """Tell whether the galaxies of the objects to come are known."""
    which = [name for name in ("seed", "obj_id") if name in config]
    return (
        len(which) == 1
        and base.get("index_key") == "obj_num"
        and isinstance(config.get("num", 0), int)
        and all(
            is_foreseeable(config[name], base.get("eval_variables"))
            for name in (*model.quantities, *which)
        )
    )


def _foresee(
    config: dict[str, Any], base: dict[str, Any], ignore: list[str], model: GenerativeGalaxyModel
) -> Iterator[Recipe]:
    """Yield the recipes of the next objects, as far as they can be read."""
    names = {*model.quantities, "seed", "obj_id"} & set(config)
    for then in coming_bases(base):
        coming = {name: strip_state(config[name]) for name in names}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # given when the object's turn comes
                params, _ = _parse_params(coming, then, ignore, model)
                yield GenerativeGalaxy(model, **params).recipe
        except (GalSimHubError, *_UNPARSABLE, IndexError, KeyError):
            return  # the end of a catalogue, or a bad row, which its own object reports


def _parse_condition(
    config: dict[str, Any], base: dict[str, Any], condition: InputSpec, module: str
) -> tuple[float, bool]:
    name = condition.name
    if name not in config:
        raise ConditionError(
            f"Field {name!r} is missing in the {_OBJECT_TYPE} of module {module}."
            f"{suggest(name, config)} Add it (trained range {condition.range_text}).",
            name,
        )
    try:
        return ParseValue(config, name, base, float)
    except _UNPARSABLE as error:
        raise ConditionError(
            f"Field {name!r} of the {_OBJECT_TYPE} of module {module} gives no number: {error}. "
            f"Give it a number or a value type (trained range {condition.range_text}).",
            name,
            config[name],
        ) from error


def _parse_id(config: dict[str, Any], base: dict[str, Any]) -> tuple[Hashable, bool]:
    """Parse an id, whatever its type; a text that reads as an integer is one."""
    entry = config["obj_id"]
    kind = entry.get("type") if isinstance(entry, Mapping) else "Eval"
    if kind in _KINDS_OF_ID:
        value, is_safe = ParseValue(config, "obj_id", base, _KINDS_OF_ID[kind])
    else:
        try:
            value, is_safe = ParseValue(config, "obj_id", base, int)
        except _UNPARSABLE:
            value, is_safe = ParseValue(config, "obj_id", base, str)
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
        value = int(value)
    value = tuple(value) if isinstance(value, list) else value
    seed_from_id(value)  # or GalSim would go on with None
    return value, is_safe

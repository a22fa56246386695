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
from collections.abc import Hashable, Iterator
from typing import Any

import galsim
import numpy as np
from galsim.config import (
    CheckAllParams,
    GetAllParams,
    GetInputObj,
    GetRNG,
    ParseValue,
    RegisterInputType,
    RegisterObjectType,
    SetDefaultIndex,
)
from galsim.config.util import ParseExtendedKey
from galsim.config.value import valid_value_types

from .errors import ConditionError, GalSimHubError, SeedError, suggest
from .latents import check_seed, seed_from_id
from .lookahead import coming_bases, is_foreseeable, strip_state, take_stamp
from .model import GenerativeGalaxyModel
from .profile import GenerativeGalaxy
from .recipe import Recipe
from .spec import InputSpec
from .stamp_blocks import AheadLoader

__all__ = ["register"]

_INPUT_TYPE = "generative_model"
_OBJECT_TYPE = "GenerativeModelGalaxy"
# What a value type is asked for, the first of these that it gives: a number would be rounded.
_ASKED_FOR = (None, str, int, float)
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")  # as Python writes it: 007 and +7 are names
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
    """Parse the conditions in the model's order, then the id, the options and the seed."""
    parsed: dict[str, tuple[Hashable, bool]] = {
        condition.name: _parse_condition(config, base, condition, model.spec.label)
        for condition in model.spec.inputs
    }
    if "obj_id" in config:
        parsed["obj_id"] = _parse_id(config, base)
    # GalSim remembers the fields of the first model, and another `num` may have others.
    config.pop("_get", None)
    options = {k: v for k, v in GenerativeGalaxy._opt_params.items() if k not in ("obj_id", "seed")}
    known = [*ignore, "num", "seed", *parsed]
    params, is_safe = GetAllParams(config, base, opt=options, ignore=known)
    if "seed" in config:
        parsed["seed"] = _parse_seed(config, base)
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
    value, is_safe = _read_field(config, "obj_id", base)
    seed_from_id(value)  # or GalSim would go on with None
    return value, is_safe


def _parse_seed(config: dict[str, Any], base: dict[str, Any]) -> tuple[int, bool]:
    value, is_safe = _read_field(config, "seed", base)
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return check_seed(value), is_safe


def _read_field(config: dict[str, Any], field: str, base: dict[str, Any]) -> tuple[Any, bool]:
    try:
        return _parse_as_is(config, field, base)
    except _UNPARSABLE as error:
        raise SeedError(
            f"Field {field!r} of the {_OBJECT_TYPE} cannot be read: {error}. Give a value, a "
            "Catalog's column, a Sequence, a List or an expression.",
            config[field],
        ) from error


def _parse_as_is(config: Any, key: Any, base: dict[str, Any]) -> tuple[Any, bool]:
    """Parse a value of any type, which stays of that type: GalSim makes 1 of 1.5, 7 of '007'."""
    entry = config[key]
    if entry == "":
        return entry, True
    if isinstance(entry, str) and entry.startswith("@"):
        entry = config[key] = {"type": "Current", "key": entry[1:]}
    if isinstance(entry, dict) and entry.get("type") in valid_value_types:
        entry["_gen_fn"] = _generate_as_is  # in place of GalSim's, which we ask in turn
    value, is_safe = ParseValue(config, key, base, None)
    if isinstance(entry, dict) and entry["type"] == "Catalog" and _WHOLE.fullmatch(str(value)):
        # All of an ASCII file is text, which a truth column of it has to stay.
        is_fits = GetInputObj("catalog", entry, base, "Catalog").isFits()
        value = value if is_fits else int(value)
    return tuple(value) if isinstance(value, list) else value, is_safe


def _generate_as_is(config: dict[str, Any], base: dict[str, Any], _: None) -> tuple[Any, bool]:
    kind = config["type"]
    if kind == "Current":
        target, key = ParseExtendedKey(base, config["key"])
        value, is_safe = _parse_as_is(target, key, base)
        return value, is_safe and target is not base
    if kind in ("List", "Sum"):
        return _generate_from_items(config, base)
    generate, known = valid_value_types[kind]
    asked_for = next((each for each in _ASKED_FOR if each in known), known[0])
    if kind == "Sequence":
        config.pop("_get", None)  # which remembers the type of the last one
        given = [_parse_as_is(config, k, base)[0] for k in ("first", "last", "step") if k in config]
        asked_for = int if all(isinstance(each, int) for each in given) else float
    value, is_safe = generate(config, base, asked_for)
    return value.item() if isinstance(value, np.generic) else value, is_safe


def _generate_from_items(config: dict[str, Any], base: dict[str, Any]) -> tuple[Any, bool]:
    options = {"index": int} if config["type"] == "List" else {}
    CheckAllParams(config, req={"items": list}, opt=options)
    items, is_safe = ParseValue(config, "items", base, list)
    if config["type"] == "Sum":
        terms = [_parse_as_is(items, index, base) for index in range(len(items))]
        return sum(value for value, _ in terms), is_safe and all(safe for _, safe in terms)
    SetDefaultIndex(config, len(items))
    index, is_index_safe = ParseValue(config, "index", base, int)
    if not 0 <= index < len(items):
        raise galsim.GalSimConfigError(f"its List has {len(items)} items, not number {index}")
    value, is_item_safe = _parse_as_is(items, index, base)
    return value, is_safe and is_index_safe and is_item_safe

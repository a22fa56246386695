"""GalSim's YAML value type that says what a generated galaxy is: for truth catalogues.

::

    output:
      truth:
        columns:
          zphot: { type: GenerativeTruth, key: zphot }
          seed: { type: GenerativeTruth, key: seed }
          module: { type: GenerativeTruth, key: module }
          sha256: { type: GenerativeTruth, key: sha256 }

``key`` is a condition of the module's, one of those, or ``pinned_flux`` or
``pinned_half_light_radius``. The galaxy is looked for in what was built for the field ``gal``, or
for the field that ``object`` names; where that is no generated one, ``default`` is written.
"""

from __future__ import annotations

import math
from typing import Any

import galsim
from galsim.config import GetAllParams, GetCurrentValue, ParseValue, RegisterValueType

from .chromatic import find_generated
from .errors import CatalogError, suggest
from .profile import GenerativeGalaxy

__all__ = ["describe_galaxy", "register"]

_VALUE_TYPE = "GenerativeTruth"
_TEXTS = ("seed", "module", "sha256", "band")  # keys whose values are text; all others are floats


def register() -> None:
    """Teach GalSim's configuration files the value type."""
    RegisterValueType(_VALUE_TYPE, _get_truth, [float, int, str, None])


def describe_galaxy(galaxy: GenerativeGalaxy) -> dict[str, float | str]:
    """Say what makes a galaxy again: with these, `GenerativeGalaxy` gives the same bits.

    Parameters
    ----------
    galaxy : GenerativeGalaxy

    Returns
    -------
    dict of str to float or str
        Its conditions, ``seed``, ``module`` (name and version), ``sha256`` (of the module),
        ``band``, ``pinned_flux`` and ``pinned_half_light_radius`` (NaN if they are the model's).
        The seed is text, for tables have no column of 64 bits without a sign.
    """
    model: Any = galaxy.model
    pinned = galaxy.pins.given()
    return {
        **galaxy.conditions,
        **model.fixed_conditions,
        "seed": "" if galaxy.seed is None else str(galaxy.seed),
        "module": model.spec.label,
        "sha256": model.sha256,
        "band": model.band or "",
        "pinned_flux": pinned.get("flux", math.nan),
        "pinned_half_light_radius": pinned.get("half_light_radius", math.nan),
    }


def _get_truth(
    config: dict[str, Any], base: dict[str, Any], _: type | None
) -> tuple[float | str, bool]:
    params, _ = GetAllParams(
        config, base, req={"key": str}, opt={"object": str}, ignore=["default"]
    )
    key, field = params["key"], params.get("object", "gal")
    galaxy = find_generated(GetCurrentValue(field, base))
    if galaxy is None:
        if "default" in config:
            return _default(key, config, base), False
        raise CatalogError(
            f"There is no generated galaxy in the field {field!r}, which {_VALUE_TYPE} was to "
            "describe. Name the field of one as object, or give what to write instead as default.",
            "object",
            field,
        )
    truth = describe_galaxy(galaxy)
    if key not in truth:
        raise CatalogError(
            f"{_VALUE_TYPE} knows no key {key!r}: known are {', '.join(truth)}."
            f"{suggest(key, truth)}",
            "key",
            key,
        )
    return _no_empty_text(truth[key]), False


def _no_empty_text(value: float | str) -> float | str:
    """Blank what is empty: a FITS column without a single character cannot be written."""
    return " " if value == "" else value


def _default(key: str, config: dict[str, Any], base: dict[str, Any]) -> float | str:
    """Give the default as what it stands for: a column of a table has one type."""
    kind: type[float | str] = str if key in _TEXTS else float
    value = config["default"]
    try:
        if value != "":  # which GalSim's parser does not bear
            value, _ = ParseValue(config, "default", base, kind)
        return _no_empty_text(kind(value))
    except (galsim.GalSimConfigError, TypeError, ValueError) as error:
        raise CatalogError(
            f"The default of the {_VALUE_TYPE} of {key!r} must be a {kind.__name__}, as the key's "
            f"values are, got {value!r}. Give one such as {'none' if kind is str else -1}.",
            "default",
            value,
        ) from error

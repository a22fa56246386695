"""The recipes of an ablation's variants, and what tells whether a result is theirs."""

import dataclasses
import hashlib
import json
import pathlib
import typing

from ..config import AblationConfig, Config, ExportConfig, VariantConfig
from ..errors import ConfigError
from ..recipe_file import changed

NOTHING = ExportConfig("", 0, "")  # variants are not exported


def recipe_of(config: AblationConfig, variant: VariantConfig) -> Config:
    """Return a variant's recipe, in a workdir of its own.

    Raises
    ------
    ConfigError
        If a change does not fit, or changes the stamps, on which all variants must agree.
    """
    try:
        recipe = changed(config.base, variant.set)
    except ConfigError as error:
        raise ConfigError(f"Variant {variant.name!r}: {error}") from error
    if recipe.data != config.base.data:
        raise ConfigError(
            f"Variant {variant.name!r} changes the stamp set; its figures could not be compared "
            "with the base's: change base.data instead."
        )
    folder = pathlib.Path(config.base.workdir) / variant.name.replace(" ", "_")
    return dataclasses.replace(recipe, workdir=str(folder))


def identity_of(config: AblationConfig, variant: VariantConfig) -> str:
    """Return a hash of what a recipe says of a variant, wherever its files are.

    Entries at their defaults do not count, so that an option that joins the recipes later does not
    make old figures those of another recipe.
    """
    recipe = recipe_of(config, variant)
    data = dataclasses.replace(recipe.data, directory="", catalogue="", psfs=None)
    nameless = dataclasses.replace(recipe, workdir="", data=data, export=NOTHING)
    tree = [told(nameless), variant.switch, config.draws, told(config.base.fit_vae)]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def told(section: typing.Any) -> dict[str, typing.Any]:
    """Return the entries of a recipe that are not at their defaults."""
    entries = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            entries[field.name] = told(value)
        elif value != field.default:
            entries[field.name] = value
    return entries


def chosen(config: AblationConfig, names: list[str] | None) -> list[VariantConfig]:
    """Return the variants of these names, by default all, after a look at every recipe.

    Raises
    ------
    ConfigError
        If a name is unknown or a recipe is not sound.
    """
    known = {variant.name: variant for variant in config.variants}
    for variant in config.variants:
        recipe_of(config, variant)
    if unknown := sorted(set(names or []) - set(known)):
        raise ConfigError(f"No variants named {unknown}; the recipe has {list(known)}.")
    return [known[name] for name in names or known]

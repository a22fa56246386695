"""Read the recipe of a module from its YAML file, and change entries of one."""

import dataclasses
import pathlib
import typing

import yaml

from .config import (
    AblationConfig,
    Config,
    ConvergenceConfig,
    ScoreConfig,
)
from .errors import ConfigError
from .galaxies_config import GalaxyMapsConfig
from .mesh_config import HaloConfig, RimConfig, SimulatorConfig
from .parsing import apply, build

Recipe = (
    Config
    | SimulatorConfig
    | RimConfig
    | HaloConfig
    | ScoreConfig
    | ConvergenceConfig
    | GalaxyMapsConfig
    | AblationConfig
)

KINDS: dict[str, type] = {
    "galaxy": Config,
    "particle_mesh": SimulatorConfig,
    "cosmic_rim": RimConfig,
    "score_prior": ScoreConfig,
    "halo_field": HaloConfig,
    "convergence_maps": ConvergenceConfig,
    "galaxy_maps": GalaxyMapsConfig,
    "ablation": AblationConfig,
}


def load_config(path: str | pathlib.Path, overrides: typing.Sequence[str] = ()) -> typing.Any:
    """Read a recipe and apply ``section.key=value`` overrides.

    The recipe's entry `kind` is one of `KINDS`, by default ``galaxy``.

    Raises
    ------
    ConfigError
        If the file is missing or a key or a value does not fit.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        known = (
            ", ".join(str(p) for p in sorted(path.parent.glob("*.yaml"))) or "none in that folder"
        )
        raise ConfigError(f"No configuration file at {path}. Known ones: {known}.")
    try:
        tree = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    for override in overrides:
        apply(tree, override)
    kind = tree.get("kind", "galaxy") if isinstance(tree, dict) else "galaxy"
    if kind not in KINDS:
        raise ConfigError(f"{path}: kind must be one of {sorted(KINDS)}, got {kind!r}.")
    return build(KINDS[kind], tree, str(path))


def changed(config: Config, overrides: typing.Sequence[str]) -> Config:
    """Return a galaxy's recipe with some entries changed.

    Raises
    ------
    ConfigError
        If a key or a value does not fit.
    """
    tree = dataclasses.asdict(config)
    for override in overrides:
        apply(tree, override)
    return build(Config, tree, "changed recipe")

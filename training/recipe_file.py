"""Read the recipe of a module from its YAML file, and change entries of one."""

import dataclasses
import pathlib
import types
import typing

import yaml

from .config import (
    AblationConfig,
    Config,
    ConvergenceConfig,
    RimConfig,
    ScoreConfig,
    SimulatorConfig,
)
from .errors import ConfigError

KINDS: dict[str, type] = {
    "galaxy": Config,
    "particle_mesh": SimulatorConfig,
    "cosmic_rim": RimConfig,
    "score_prior": ScoreConfig,
    "convergence_maps": ConvergenceConfig,
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
        _override(tree, override)
    kind = tree.get("kind", "galaxy") if isinstance(tree, dict) else "galaxy"
    if kind not in KINDS:
        raise ConfigError(f"{path}: kind must be one of {sorted(KINDS)}, got {kind!r}.")
    return _build(KINDS[kind], tree, str(path))


def changed(config: Config, overrides: typing.Sequence[str]) -> Config:
    """Return a galaxy's recipe with some entries changed.

    Raises
    ------
    ConfigError
        If a key or a value does not fit.
    """
    tree = dataclasses.asdict(config)
    for override in overrides:
        _override(tree, override)
    return _build(Config, tree, "changed recipe")


def _override(tree: object, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"Override {override!r} must look like section.key=value.")
    *parents, leaf = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {}) if isinstance(tree, dict) else None
    if not isinstance(tree, dict):
        raise ConfigError(f"Override {override!r} points below a value that is no section.")
    try:
        tree[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"The value of override {override!r} is not YAML: {error}") from error


def _build(cls: type, tree: object, where: str) -> typing.Any:
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping for {cls.__name__}, got {tree!r}.")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(tree) - set(fields)):
        raise ConfigError(f"{where}: unknown keys {unknown}; {cls.__name__} has {sorted(fields)}.")
    hints = typing.get_type_hints(cls)
    values = {k: _convert(hints[k], v, f"{where}: {k}") for k, v in tree.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {cls.__name__} is incomplete: {error}.") from error


def _convert(hint: typing.Any, value: object, where: str) -> object:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    hint = next(o for o in options if o is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    origin = typing.get_origin(hint) or hint
    if origin is tuple and isinstance(value, list):
        element = typing.get_args(hint)[0]
        return tuple(_convert(element, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is float and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    if not isinstance(value, origin) or (isinstance(value, bool) and origin is not bool):
        raise ConfigError(f"{where}: expected {hint}, got {value!r}.")
    return value

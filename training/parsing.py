"""From the text of a recipe to dataclasses, with errors that say which entry does not fit."""

import argparse
import collections.abc
import dataclasses
import types
import typing

import yaml

from . import limits
from .errors import ConfigError


def at_least(least: int) -> collections.abc.Callable[[str], int]:
    """Return what reads a whole number of the command line, refusing those below `least`."""

    def whole_number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, got {value}")
        return value

    return whole_number


def apply(tree: object, override: str) -> None:
    """Set a value of a nested mapping by ``section.key=value``.

    Raises
    ------
    ConfigError
        If it does not look like that, or points below a value.
    """
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


def build(cls: type, tree: object, where: str) -> typing.Any:
    """Make a dataclass of a mapping, and those of its sections.

    Raises
    ------
    ConfigError
        If a key or a value does not fit; `where` says of which file.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping for {cls.__name__}, got {tree!r}.")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(tree) - set(fields)):
        raise ConfigError(f"{where}: unknown keys {unknown}; {cls.__name__} has {sorted(fields)}.")
    hints = typing.get_type_hints(cls)
    values = {k: _convert(hints[k], v, f"{where}: {k}") for k, v in tree.items()}
    limits.check(cls.__name__, values, where)
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
        return build(typing.cast(type, hint), value, where)
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

"""The installed package holds every part of the source tree that belongs in it."""

import importlib
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_subpackage_is_listed():
    listed = set(SETTINGS["tool"]["setuptools"]["packages"]) - {"galsim_hub.hub_modules"}
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "galsim_hub").rglob("__init__.py")
    }
    assert listed == found


def test_the_installed_command_is_there():
    module, _, function = SETTINGS["project"]["scripts"]["galsim-hub"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_scaffolds_are_package_data():
    assert "templates/*" in SETTINGS["tool"]["setuptools"]["package-data"]["galsim_hub"]


def test_published_modules_are_package_data():
    setuptools = SETTINGS["tool"]["setuptools"]
    assert setuptools["package-dir"] == {"galsim_hub.hub_modules": "hub_modules"}
    assert setuptools["package-data"]["galsim_hub.hub_modules"] == ["**/*"]


def test_every_dependency_is_pinned_exactly():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    assert all(line.count("==") == 1 for line in pins)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins}
    asked = SETTINGS["project"]["dependencies"]
    for extra in SETTINGS["project"]["optional-dependencies"].values():
        asked = asked + extra
    names = {_distribution(requirement) for requirement in asked} - {"galsim-hub"}
    assert names <= pinned


def _distribution(requirement: str) -> str:
    name = requirement
    for mark in "[<>=":
        name = name.split(mark)[0]
    return name.lower().replace("_", "-")

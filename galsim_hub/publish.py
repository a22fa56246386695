"""Make the index of a folder of modules, and notice when it is stale.

``index.json`` is generated from the cards and from ``registry.yaml``, which says what cards cannot
say because a released folder never changes: mirrors, aliases and deprecations. Any folder or
static host that serves the modules as they are, with the index beside them, is a mirror.
``galsim-hub index FOLDER [--check]`` writes or checks it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import RegistryError
from .hashing import hash_file
from .index import INDEX_NAME, INDEX_VERSION, parse_index
from .spec import CARD_NAME, SPEC_VERSION, read_spec

__all__ = ["build_index", "check_index", "format_index", "unfinished_lines", "write_index"]

_SETTINGS_NAME = "registry.yaml"


def build_index(root: Path) -> dict[str, Any]:
    """Build the index of a folder of modules.

    Parameters
    ----------
    root : pathlib.Path
        Holds ``NAME/VERSION/card.md``, and perhaps ``registry.yaml``.

    Returns
    -------
    dict

    Raises
    ------
    CardError
        If a card cannot be used.
    CorruptedModuleError
        If a folder's files are not those of its card.
    RegistryError
        If there is no such folder, a module's is not named as its card says or its card has
        something left to do, or the settings cannot be used.
    """
    if not root.is_dir():
        raise RegistryError(
            f"There is no folder {root}. Give one of NAME/VERSION folders.", str(root)
        )
    settings = _read_settings(root / _SETTINGS_NAME)
    cards = [card for card in root.glob(f"*/*/{CARD_NAME}") if _is_version(card.parent.name)]
    folders = sorted(
        (card.parent for card in cards), key=lambda folder: (folder.parent.name, int(folder.name))
    )
    modules = [_describe(folder, settings) for folder in folders]
    index = {
        "index_version": INDEX_VERSION,
        "aliases": settings.get("aliases") or {},
        "modules": modules,
    }
    parse_index(format_index(index).encode(), str(root / INDEX_NAME))
    return index


def format_index(index: Mapping[str, Any]) -> str:
    """Write an index as text.

    Parameters
    ----------
    index : mapping

    Returns
    -------
    str
        Equal indexes give equal text.
    """
    return json.dumps(index, indent=1, ensure_ascii=False) + "\n"


def write_index(root: Path, *, allow_changed: bool = False) -> Path:
    """Write the index of a folder of modules into it.

    Parameters
    ----------
    root : pathlib.Path
    allow_changed : bool, default: False
        Whether a version may have another program than the index that is there says, which is
        right only if nobody has that version yet.

    Returns
    -------
    pathlib.Path
        The index.

    Raises
    ------
    RegistryError
        If a version's program has changed; and as `build_index` does.
    """
    path, index = root / INDEX_NAME, build_index(root)
    if changed := [] if allow_changed else _changed(path, index):
        raise RegistryError(
            f"The program of {', '.join(changed)} is not the one that {path} lists, and a released "
            "version never changes. Make it the next version; if nobody has this one yet, use "
            "'galsim-hub index FOLDER --allow-changed'.",
            str(path),
        )
    path.write_text(format_index(index), encoding="utf-8")
    return path


def check_index(root: Path) -> None:
    """Check that a folder's index is the one that its cards give.

    Parameters
    ----------
    root : pathlib.Path

    Raises
    ------
    RegistryError
        If the index is missing or stale.
    """
    path = root / INDEX_NAME
    if not path.is_file() or path.read_text("utf-8") != format_index(build_index(root)):
        raise RegistryError(
            f"Index {path} is not the one that the modules beside it give. Run 'make index' and "
            "commit what it writes.",
            str(path),
        )


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise RegistryError(f"{path} is not valid YAML: {error}. Correct it.", str(path)) from error
    known = {"mirrors", "aliases", "deprecated"}
    if not isinstance(settings, dict) or not set(settings) <= known:
        raise RegistryError(
            f"{path} must be a mapping with the keys {', '.join(sorted(known))}, got {settings!r}. "
            "Correct it.",
            str(path),
        )
    return settings


def unfinished_lines(card: Path) -> list[int]:
    """Find the lines of a card that say that something is left to do.

    Parameters
    ----------
    card : pathlib.Path

    Returns
    -------
    list of int
        Their numbers, from 1.
    """
    lines = card.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if "TODO" in line]


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _changed(path: Path, index: Mapping[str, Any]) -> list[str]:
    """Return the labels of versions whose program is not the one that a file lists."""
    try:
        before = parse_index(path.read_bytes(), str(path)).releases
    except (FileNotFoundError, RegistryError):  # what cannot be read has promised nothing
        return []
    modules = index["modules"]
    identities = {f"{entry['name']}@{entry['version']}": entry["identity"] for entry in modules}
    return [
        release.label
        for release in before
        if identities.get(release.label, release.identity) != release.identity
    ]


def _describe(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    spec = read_spec(folder)
    spec.verify(folder)
    if spec.label != f"{folder.parent.name}@{folder.name}":
        raise RegistryError(
            f"Folder {folder} holds {spec.label}. Name it {spec.name}/{spec.version}.", str(folder)
        )
    if unfinished := unfinished_lines(folder / CARD_NAME):
        raise RegistryError(
            f"The card of {spec.label} has something left TODO in line "
            f"{', '.join(map(str, unfinished))}. Finish it first.",
            str(folder),
        )
    relative = f"{spec.name}/{spec.version}/"
    return {
        "name": spec.name,
        "version": spec.version,
        "kind": spec.kind,
        "summary": spec.summary,
        "licence": spec.licence,
        "spec_version": SPEC_VERSION,
        "identity": spec.sha256,
        "urls": [relative, *(base + relative for base in settings.get("mirrors") or ())],
        "deprecated": (settings.get("deprecated") or {}).get(spec.label),
        "files": {
            path.relative_to(folder).as_posix(): _describe_file(path) for path in _files(folder)
        },
    }


def _files(folder: Path) -> Iterable[Path]:
    hidden = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in hidden if not path.name.startswith("."))


def _describe_file(path: Path) -> dict[str, Any]:
    return {"sha256": hash_file(path), "size": path.stat().st_size}


if __name__ == "__main__":
    sys.exit("Index a folder by: galsim-hub index FOLDER [--check]")

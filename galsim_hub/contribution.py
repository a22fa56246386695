"""From a trained network to a module that can be published.

`scaffold` writes a first module that works, `complete` what a machine can write of a module,
and `examine` looks at it as the checks of a contribution do.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import re
import string
from pathlib import Path
from typing import Any

import yaml

from .contracts import Finding, measure
from .errors import CardError, ContributionError, CorruptedModuleError, GalSimHubError
from .figures import contact_sheet
from .golden import RELATIVE_TOLERANCE, spread_conditions, write_golden
from .hashing import hash_file
from .model import GenerativeGalaxyModel
from .publish import unfinished_lines
from .registries import bundled_index, is_released
from .spec import CARD_NAME, SPEC_VERSION, ModuleSpec, read_spec

__all__ = ["LARGEST_MODULE", "OPEN_LICENCES", "complete", "examine", "scaffold"]

LARGEST_MODULE = 100_000_000  # [byte]: what code hosts accept as a file
OPEN_LICENCES = (
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "GPL-3.0-or-later",
    "MIT",
)
GOLDEN_NAME = "golden.npz"
COVER_NAME = "cover.png"
N_COVER = 50
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NOT_PROGRAM = (CARD_NAME, GOLDEN_NAME, COVER_NAME)


def scaffold(name: str, parent: Path) -> Path:
    """Write a first module that draws exponential discs, to be made into another.

    Parameters
    ----------
    name : str
        Of small letters, digits, ``-`` and ``_``.
    parent : pathlib.Path
        Where its folder is made.

    Returns
    -------
    pathlib.Path
        The folder, with ``build.py`` and ``1/card.md``.

    Raises
    ------
    ContributionError
        If the name cannot be one, or the folder is there already.
    """
    folder = parent / name
    if not _NAME.fullmatch(name):
        raise ContributionError(
            f"A module cannot be called {name!r}. Use small letters, digits, - and _, and a "
            "letter or digit first.",
            str(folder),
        )
    if folder.exists():
        raise ContributionError(
            f"{folder} is there already. Choose another name or folder.", str(folder)
        )
    (folder / "1").mkdir(parents=True)
    for template, path in (
        ("card.md", folder / "1" / CARD_NAME),
        ("build.py", folder / "build.py"),
    ):
        path.write_text(_fill_template(template, name), encoding="utf-8")
    return folder


def complete(folder: Path) -> list[Path]:
    """Write what a machine can write: the hashes in the card, golden sample and cover.

    Parameters
    ----------
    folder : pathlib.Path
        A version's folder, with a SavedModel and a card. It must not be released yet: the
        golden sample is made anew.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    ContributionError
        If there is no SavedModel, or the version was released.
    CardError
        If the card is not valid beside its hashes.
    """
    _require_unreleased_program(folder)
    card, golden = folder / CARD_NAME, folder / GOLDEN_NAME
    _write_entry(card, "files", {name: hash_file(folder / name) for name in _program_files(folder)})
    # An empty entry would not be a valid one.
    _write_entry(card, "golden", None)
    spec = read_spec(folder)
    write_golden(folder, spec, golden)
    entry = {"file": GOLDEN_NAME, "sha256": hash_file(golden)}
    _write_entry(card, "golden", entry | {"relative_tolerance": RELATIVE_TOLERANCE})
    written = [card, golden]
    if spec.kind == "galaxy":
        _draw_cover(folder, spec)
        written.append(folder / COVER_NAME)
    return written


def examine(folder: Path) -> list[Finding]:
    """Look at a module as the checks of a contribution do.

    Parameters
    ----------
    folder : pathlib.Path
        A version's folder.

    Returns
    -------
    list of Finding
        The program is run, and its contracts measured, only if all before that holds.

    Raises
    ------
    EngineError
        If TensorFlow, which looks through the program, is not here.
    """
    try:
        spec = read_spec(folder)
    except CardError as error:
        return [Finding("card", str(error), "valid", holds=False)]
    findings = [
        Finding("card", f"specification {SPEC_VERSION}", "valid", holds=True),
        _examine_name(folder, spec),
        _examine_release(folder, spec),
        _examine_files(folder, spec),
        _examine_todo(folder),
        _examine_licence(spec),
        _examine_size(folder),
        _examine_cover(folder),
        _examine_operations(folder),
    ]
    if not all(finding.holds for finding in findings):
        return findings
    try:
        return findings + measure(folder)
    except GalSimHubError as error:
        return [*findings, Finding("program", str(error), "one that runs", holds=False)]


def _fill_template(name: str, module: str) -> str:
    templates = importlib.resources.files(__package__) / "templates"
    template = string.Template((templates / f"{name}.template").read_text(encoding="utf-8"))
    return template.substitute(name=module, today=dt.date.today().isoformat())


def _require_unreleased_program(folder: Path) -> None:
    if not (folder / "saved_model.pb").is_file():
        raise ContributionError(
            f"Folder {folder} holds no saved_model.pb. Save the network there first, with "
            "tf.saved_model.save.",
            str(folder),
        )
    if is_released(folder):
        raise ContributionError(
            f"{folder} is released, and a released version never changes. Copy it to the next "
            "version's folder first.",
            str(folder),
        )


def _program_files(folder: Path) -> list[str]:
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in paths if path not in _NOT_PROGRAM)


def _write_entry(card: Path, key: str, value: dict[str, Any] | None) -> None:
    """Replace one entry of a card's front matter, or remove it; comments elsewhere stay."""
    text = card.read_text(encoding="utf-8")
    start, front, prose = _split_card(text, card)
    front = re.sub(rf"^{key}:.*?(?=^\S|\Z)", "", front, flags=re.MULTILINE | re.DOTALL)
    if value is not None:
        front += yaml.safe_dump({key: value}, sort_keys=False)
    card.write_text(start + front + prose, encoding="utf-8")


def _split_card(text: str, card: Path) -> tuple[str, str, str]:
    end = text.find("\n---", 4) + 1
    if not text.startswith("---\n") or not end:
        raise CardError(
            f"Card {card} has no YAML front matter. Expected it to start with a line '---', "
            "then YAML, then another line '---'.",
            str(card),
        )
    return text[:4], text[4:end], text[end:]


def _draw_cover(folder: Path, spec: ModuleSpec) -> None:
    band = spec.bands[len(spec.bands) // 2] if spec.bands else None
    model = GenerativeGalaxyModel(folder, "ignore", band=band)
    catalog = spread_conditions(spec, N_COVER)
    images = model.sample_images(catalog, seeds=range(N_COVER))
    rows = zip(*catalog.values(), strict=True)
    captions = ["  ".join(f"{value:.3g}" for value in row) for row in rows]
    names = [f"{condition.name} {condition.unit}".rstrip() for condition in spec.inputs]
    title = f"{spec.label}: {', '.join(names)}"
    contact_sheet(list(images), captions, title=title).savefig(folder / COVER_NAME, dpi=60)


def _examine_name(folder: Path, spec: ModuleSpec) -> Finding:
    path = folder.resolve()
    got, expected = f"{path.parent.name}/{path.name}", f"{spec.name}/{spec.version}"
    return Finding("folder", got, expected, got == expected)


def _examine_release(folder: Path, spec: ModuleSpec) -> Finding:
    released = {release.label: release.identity for release in bundled_index().releases}
    clash = released.get(spec.label, spec.sha256) != spec.sha256
    value = "another module was released under it" if clash else "unused or the same"
    return Finding("version", value, "no other module's", not clash)


def _examine_files(folder: Path, spec: ModuleSpec) -> Finding:
    try:
        spec.verify(folder)
    except CorruptedModuleError as error:
        return Finding("files", str(error), "those of the card", holds=False)
    unknown = [name for name in _program_files(folder) if name not in spec.files]
    value = f"not in the card: {', '.join(unknown)}" if unknown else f"{len(spec.files)}, all there"
    return Finding("files", value, "those of the card", not unknown)


def _examine_todo(folder: Path) -> Finding:
    left = unfinished_lines(folder / CARD_NAME)
    value = f"in line {', '.join(map(str, left))}" if left else "none"
    return Finding("TODO in the card", value, "none", not left)


def _examine_licence(spec: ModuleSpec) -> Finding:
    is_open = spec.licence in OPEN_LICENCES
    return Finding("licence", spec.licence, f"one of {', '.join(OPEN_LICENCES)}", is_open)


def _examine_size(folder: Path) -> Finding:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    value, bar = f"{size / 1e6:.1f} MB", f"{LARGEST_MODULE / 1e6:.0f} MB"
    return Finding("size", value, bar, size <= LARGEST_MODULE)


def _examine_operations(folder: Path) -> Finding:
    from .backend.graph import scan  # here: it loads TensorFlow, which takes seconds

    try:
        refused = scan(folder)
    except CorruptedModuleError as error:
        return Finding("operations", str(error), "those that compute", holds=False)
    value = f"refused: {', '.join(refused)}" if refused else "all compute"
    return Finding("operations", value, "those that compute", not refused)


def _examine_cover(folder: Path) -> Finding:
    path = folder / COVER_NAME
    is_png = path.is_file() and path.read_bytes().startswith(b"\x89PNG")
    return Finding("cover", COVER_NAME if is_png else "none", f"{COVER_NAME}, a PNG", is_png)

"""What every published version has: a folder of its own, and a card that begins alike."""

import contextlib
import datetime
import os
import pathlib
import shutil
import string
import tempfile
from collections.abc import Iterator

import tensorflow as tf
import yaml

from .config import ExportConfig
from .data.fetch import sha256_of
from .errors import ConfigError

RELATIVE_TOLERANCE = 1.0e-4


def folder_of(export: ExportConfig) -> pathlib.Path:
    """Return where a version belongs."""
    return pathlib.Path(export.directory) / export.name / str(export.version)


@contextlib.contextmanager
def new_version(export: ExportConfig, *, replace: bool) -> Iterator[pathlib.Path]:
    """Give a folder to fill, and move it to where the version belongs if nothing failed.

    Raises
    ------
    ConfigError
        If the version exists already and `replace` is not given.
    """
    target = folder_of(export)
    if target.exists() and not replace:
        raise ConfigError(
            f"{target} exists, and a released version never changes: raise export.version."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = pathlib.Path(temporary) / "module"
        yield folder
        folder.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(folder, target)


def write_program(program: tf.Module, signatures: dict, folder: pathlib.Path) -> None:
    """Save a SavedModel and keep only what a reader needs."""
    # Hand-written gradients are signatures: TensorFlow cannot load all of its own copies of them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(program, str(folder), signatures=signatures, options=options)
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    shutil.rmtree(folder / "assets", ignore_errors=True)


def begin_card(export: ExportConfig, kind: str, folder: pathlib.Path) -> dict:
    """Return the front matter of a folder that holds program and golden sample already."""
    program = ["saved_model.pb"]
    program += sorted(f"variables/{path.name}" for path in (folder / "variables").iterdir())
    return {
        "spec_version": 1,
        "name": export.name,
        "version": export.version,
        "kind": kind,
        "summary": export.summary,
        "licence": export.licence,
        "created": datetime.date.today().isoformat(),
        "authors": ["galsim_hub developers"],
        "files": {name: sha256_of(folder / name) for name in program},
        "golden": {
            "file": "golden.npz",
            "sha256": sha256_of(folder / "golden.npz"),
            "relative_tolerance": RELATIVE_TOLERANCE,
        },
    }


def save_card(folder: pathlib.Path, front: dict, template: pathlib.Path, **values: object) -> None:
    """Write card.md; its prose knows the name, version and summary, and the values."""
    known = {name: front[name] for name in ("name", "version", "summary")} | values
    text = string.Template(template.read_text()).substitute(known)
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=110)
    (folder / "card.md").write_text(f"---\n{header}---\n\n{text}")

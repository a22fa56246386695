"""What every published version has: a folder of its own, and a card that begins alike."""

import contextlib
import datetime
import os
import pathlib
import shutil
import string
import tempfile
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import yaml

from galsim_hub.population import FILE_NAME as CONDITIONS
from galsim_hub.registries import is_released

from .config import ExportConfig
from .data.fetch import sha256_of
from .errors import ConfigError
from .run_folder import read_done

RELATIVE_TOLERANCE = 1.0e-4
TEMPLATES = pathlib.Path(__file__).parent / "configs"


def folder_of(export: ExportConfig) -> pathlib.Path:
    """Return where a version belongs."""
    return pathlib.Path(export.directory) / export.name / str(export.version)


@contextlib.contextmanager
def new_version(export: ExportConfig, *, replace: bool) -> Iterator[pathlib.Path]:
    """Give a folder to fill, and move it to where the version belongs if nothing failed.

    Raises
    ------
    ConfigError
        If the version exists already, unless `replace` is given and it is not released.
    """
    target = folder_of(export)
    if target.exists() and (not replace or is_released(target)):
        raise ConfigError(
            f"{target} exists, and a released version never changes: raise export.version."
        )
    with _parents_of(target), tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = pathlib.Path(temporary) / "module"
        yield folder
        folder.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(folder, target)


@contextlib.contextmanager
def _parents_of(target: pathlib.Path) -> Iterator[None]:
    """Make the folders above a version, and remove those that nothing came into."""
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:
            folder.rmdir()
        raise


def require_finished(workdir: pathlib.Path, names: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless all fits of a recipe have ended."""
    open_fits = [n for n in names if read_done(workdir / n) is None]
    if open_fits:
        raise ConfigError(
            f"The fit of {' and '.join(open_fits)} in {workdir} has not ended: run "
            "'python -m training train CONFIG' until it has."
        )


def write_program(
    program: tf.Module, signatures: dict, folder: pathlib.Path, *, keep_gradients: bool = True
) -> None:
    """Save a SavedModel and keep only what a reader needs.

    Without `keep_gradients` the hand-written ones stay behind, for a program that has signatures
    for them: TensorFlow cannot load all of its own copies.
    """
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=keep_gradients)
    tf.saved_model.save(program, str(folder), signatures=signatures, options=options)
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    shutil.rmtree(folder / "assets", ignore_errors=True)


def program_files(folder: pathlib.Path) -> dict[str, str]:
    """Return the sha256 of each file that decides what a module gives, by path in the folder."""
    names = [
        "saved_model.pb",
        *sorted(f"variables/{p.name}" for p in (folder / "variables").iterdir()),
        *sorted(f"light/{p.name}" for p in (folder / "light").glob("*")),
    ]
    if (folder / CONDITIONS).is_file():
        names.append(CONDITIONS)
    return {name: sha256_of(folder / name) for name in names}


def begin_card(export: ExportConfig, kind: str, folder: pathlib.Path) -> dict:
    """Return the front matter of a folder that holds program and golden sample already."""
    return {
        "spec_version": 1,
        "name": export.name,
        "version": export.version,
        "kind": kind,
        "summary": export.summary,
        "licence": export.licence,
        "created": datetime.date.today().isoformat(),
        "authors": ["galsim_hub developers"],
        "files": program_files(folder),
        "golden": {
            "file": "golden.npz",
            "sha256": sha256_of(folder / "golden.npz"),
            "relative_tolerance": RELATIVE_TOLERANCE,
        },
    }


def read_template(name: str) -> string.Template:
    """Return the prose of a card, with gaps to fill."""
    return string.Template((TEMPLATES / f"{name}.md").read_text())


def save_card(folder: pathlib.Path, front: dict, template: str, **values: object) -> None:
    """Write card.md; its prose knows the name, version and summary, and the values."""
    known = {name: front[name] for name in ("name", "version", "summary")} | values
    text = read_template(template).substitute(known)
    header = yaml.safe_dump(_plain(front), sort_keys=False, allow_unicode=True, width=110)
    (folder / "card.md").write_text(f"---\n{header}---\n\n{text}")


def read_card(folder: pathlib.Path) -> dict:
    """Return the front matter of a card."""
    return yaml.safe_load((folder / "card.md").read_text().split("---\n", 2)[1])


def fidelity_table(fidelity: dict | None, command: str) -> str:
    """Return what `command` measured as a Markdown table."""
    if not fidelity:
        return f"Not measured yet: run `{command}`."
    lines = [fidelity["protocol"], "", "| quantity | value | bar |", "|---|---|---|"]
    lines += ["| {quantity} | {value} | {bar} |".format(**row) for row in fidelity["rows"]]
    return "\n".join(lines)


def _plain(tree: object) -> object:
    """Turn tuples into lists and numpy numbers into Python's, for YAML."""
    if isinstance(tree, dict):
        return {k: _plain(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(v) for v in tree]
    return tree.item() if isinstance(tree, np.generic) else tree

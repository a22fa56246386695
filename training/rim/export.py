"""Write the module folder of a learned search: SavedModel, golden sample, cover and card."""

import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import string
import tempfile

import numpy as np
import tensorflow as tf
import yaml

from galsim_hub.particle_mesh.learned import N_FEATURES

from ..config import RimConfig
from ..data.fetch import sha256_of
from ..errors import ConfigError
from ..tasks import load_best
from .task import RimTask

CARD = pathlib.Path(__file__).parents[1] / "configs" / "card_cosmic_rim.md"
RELATIVE_TOLERANCE = 1.0e-4
UNMEASURED = "Not measured yet: run `python tests/benchmarks/bench_cosmic_rim.py`."


class Program(tf.Module):
    """One step of the network as a graph."""

    def __init__(self, task: RimTask):
        super().__init__()
        # Not the network itself: Keras would add signatures of its own.
        self.kept = [weight.value for weight in task.model.variables]
        grid, network = [None] * 4, task.model

        def step(features: tf.Tensor, hidden: tf.Tensor) -> dict[str, tf.Tensor]:
            correction, hidden = network(features, hidden)
            return {"correction": correction, "hidden": hidden}

        self.step = tf.function(
            step,
            input_signature=[
                tf.TensorSpec([*grid, N_FEATURES], tf.float32, "features"),
                tf.TensorSpec([*grid, task.config.hidden], tf.float32, "hidden"),
            ],
        )


def export(config: RimConfig, *, replace: bool = False) -> pathlib.Path:
    """Build the module of a trained recipe and move it into place.

    Raises
    ------
    ConfigError
        If training is not finished, or the version exists already and `replace` is not given.
    """
    target = pathlib.Path(config.export.directory) / config.export.name / str(config.export.version)
    if target.exists() and not replace:
        raise ConfigError(
            f"{target} exists, and a released version never changes: raise export.version."
        )
    done = pathlib.Path(config.workdir) / "rim" / "done.json"
    if not done.is_file():
        raise ConfigError(
            f"The fit in {done.parent} has not ended: run 'python -m training train CONFIG' until "
            "it has."
        )
    task = RimTask(config)
    load_best(task.model, done.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = pathlib.Path(temporary) / "module"
        program = Program(task)
        tf.saved_model.save(program, str(folder), signatures={"step": program.step})
        (folder / "fingerprint.pb").unlink(missing_ok=True)
        shutil.rmtree(folder / "assets", ignore_errors=True)
        _write_golden(program, config, folder / "golden.npz")
        task.picture(folder / "cover.png")
        write_card(config, folder, json.loads(done.read_text())["steps"])
        folder.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(folder, target)
    return target


def _write_golden(program: Program, config: RimConfig, path: pathlib.Path) -> None:
    rng, n = np.random.default_rng(7), 2 ** (len(config.widths) + 1)
    shapes = {"features": (2, n, n, n, N_FEATURES), "hidden": (2, n, n, n, config.hidden)}
    inputs = {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}
    outputs = program.step(**{k: tf.constant(v) for k, v in inputs.items()})
    arrays = {f"step/in/{k}": v for k, v in inputs.items()}
    arrays |= {f"step/out/{k}": v.numpy() for k, v in outputs.items()}
    np.savez_compressed(path, **arrays)


def write_card(
    config: RimConfig, folder: pathlib.Path, steps: int, fidelity: dict | None = None
) -> None:
    """Write card.md of a folder that holds program and golden sample already."""
    program = ["saved_model.pb"]
    program += sorted(f"variables/{path.name}" for path in (folder / "variables").iterdir())
    recipe = dataclasses.asdict(config)
    names = ("cells", "cell", "noise", "steps", "first_scale_factor", "iterations", "hidden")
    training = {name: recipe[name] for name in names}
    training |= {"widths": list(config.widths), "multiple_of": 2 ** (len(config.widths) - 1)}
    training |= {"fields": steps * config.fit_rim.batch, "fit": recipe["fit_rim"]}
    front = {
        "spec_version": 1,
        "name": config.export.name,
        "version": config.export.version,
        "kind": "field_search",
        "summary": config.export.summary,
        "licence": config.export.licence,
        "created": datetime.date.today().isoformat(),
        "authors": ["galsim_hub developers"],
        "cite": ["Modi et al. 2021 (arXiv:2104.12864)"],
        "inputs": [],
        "random_input": None,
        "signatures": ["step"],
        "files": {name: sha256_of(folder / name) for name in program},
        "golden": {
            "file": "golden.npz",
            "sha256": sha256_of(folder / "golden.npz"),
            "relative_tolerance": RELATIVE_TOLERANCE,
        },
        "training": training,
    }
    if fidelity:
        front["fidelity"] = fidelity
    values = training | {name: front[name] for name in ("name", "version", "summary")}
    values |= {"size": config.cells * config.cell, "fidelity": _table(fidelity)}
    text = string.Template(CARD.read_text()).substitute(values)
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=110)
    (folder / "card.md").write_text(f"---\n{header}---\n\n{text}")


def _table(fidelity: dict | None) -> str:
    if not fidelity:
        return UNMEASURED
    lines = [fidelity["protocol"], "", "| quantity | value | bar |", "|---|---|---|"]
    lines += ["| {quantity} | {value} | {bar} |".format(**row) for row in fidelity["rows"]]
    return "\n".join(lines)

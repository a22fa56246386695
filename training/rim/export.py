"""Write the module folder of a learned search: SavedModel, golden sample, cover and card."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from galsim_hub.particle_mesh.learned import N_FEATURES

from ..mesh_config import RimConfig
from ..release import (
    begin_card,
    fidelity_table,
    folder_of,
    new_version,
    require_finished,
    save_card,
    write_program,
)
from ..tasks import load_best
from .task import RimTask

COMMAND = "python tests/benchmarks/bench_cosmic_rim.py"


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
    workdir = pathlib.Path(config.workdir)
    require_finished(workdir, ("rim",))
    with new_version(config.export, replace=replace) as folder:
        task = RimTask(config)
        load_best(task.model, workdir / "rim")
        program = Program(task)
        write_program(program, {"step": program.step}, folder)
        _write_golden(program, config, folder / "golden.npz")
        task.picture(folder / "cover.png")
        done = json.loads((workdir / "rim" / "done.json").read_text())
        write_card(config, folder, done["steps"])
    return folder_of(config.export)


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
    recipe = dataclasses.asdict(config)
    names = ("cells", "cell", "noise", "steps", "first_scale_factor", "iterations", "hidden")
    training = {name: recipe[name] for name in names}
    training |= {"widths": list(config.widths), "multiple_of": 2 ** (len(config.widths) - 1)}
    training |= {"fields": steps * config.fit_rim.batch, "fit": recipe["fit_rim"]}
    front = begin_card(config.export, "field_search", folder) | {
        "cite": ["Modi et al. 2021 (arXiv:2104.12864)"],
        "inputs": [],
        "random_input": None,
        "signatures": ["step"],
        "training": training,
    }
    if fidelity:
        front["fidelity"] = fidelity
    size = config.cells * config.cell
    table = fidelity_table(fidelity, COMMAND)
    save_card(folder, front, "card_cosmic_rim", **training, size=size, fidelity=table)

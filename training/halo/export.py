"""Write the module folder of a halo field: SavedModel, golden sample, cover and card."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from ..mesh_config import HaloConfig
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
from .network import HaloNetwork
from .task import HaloTask

COMMAND = "python tests/benchmarks/bench_halo_field.py"
GOLDEN_ROWS = 64


class Program(tf.Module):
    """The network as a graph."""

    def __init__(self, network: HaloNetwork, n_features: int):
        super().__init__()
        # Not the network itself: Keras would add signatures of its own.
        self.kept = [weight.value for weight in network.variables]
        self.halo_field = tf.function(
            lambda features: {"field": network(features)},
            input_signature=[tf.TensorSpec([None, n_features], tf.float32, "features")],
            autograph=False,
        )


def export(config: HaloConfig, *, replace: bool = False) -> pathlib.Path:
    """Build the module of a trained recipe and move it into place.

    Raises
    ------
    ConfigError
        If training is not finished, or the version exists already and `replace` is not given.
    """
    workdir = pathlib.Path(config.workdir)
    require_finished(workdir, ("halo",))
    with new_version(config.export, replace=replace) as folder:
        task = HaloTask(config)
        load_best(task.model, workdir / "halo")
        n_features = 2 * len(config.scales)
        program = Program(task.model, n_features)
        write_program(program, {"halo_field": program.halo_field}, folder)
        _write_golden(program, n_features, folder / "golden.npz")
        task.picture(folder / "cover.png")
        done = json.loads((workdir / "halo" / "done.json").read_text())
        write_card(config, folder, describe(task, done["steps"]))
    return folder_of(config.export)


def describe(task: HaloTask, steps: int) -> dict:
    """Return what the network was trained on, and with which numbers."""
    recipe, data = dataclasses.asdict(task.config), task.config.data
    training = dataclasses.asdict(data) | {"fit": recipe["fit_halo"]}
    del training["directory"]
    training |= {name: recipe[name] for name in ("least_mass", "smoothing", "train", "validation")}
    training |= {"scales": list(task.config.scales), "widths": list(task.config.widths)}
    # What a field of 1 is, so that the result can be turned into mass [Msun/h / (Mpc/h)^3].
    return training | {"mean_mass_density": task.mean_mass / data.cell**3, "fit_steps": steps}


def _write_golden(program: Program, n_features: int, path: pathlib.Path) -> None:
    rng = np.random.default_rng(7)
    features = rng.standard_normal((GOLDEN_ROWS, n_features)).astype(np.float32)
    field = program.halo_field(tf.constant(features))["field"].numpy()
    np.savez_compressed(path, **{"halo_field/in/features": features, "halo_field/out/field": field})


def write_card(
    config: HaloConfig, folder: pathlib.Path, training: dict, fidelity: dict | None = None
) -> None:
    """Write card.md of a folder that holds program and golden sample already."""
    front = begin_card(config.export, "halo_field", folder) | {
        "cite": [
            "Modi, Feng and Seljak 2018, JCAP 10, 028 (arXiv:1805.02247)",
            "Feng et al. 2016, MNRAS 463, 2273 (arXiv:1603.00476)",
        ],
        "inputs": [],
        "random_input": None,
        "signatures": ["halo_field"],
        "training": training,
    }
    if fidelity:
        front["fidelity"] = fidelity
    values = training | {
        "size": config.data.cells * config.data.cell,
        "least_mass": f"{config.least_mass:.3g}",
        "mean_mass_density": f"{training['mean_mass_density']:.3g}",
        "scales": ", ".join(f"{scale:g}" for scale in config.scales),
        "n_features": 2 * len(config.scales),
        "fidelity": fidelity_table(fidelity, COMMAND),
    }
    save_card(folder, front, "card_halo_field", **values)

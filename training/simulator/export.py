"""Write the module folder of the simulator: SavedModel, golden sample, cover and card."""

import pathlib
import string

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from ..mesh_config import SimulatorConfig
from ..release import begin_card, folder_of, new_version, save_card, write_program
from .program import Program

GOLDEN = {
    "Omega_m": 0.3, "Omega_b": 0.05, "h": 0.7, "n_s": 0.96, "sigma8": 0.8, "w0": -0.95, "wa": 0.1,
}  # fmt: skip
CELL = 5.0  # [Mpc/h] of the golden sample and the cover
INPUTS = [
    ("Omega_m", "", 0.1, 0.6, "matter today, in critical densities"),
    ("Omega_b", "", 0.02, 0.08, "baryons, a part of Omega_m"),
    ("h", "", 0.5, 0.9, "Hubble constant [100 km/s/Mpc]"),
    ("n_s", "", 0.8, 1.1, "tilt of the primordial spectrum"),
    ("sigma8", "", 0.5, 1.2, "RMS of the linear density contrast today in spheres of 8 Mpc/h"),
    ("w0", "", -1.5, -0.5, "dark energy today"),
    ("wa", "", -0.5, 0.5, "its change with the scale factor"),
    ("box_size", "Mpc/h", 32.0, 3200.0, "side of the box"),
]


def export(config: SimulatorConfig, *, replace: bool = False) -> pathlib.Path:
    """Trace the simulator and move its module into place.

    Raises
    ------
    ConfigError
        If the version exists already and `replace` is not given.
    """
    with new_version(config.export, replace=replace) as folder:
        program = Program(config)
        write_program(program, program.signatures(), folder, keep_gradients=False)
        loaded = tf.saved_model.load(str(folder)).signatures
        write_golden(loaded, config, folder / "golden.npz")
        write_cover(loaded, config, folder / "cover.png")
        write_card(config, folder)
    return folder_of(config.export)


def invent_inputs(config: SimulatorConfig, scale_factors: list[float]) -> dict[str, np.ndarray]:
    """Return inputs of `simulate` that need little space: the numbers are few and repeat."""
    values = GOLDEN | {"box_size": CELL * config.cells}
    inputs = {name: np.array([value], np.float32) for name, value in values.items()}
    normal = np.random.default_rng(7).standard_normal((1, config.cells**3))
    inputs["random_normal"] = (np.round(8 * normal) / 8).astype(np.float32)
    inputs["scale_factors"] = np.array([scale_factors], np.float32)
    return inputs


def write_golden(signatures: dict, config: SimulatorConfig, path: pathlib.Path) -> None:
    """Save inputs and outputs of both signatures."""
    inputs = invent_inputs(config, [1.0])
    arrays = _record("simulate", signatures, inputs)
    density = arrays["simulate/out/density"]
    # What the density is less than average by, so that the gradient is that of its variance.
    upstream = {"density_gradient": np.round(density - 1.0)}
    upstream["displacement_gradient"] = np.zeros_like(arrays["simulate/out/displacement"])
    arrays |= _record("pull_back", signatures, inputs | upstream)
    np.savez_compressed(path, **arrays)


def _record(name: str, signatures: dict, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
    arrays = {f"{name}/in/{k}": v for k, v in inputs.items()}
    return arrays | {f"{name}/out/{k}": v.numpy() for k, v in outputs.items()}


def write_cover(signatures: dict, config: SimulatorConfig, path: pathlib.Path) -> None:
    """Save slices of a box that evolves."""
    scale_factors = [0.2, 0.35, 0.6, 1.0]
    inputs = invent_inputs(config, scale_factors)
    outputs = signatures["simulate"](**{k: tf.constant(v) for k, v in inputs.items()})
    slabs = outputs["density"].numpy()[0, ..., : max(config.cells // 8, 1)].mean(axis=-1)
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    style = {
        "cmap": "magma",
        "origin": "lower",
        "interpolation": "bicubic",
        "vmin": -1.5,
        "vmax": 1.5,
    }
    for axes, a, slab in zip(figure.subplots(1, 4), scale_factors, slabs, strict=True):
        axes.imshow(np.log(slab.T + 0.05), **style)
        axes.set(title=f"a = {a}", xticks=[], yticks=[])
    figure.savefig(path, dpi=80)


def write_card(config: SimulatorConfig, folder: pathlib.Path) -> None:
    """Write card.md of a folder that holds program and golden sample already."""
    training = {
        "cells": config.cells,
        "steps": config.steps,
        "first_scale_factor": config.first_scale_factor,
    }
    summary = string.Template(config.export.summary).safe_substitute(cells=config.cells)
    front = begin_card(config.export, "particle_mesh", folder) | {
        "summary": summary,
        "cite": [
            "Feng et al. 2016, MNRAS 463, 2273 (arXiv:1603.00476)",
            "Modi, Lanusse and Seljak 2021, Astronomy and Computing 37, 100505 (arXiv:2010.11847)",
            "Li et al. 2022 (arXiv:2211.09815)",
        ],
        "inputs": [
            dict(zip(("name", "unit", "minimum", "maximum", "description"), row, strict=True))
            for row in INPUTS
        ],
        "random_input": {"name": "random_normal", "size": config.cells**3},
        "signatures": ["simulate", "pull_back"],
        "training": training,
    }
    save_card(folder, front, "card_particle_mesh", **training)

"""Boxes to learn a halo field from: a quick density, and the haloes of a better run beside it."""

import logging
import os
import pathlib
import typing

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.particle_mesh.paint import paint

from ..config import fingerprint
from ..errors import DataError
from ..mesh_config import HaloConfig, HaloDataConfig
from .catalogue import find_haloes

CRITICAL_DENSITY = 2.775e11  # [h^2 Msun / Mpc^3]
PADDED_HALOES = 1024
FIRST_SEEDS = {"train": 10_000, "validation": 20_000, "test": 30_000}

logger = logging.getLogger(__name__)


class Sample(typing.NamedTuple):
    """One box: `density` (x, y, z), and haloes' `centres` [Mpc/h] and `masses` [Msun/h]."""

    density: np.ndarray
    centres: np.ndarray
    masses: np.ndarray


def build(config: HaloConfig) -> dict[str, int]:
    """Simulate the boxes that are missing; return how many each split has."""
    folder_of(config.data).mkdir(parents=True, exist_ok=True)
    # The splits in turns, so that an unfinished set can be looked at.
    for seed in sorted(
        (seed for split in FIRST_SEEDS for seed in seeds(config, split)), key=lambda s: s % 10_000
    ):
        path = path_of(config.data, seed)
        if not path.is_file():
            sample = simulate(config.data, seed)
            part = path.with_suffix(".part.npz")
            np.savez_compressed(part, **sample._asdict())
            os.replace(part, path)
            logger.info("seed %d: %d haloes", seed, len(sample.masses))
    return {split: len(seeds(config, split)) for split in FIRST_SEEDS}


def simulate(config: HaloDataConfig, seed: int) -> Sample:
    """Run one set of initial conditions twice, and find the haloes of the better run."""
    box, growth = box_of(config), pm.Growth(pm.Planck15())
    linear = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed)
    start = pm.start(linear, box, growth, config.first_scale_factor)
    quick, better = (
        pm.evolve(
            start,
            box,
            growth,
            pm.scale_factors(config.first_scale_factor, 1.0, steps),
            resolution=resolution,
        )
        for steps, resolution in ((config.quick_steps, 1), (config.steps, config.resolution))
    )
    # Rounding may put a particle on the far face, which is the near one.
    positions = better.positions(box).numpy().astype(np.float64) % box.size[0]
    haloes = find_haloes(positions, box.size[0], config.linking_length * config.cell)
    return Sample(
        pm.density(quick.displacement, box).numpy(),
        haloes.centres.astype(np.float32),
        (haloes.counts * particle_mass(config)).astype(np.float32),
    )


def particle_mass(config: HaloDataConfig) -> float:
    """Return what a particle weighs [Msun/h]."""
    return float(pm.Planck15().Omega_m) * CRITICAL_DENSITY * config.cell**3


def load(config: HaloConfig, split: str) -> list[Sample]:
    """Read the boxes of a split.

    Raises
    ------
    DataError
        If one is not there.
    """
    paths = [path_of(config.data, seed) for seed in seeds(config, split)]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(
            f"No simulation at {missing[0]} ({len(missing)} of {len(paths)} are missing): run "
            "'python -m training data CONFIG' first."
        )
    return [Sample(**np.load(path)) for path in paths]


def mass_field(sample: Sample, box: pm.Box, least_mass: float) -> np.ndarray:
    """Paint the mass of haloes above `least_mass`: Msun/h in each cell, shape (x, y, z)."""
    masses = np.where(sample.masses >= least_mass, sample.masses, 0.0)
    # Padded, or painting would be compiled for every number of haloes.
    more = -len(masses) % PADDED_HALOES
    positions = np.pad(sample.centres / box.cell[0], [(0, more), (0, 0)]).T.astype(np.float32)
    weights = np.pad(masses, (0, more)).astype(np.float32)
    return paint(tf.constant(positions[None]), tf.constant(weights[None]), box.shape)[0].numpy()


def box_of(config: HaloDataConfig) -> pm.Box:
    """Return the box of every simulation."""
    return pm.Box(config.cells, config.cells * config.cell)


def seeds(config: HaloConfig, split: str) -> range:
    """Return the seeds of a split."""
    first = FIRST_SEEDS[split]
    return range(first, first + getattr(config, split))


def folder_of(config: HaloDataConfig) -> pathlib.Path:
    """Return where simulations of these numbers are, and no others."""
    return pathlib.Path(config.directory) / fingerprint(config)[:12]


def path_of(config: HaloDataConfig, seed: int) -> pathlib.Path:
    """Return the file of a seed."""
    return folder_of(config) / f"{seed}.npz"

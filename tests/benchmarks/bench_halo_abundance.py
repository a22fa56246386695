"""Count the haloes of a halo field's boxes: python tests/benchmarks/bench_halo_abundance.py.

The numbers are divided by two published mass functions of haloes found by friends of friends,
Watson et al. 2013 (MNRAS 433, 1230) and Jenkins et al. 2001 (MNRAS 321, 372), as CCL has them: pip
install 'galsim-hub[oracles]'. All boxes of the recipe count, of every split. `--set KEY=VALUE`
changes the recipe, such as data.directory.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyccl

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import particle_mesh as pm
from training.halo.catalogue import LEAST_FRIENDS
from training.halo.data import FIRST_SEEDS, box_of, load, particle_mass
from training.mesh_config import HaloConfig
from training.recipe_file import load_config

CONFIG = "training/configs/halo_field.yaml"
N_BINS = 8  # a factor of two of mass each, from the lightest halo that is found
N_POINTS = 65  # of the integral over a bin


def abundances() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return published dn / dlog10 M [(h/Mpc)^3] of masses [Msun/h], in our cosmology."""
    ours = pm.Planck15()
    names = ("Omega_c", "Omega_b", "h", "n_s", "sigma8")
    parameters = {name: float(getattr(ours, name)) for name in names}
    cosmology = pyccl.Cosmology(
        **parameters, Omega_g=0.0, Neff=0.0, transfer_function="eisenstein_hu"
    )
    formulas = {
        "Watson": pyccl.halos.MassFuncWatson13(mass_def="fof"),
        "Jenkins": pyccl.halos.MassFuncJenkins01(mass_def="fof"),
    }
    h = parameters["h"]  # CCL's units have none
    return {
        name: lambda masses, formula=formula: formula(cosmology, masses / h, 1.0) / h**3
        for name, formula in formulas.items()
    }


def expected(abundance: Callable[[np.ndarray], np.ndarray], first: float, last: float) -> float:
    """Return the haloes of a bin of mass in a cubic Mpc/h."""
    log_mass = np.linspace(np.log10(first), np.log10(last), N_POINTS)
    return float(np.trapezoid(abundance(10.0**log_mass), log_mass))


def print_table(config: HaloConfig) -> None:
    """Print counts, their ratio to the formulas' and its Poisson error."""
    samples = [sample for split in FIRST_SEEDS for sample in load(config, split)]
    volume = len(samples) * box_of(config.data).volume
    lightest = LEAST_FRIENDS * particle_mass(config.data)
    # Half a particle below, so that rounding moves no halo to another bin.
    edges = lightest * 2.0 ** np.arange(N_BINS + 1) - 0.5 * particle_mass(config.data)
    masses = np.concatenate([sample.masses for sample in samples])
    counts, _ = np.histogram(masses, edges)
    formulas = abundances()
    print(f"{len(samples)} boxes, {len(masses)} haloes; the number over that of a formula")
    print(f"{'mass [Msun/h]':>22}{'particles':>11}{'haloes':>8}", end="")
    print("".join(f"{name:>16}" for name in formulas))
    for first, last, count in zip(edges, edges[1:], counts, strict=False):
        line = f"{first:11.2e}{last:11.2e}{first / particle_mass(config.data):11.0f}{count:8d}"
        for abundance in formulas.values():
            mean = volume * expected(abundance, first, last)
            line += f"{count / mean:8.2f} +- {np.sqrt(max(count, 1)) / mean:4.2f}"
        print(line)
    cut = config.least_mass
    heavy = masses[masses >= cut]
    for name, abundance in formulas.items():
        mean = volume * expected(abundance, cut, edges[-1])
        print(f"above {cut:g} Msun/h, {name}: {len(heavy) / mean:.3f} of {mean:.0f}")


def main(arguments: list[str]) -> None:
    """Print the table of the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    print_table(load_config(CONFIG, parser.parse_args(arguments).overrides))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Compare a halo field with haloes: python tests/benchmarks/bench_halo_field.py [MODULE].

The boxes are the recipe's test boxes, which training does not read; `python -m training data
training/configs/halo_field.yaml` simulates them. `--set KEY=VALUE` changes the recipe, such as
data.directory. `--update-card` writes the table into the module's card and its cover.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

import galsim_hub
from galsim_hub.registry import locate
from training.halo.data import box_of, load, mass_field
from training.halo.export import write_card
from training.halo.measure import compare
from training.halo.pictures import comparison_figure
from training.recipe_file import load_config

CONFIG = "training/configs/halo_field.yaml"
LEAST_CORRELATION, UP_TO = 0.9, 0.2  # [h/Mpc]
GREATEST_K = 1.0  # [h/Mpc] of the table
PROTOCOL = (
    "{boxes} boxes of {size:g} Mpc/h that training did not read, with {haloes} haloes: the field "
    "and the mass of haloes, spectra summed over boxes. Printed by "
    "`python tests/benchmarks/bench_halo_field.py`."
)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="?", default="hub:halo_field")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--update-card", action="store_true")
    args = parser.parse_args(arguments)
    config = load_config(CONFIG, args.overrides)
    halo_field, box = galsim_hub.load(args.module), box_of(config.data)
    samples = load(config, "test")
    truths = [mass_field(sample, box, config.least_mass) for sample in samples]
    truths = [truth / (halo_field.mean_mass_density * box.volume / box.n_cells) for truth in truths]
    fields = [halo_field(sample.density, box).numpy() for sample in samples]
    found = compare(fields, truths, box)
    matter = compare([sample.density for sample in samples], truths, box)
    haloes = sum(int(np.sum(sample.masses >= config.least_mass)) for sample in samples)
    print(f"{len(samples)} boxes, {haloes} haloes above {config.least_mass:g} Msun/h")
    print(f"{'k [h/Mpc]':>10}{'modes':>8}{'r':>8}{'transfer':>10}{'r of matter':>13}")
    rows = []
    for k, r, transfer, n_modes, alone in zip(*found, matter.correlation, strict=True):
        if k <= GREATEST_K:
            print(f"{k:10.3f}{n_modes:8.0f}{r:8.4f}{transfer:10.4f}{alone:13.4f}")
            row = {"quantity": f"r, transfer function; r of the matter at k = {k:.3f} h/Mpc"}
            row["value"] = f"{r:.3f}, {transfer:.3f}; {alone:.3f} ({n_modes:.0f} modes)"
            rows.append(row | {"bar": ""})
    ratio = float(np.mean(fields) / np.mean(truths))
    print(f"mean of the field over that of the haloes: {ratio:.3f}")
    rows.append({"quantity": "mean, over that of the haloes", "value": f"{ratio:.3f}", "bar": ""})
    least = float(np.min(found.correlation[found.k <= UP_TO]))
    verdict = "held" if least >= LEAST_CORRELATION else "missed"
    bar = f"at least {LEAST_CORRELATION:g}: {verdict}"
    row = {"quantity": f"least r up to k = {UP_TO:g} h/Mpc", "value": f"{least:.3f}", "bar": bar}
    rows.append(row)
    print(f"{row['quantity']}: {least:.4f} ({bar})")
    if args.update_card:
        size = box.size[0]
        protocol = PROTOCOL.format(boxes=len(samples), size=size, haloes=haloes)
        folder = locate(args.module).folder
        fidelity = {"protocol": protocol, "rows": rows}
        write_card(config, folder, dict(halo_field.spec.training), fidelity)
        smoothing = halo_field.smoothing
        figure = comparison_figure(samples[0].density, truths, fields, box, smoothing)
        figure.savefig(folder / "cover.png", dpi=80)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Compare the learned search with general ones: python tests/benchmarks/bench_cosmic_rim.py.

With the number of boxes and the module: `bench_cosmic_rim.py 3 hub:cosmic_rim`; `--update-card`
after them writes the table into the module's card. The boxes are none of those of training.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

import galsim_hub
from galsim_hub import particle_mesh as pm
from galsim_hub.registry import locate
from training.recipe_file import load_config
from training.rim.export import write_card
from training.rim.task import Survey

CONFIG = "training/configs/cosmic_rim.yaml"
FIRST_SEED = 2**33  # beyond those of training and validation
SHORTFALL = 0.02
PROTOCOL = (
    "Mean over {n} boxes that training did not see: r(k) of the reconstructed linear field with "
    "the true one. Printed by `python tests/benchmarks/bench_cosmic_rim.py {n}`."
)


def main(n_boxes: str = "3", module: str = "hub:cosmic_rim", update: str = "") -> None:
    """Print the table."""
    config = load_config(CONFIG)
    survey, search = Survey(config), galsim_hub.load(module)
    box, seconds = survey.box, np.zeros(3)
    correlations = []
    for i in range(int(n_boxes)):
        fields = survey.observe([FIRST_SEED + i])
        truth = fields["truth"][0]
        posterior = pm.Posterior(
            fields["observed"][0], config.noise, box, survey.power, survey.posterior.forward
        )
        ways = {
            "learned, 10": lambda p: p.linear(search.reconstruct(p)),
            "Adam, 100": lambda p: pm.reconstruct(p, [pm.Stage(0.0, 100)], method="adam").linear,
            "annealed L-BFGS, 400": lambda p: pm.reconstruct(p, pm.anneal(p.box, 400)).linear,
        }
        found = []
        for j, way in enumerate(ways.values()):
            start = time.perf_counter()
            found.append(pm.correlation(way(posterior), truth, box).numpy())
            seconds[j] += time.perf_counter() - start
        correlations.append(found)
        print(f"box {i + 1} of {n_boxes}", flush=True)
    k, r = pm.power_spectrum(truth, box).k, np.mean(correlations, axis=0)
    print(f"{'k [h/Mpc]':>10}" + "".join(f"{name:>22}" for name in ways))
    for shell, values in zip(k, r.T, strict=True):
        print(f"{shell:10.3f}" + "".join(f"{value:22.4f}" for value in values))
    print(f"{'s a box':>10}" + "".join(f"{value:22.1f}" for value in seconds / int(n_boxes)))
    rows = [
        {
            "quantity": f"r(k = {shell:.3f} h/Mpc): {', '.join(ways)}",
            "value": ", ".join(f"{value:.3f}" for value in values),
            "bar": "",
        }
        for shell, values in zip(k, r.T, strict=True)
    ]
    for j, (name, bar) in enumerate([("Adam, 100", 0.0), ("annealed L-BFGS, 400", -SHORTFALL)], 1):
        least = np.min(r[0] - r[j])
        verdict = "held" if least >= bar else "missed"
        row = {"quantity": f"least r(learned, 10) - r({name})", "value": f"{least:+.3f}"}
        rows.append(row | {"bar": f"at least {bar:g}: {verdict}"})
        print(f"{row['quantity']}: {least:+.4f} ({rows[-1]['bar']})")
    if update:
        folder, n_fields = locate(module).folder, search.spec.training["fields"]
        fidelity = {"protocol": PROTOCOL.format(n=n_boxes), "rows": rows}
        write_card(config, folder, n_fields // config.fit_rim.batch, fidelity)


if __name__ == "__main__":
    main(*sys.argv[1:])

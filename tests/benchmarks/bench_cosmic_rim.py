"""Compare the learned search with general ones: python tests/benchmarks/bench_cosmic_rim.py.

With the number of boxes and the module: `bench_cosmic_rim.py 3 hub:cosmic_rim`; `--update-card`
after them writes the table into the module's card. The boxes are none of those of training.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import galsim_hub
from galsim_hub import particle_mesh as pm
from galsim_hub.registry import locate
from training.config import load_config
from training.rim.export import write_card
from training.rim.task import Survey

CONFIG = "training/configs/cosmic_rim.yaml"
FIRST_SEED = 2**33  # beyond those of training and validation
LARGEST_SHORTFALL = 0.02
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
        rows = []
        for j, way in enumerate(ways.values()):
            start = time.perf_counter()
            rows.append(pm.correlation(way(posterior), truth, box).numpy())
            seconds[j] += time.perf_counter() - start
        correlations.append(rows)
        print(f"box {i + 1} of {n_boxes}", flush=True)
    k, r = pm.power_spectrum(truth, box).k, np.mean(correlations, axis=0)
    print(f"{'k [h/Mpc]':>10}" + "".join(f"{name:>22}" for name in ways))
    for shell, values in zip(k, r.T, strict=True):
        print(f"{shell:10.3f}" + "".join(f"{value:22.4f}" for value in values))
    print(f"{'s a box':>10}" + "".join(f"{value:22.1f}" for value in seconds / int(n_boxes)))
    print(f"least r(learned) - r(Adam): {np.min(r[0] - r[1]):+.4f} (bar 0)")
    print(f"least r(learned) - r(L-BFGS): {np.min(r[0] - r[2]):+.4f} (bar -{LARGEST_SHORTFALL})")
    if update:
        rows = [
            {"k": round(float(shell), 4), "correlation": [round(float(x), 4) for x in values]}
            for shell, values in zip(k, r.T, strict=True)
        ]
        fidelity = {"protocol": PROTOCOL.format(n=n_boxes), "searches": list(ways), "rows": rows}
        fields_seen = search.spec.training["fields"]
        folder = locate(module).folder
        write_card(config, folder, fields_seen // config.fit.batch, fidelity)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Compare the learned search with general ones: python tests/benchmarks/bench_cosmic_rim.py.

With the number of boxes and the module: `bench_cosmic_rim.py 12 hub:cosmic_rim`; `--update-card`
after them writes the table into the module's card. The boxes are none of those of training; the
longest search is done for the first three of them only. The learned search is the mean over eight
mirror images of a box, its default, and that of one orientation.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import particle_mesh as pm
from galsim_hub.registry import locate
from training.recipe_file import load_config
from training.rim.export import write_card
from training.rim.task import Survey

CONFIG = "training/configs/cosmic_rim.yaml"
FIRST_SEED = 2**33  # beyond those of training and validation
SHORTFALL = 0.02
LONG = 3  # boxes that L-BFGS searches
PROTOCOL = (
    "Mean over {n} boxes that training did not see, {long} for L-BFGS: r(k) of the reconstructed "
    "linear field with the true one. The learned search is the mean over eight mirror images of a "
    "box, ten steps in each, and that of one orientation. Differences are means over the same "
    "boxes, with their errors where they are least. Printed by `python "
    "tests/benchmarks/bench_cosmic_rim.py {n}`."
)


def main(n_boxes: str = "12", module: str = "hub:cosmic_rim", update: str = "") -> None:
    """Print the table."""
    config = load_config(CONFIG)
    survey, search = Survey(config), pm.LearnedSearch(module)
    ways = {
        "learned, 10": lambda p: p.linear(search.reconstruct(p)),
        "one orientation": lambda p: p.linear(search.reconstruct(p, orientations=1)),
        "Adam, 100": lambda p: pm.reconstruct(p, [pm.Stage(0.0, 100)], method="adam").linear,
        "annealed L-BFGS, 400": lambda p: pm.reconstruct(p, pm.anneal(p.box, 400)).linear,
    }
    found: dict[str, list] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for i in range(int(n_boxes)):
        fields = survey.observe([FIRST_SEED + i])
        truth = fields["truth"][0]
        posterior = pm.Posterior(
            fields["observed"][0], config.noise, survey.box, survey.power, survey.posterior.forward
        )
        for name in list(ways)[: None if i < LONG else -1]:
            start = time.perf_counter()
            found[name].append(pm.correlation(ways[name](posterior), truth, survey.box).numpy())
            seconds[name] += time.perf_counter() - start
        print(f"box {i + 1} of {n_boxes}", flush=True)
    k = pm.power_spectrum(truth, survey.box).k
    r = {name: np.array(values) for name, values in found.items()}
    print(f"{'k [h/Mpc]':>10}" + "".join(f"{name:>22}" for name in ways))
    for shell, values in zip(
        k, zip(*(x.mean(axis=0) for x in r.values()), strict=True), strict=True
    ):
        print(f"{shell:10.3f}" + "".join(f"{value:22.4f}" for value in values))
    print(f"{'s a box':>10}" + "".join(f"{seconds[x] / len(r[x]):22.1f}" for x in ways))
    rows = [
        {
            "quantity": f"r(k = {shell:.3f} h/Mpc): {', '.join(ways)}",
            "value": ", ".join(f"{x[:, j].mean():.3f}" for x in r.values()),
            "bar": "",
        }
        for j, shell in enumerate(k)
    ]
    for name, bar in (("Adam, 100", 0.0), ("annealed L-BFGS, 400", -SHORTFALL)):
        apart = r["learned, 10"][: len(r[name])] - r[name]
        mean, error = apart.mean(axis=0), apart.std(axis=0, ddof=1) / np.sqrt(len(apart))
        worst = int(mean.argmin())
        row = {
            "quantity": f"least r(learned, 10) - r({name}), at k = {k[worst]:.3f} h/Mpc",
            "value": f"{mean[worst]:+.4f} +- {error[worst]:.4f}",
            "bar": f"at least {bar:g}: {'held' if mean[worst] >= bar else 'missed'}",
        }
        rows.append(row)
        print(f"{row['quantity']}: {row['value']} ({row['bar']})")
    if update:
        folder, n_fields = locate(module).folder, search.spec.training["fields"]
        fidelity = {"protocol": PROTOCOL.format(n=n_boxes, long=LONG), "rows": rows}
        write_card(config, folder, n_fields // config.fit_rim.batch, fidelity)


if __name__ == "__main__":
    main(*sys.argv[1:])

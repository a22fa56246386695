"""Print how far the engines' pixels differ: python tests/benchmarks/bench_engines.py [MODULE].

Galaxies of the module's own population, and of its whole range of conditions, corners where no
galaxy was seen in training included, are made by the light engine and by TensorFlow.
"""

from __future__ import annotations

import argparse

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

BAR = 1e-5  # of the peak
AT_ONCE = 100


def difference(models: dict[str, GenerativeGalaxyModel], table: dict, seeds: range) -> np.ndarray:
    """Return the largest difference of each galaxy's pixels, of its peak."""
    light, tensorflow = (each.sample_images(table, seeds=seeds) for each in models.values())
    gap = np.abs(light - tensorflow).max(axis=(1, 2))
    return gap / tensorflow.max(axis=(1, 2))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="?", default="hub:cosmos")
    parser.add_argument("--galaxies", type=int, default=5000)
    args = parser.parse_args()
    names = ("light", "tensorflow")
    models = {name: GenerativeGalaxyModel(args.module, engine=name) for name in names}
    model, n, rng = models["light"], args.galaxies, np.random.default_rng(5)
    tables = {
        "its population": model.sample_conditions(n, galsim.BaseDeviate(7)),
        "its whole range": {
            each.name: rng.uniform(each.minimum, each.maximum, n) for each in model.spec.inputs
        },
    }
    print("| conditions | median | 99% | largest | above 1e-5 of the peak |\n|---|---|---|---|---|")
    for name, table in tables.items():
        found = []
        for first in range(0, n, AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            some = {key: np.asarray(table[key])[rows] for key in model.quantities}
            seeds = range(first, first + len(some[model.quantities[0]]))
            found.append(difference(models, some, seeds))
        gaps = np.concatenate(found)
        shares = "{:.1e} | {:.1e} | {:.1e}".format(*np.quantile(gaps, [0.5, 0.99, 1.0]))
        print(f"| {name} | {shares} | {np.sum(gaps > BAR)} of {n} |")


if __name__ == "__main__":
    main()

"""Judge maps of mass: by clusters seen in X-rays, and by simulated maps whose truth is known.

  python tests/benchmarks/bench_mass_map.py CATALOGUE
  python tests/benchmarks/bench_mass_map.py CATALOGUE --maps data/convergence --count 4

The first prints what the Kaiser-Squires map of the real COSMOS catalogue shows at the clusters of
examples/cosmos_clusters.ecsv, and what its B-mode is. With ``--maps``, held-out convergence maps
are seen through that catalogue's holes and noise, and mapped: error and correlation of the
posterior's mean against the Wiener filter, and how often the truth lies within the samples. Pixels
have much in common, so that the scatter between maps is printed too.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from astropy.table import Table

from galsim_hub import mass_mapping
from galsim_hub.flat_sky import shear_response

CLUSTERS = Path(__file__).parents[2] / "examples" / "cosmos_clusters.ecsv"
NEAR = 1.5  # [arcmin]


def print_clusters(shear_map: mass_mapping.ShearMap) -> None:
    """Print the direct map's significance at known clusters and of its extremes."""
    field, direct = shear_map.field, mass_mapping.kaiser_squires(shear_map)
    significance = direct.convergence / direct.noise_std
    b_mode = direct.b_mode / direct.noise_std
    print("cluster  ra        dec      z     there  highest within 1.5 arcmin")
    clusters = Table.read(CLUSTERS)
    x, y, _ = field.project(clusters["ra"], clusters["dec"])
    rows, columns = np.indices(field.shape)
    for row, i, j in zip(clusters, y, x, strict=True):
        near = np.hypot(rows - i, columns - j) * field.pixel_scale < NEAR
        there, highest = significance[round(i), round(j)], np.nanmax(significance[near])
        place = f"{row['ra']:.4f}  {row['dec']:.4f}  {row['redshift']:.2f}"
        print(f"{row['name']:>7}  {place}  {there:5.1f}  {highest:5.1f}")
    for name, values in (("E", significance), ("B", b_mode)):
        low, high, rms = np.nanmin(values), np.nanmax(values), np.nanstd(values)
        print(f"{name}-mode by its noise: lowest {low:.1f}, highest {high:.1f}, rms {rms:.2f}")


def see(truth: np.ndarray, noise: mass_mapping.ShearMap, seed: int) -> mass_mapping.ShearMap:
    """Return the shear of a map with the holes and the noise of another."""
    modes = shear_response(truth.shape) * np.fft.rfft2(truth)
    shear = np.fft.irfft2(modes, s=truth.shape)
    std = np.where(noise.is_seen, noise.noise_std, 0.0)
    shear += std * np.random.default_rng([seed, 0, 1]).standard_normal(shear.shape)
    return dataclasses.replace(noise, shear=np.where(noise.is_seen, shear, 0.0))


def judge(truth: np.ndarray, maps: mass_mapping.MassMaps, seen: np.ndarray) -> dict[str, float]:
    """Return the measures of one map, in its seen pixels."""
    true = truth[seen]
    # Sorted samples cut the line into n + 1 parts, and the truth is in each as often.
    rank = np.sum(maps.samples[:, seen] < true, axis=0)
    n = len(maps.samples)
    cut = max(1, round(0.16 * (n + 1)))
    measures = {
        "inside": np.mean((rank >= cut) & (rank <= n - cut)),
        "expected": (n + 1 - 2 * cut) / (n + 1),
        "between all": np.mean((rank > 0) & (rank < n)),
        "expected of all": (n - 1) / (n + 1),
    }
    for name, values in (("wiener", maps.wiener), ("mean", maps.mean)):
        measures[f"rmse {name}"] = np.sqrt(np.mean((values[seen] - true) ** 2))
        measures[f"r {name}"] = np.corrcoef(values[seen], true)[0, 1]
    return measures


def main() -> None:
    """Print one table or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--maps", type=Path, help="a folder of convergence maps")
    parser.add_argument("--prior", default="gaussian")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--samples", type=int, default=24)
    args = parser.parse_args()
    catalogue = mass_mapping.read_catalogue(args.catalogue)
    if args.maps is None:
        field = mass_mapping.field_around(catalogue)
        print_clusters(mass_mapping.make_shear_map(catalogue, field))
        return
    truths = np.load(args.maps / "test.npy", mmap_mode="r")
    field = mass_mapping.field_around(catalogue, shape=truths.shape[1:])
    shear_map = mass_mapping.make_shear_map(catalogue, field)
    spectrum, found = mass_mapping.read_spectrum(), []
    for number in np.linspace(0, len(truths) - 1, args.count).astype(int):
        truth = np.array(truths[number], dtype=np.float64)
        maps = mass_mapping.map_mass(
            see(truth, shear_map, int(number)),
            spectrum,
            prior=args.prior,
            n_samples=args.samples,
            seed=int(number),
        )
        found.append(judge(truth, maps, shear_map.is_seen))
    print(f"{args.count} maps, prior {args.prior}, {args.samples} samples each")
    for name in found[0]:
        values = [measures[name] for measures in found]
        print(f"{name:>16}  {np.mean(values):.4f}  scatter {np.std(values):.4f}")


if __name__ == "__main__":
    main()

"""Compare the power spectrum of convergence maps with theory; needs camb.

  python tests/benchmarks/bench_convergence.py data/convergence
  python tests/benchmarks/bench_convergence.py data/convergence --other kappa_tng_power_spectrum.npy

Theory is halofit (Takahashi et al. 2012) in the cosmology of the N-body planes, in Limber's
approximation, for the redshifts of the recipe. ``--other`` is an array (2, n): ell and C_ell [sr].
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import camb
import numpy as np
from camb import model

OMEGA_M, OMEGA_B, H, N_S, SIGMA8 = 0.26, 0.046, 0.7, 0.96, 0.8
HUBBLE_DISTANCE = 2997.92458  # [Mpc/h]
STEP = 20.0  # [Mpc/h] of the integral along the line of sight


def halofit() -> tuple[camb.CAMBdata, object]:
    """Return the background and the non-linear power spectrum, k [h/Mpc]."""
    physical = {"ombh2": OMEGA_B * H**2, "omch2": (OMEGA_M - OMEGA_B) * H**2, "mnu": 0.0}
    settings = camb.set_params(H0=100 * H, ns=N_S, As=2e-9, **physical)
    settings.set_matter_power(redshifts=[0.0], kmax=2.0)
    ratio = SIGMA8 / camb.get_results(settings).get_sigma8_0()
    settings.InitPower.set_params(ns=N_S, As=2e-9 * ratio**2)
    settings.NonLinear = model.NonLinear_both
    settings.NonLinearModel.set_params(halofit_version="takahashi")
    power = camb.get_matter_power_interpolator(settings, zs=np.linspace(0, 5, 30), zmax=5, kmax=100)
    return camb.get_results(settings), power


def limber(ell: np.ndarray, median: float, alpha: float, beta: float) -> np.ndarray:
    """Return C_ell of convergence [sr].

    Source: Bartelmann and Schneider 2001, Phys. Rep. 340, 291, equation 6.22.
    """
    background, power = halofit()
    z = np.linspace(0.005, 5.0, 1000)
    unit = np.linspace(0.0, 20.0, 20001)
    below = np.cumsum(unit**alpha * np.exp(-(unit**beta)))
    z0 = median / unit[np.searchsorted(below, 0.5 * below[-1])]
    sources = z**alpha * np.exp(-((z / z0) ** beta))
    behind = background.comoving_radial_distance(z) * H
    total = np.zeros_like(ell)
    for distance in np.arange(STEP / 2, behind[-1], STEP):
        lens = np.interp(distance, behind, z)
        lever = np.sum(sources * np.maximum(1 - distance / behind, 0)) / sources.sum()
        weight = 1.5 * OMEGA_M / HUBBLE_DISTANCE**2 * (1 + lens) * lever
        k = (ell + 0.5) / distance
        total += np.where(k < 100, STEP * weight**2 * power.P(lens, np.minimum(k, 100)), 0.0)
    return total


def main() -> None:
    """Print the ratios, a multipole a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--other", type=Path)
    args = parser.parse_args()
    manifest = json.loads((args.folder / "manifest.json").read_text())
    config, spectrum = manifest["config"], manifest["power_spectrum"]
    ell, train = np.array(spectrum["ell"]), np.array(spectrum["train"])
    ratios = {"validation/train": np.array(spectrum["validation"]) / train}
    ratios["test/train"] = np.array(spectrum["test"]) / train
    theory = limber(ell, config["median_redshift"], config["alpha"], config["beta"])
    ratios["train/halofit"] = train / theory
    if args.other:
        known = np.log(np.load(args.other))
        ratios[f"train/{args.other.stem}"] = train / np.exp(np.interp(np.log(ell), *known))
    print("    ell  train [sr]  " + "  ".join(ratios))
    for i in np.flatnonzero(ell < 15000):
        values = "  ".join(f"{ratio[i]:{len(name)}.3f}" for name, ratio in ratios.items())
        print(f"{ell[i]:7.0f}  {train[i]:10.3g}  {values}")


if __name__ == "__main__":
    main()

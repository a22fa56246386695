"""Print how good score priors and their samplers are: python tests/benchmarks/bench_score.py.

The first lines need nothing but the package. A learned prior of Gaussian fields is measured with
``--field MODULE`` (training/configs/gaussian_field.yaml); ``--train-field FOLDER`` trains it there
first, or goes on where it was stopped. Missing Fourier modes are measured with ``--maps
MODULE FOLDER``, where the folder holds test.npy (n, y, x), fields that the module has not seen, and
with ``--galaxies MODULE FOLDER`` of stamps (training/configs/galaxies_maps.yaml): what `training
validate` measures, and missing modes. ``--only-learned`` leaves the first lines out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import score
from training.commands.train import fit
from training.recipe_file import load_config
from training.release import folder_of
from training.score import validation
from training.score.export import export

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
SIDE, NOISE, CHAINS = 32, 0.5, 40
DRAWS, MORE = 10, 100  # of each chain: for the moments, and for R-hat to be free of chance
MODES, LEVEL = 0.25, 0.05  # share of modes that are measured, and their noise [std of a field]
STAMP_LEVEL = 1.0  # the same of stamps, whose few bright pixels stand out by far more


def red_power(k: np.ndarray) -> np.ndarray:
    """Return more power on large scales."""
    return 5.0 / (1.0 + (k / 0.3) ** 2) ** 2


def say(name: str, value: str, bar: str = "") -> None:
    """Print one line of the table."""
    print(f"| {name} | {value} | {bar} |", flush=True)


def measure_exact(prior: score.Prior, name: str, sample: Callable[..., score.Posterior]) -> None:
    """Sample a Gaussian field's posterior and compare with the Wiener filter."""
    truth = score.GaussianPrior(red_power, (SIDE, SIDE))
    rng = np.random.default_rng(2)
    data = truth.sample(1, seed=1)[0] + NOISE * rng.standard_normal((SIDE, SIDE))
    likelihood = score.GaussianLikelihood(score.Identity(), data, NOISE)
    starts = [np.repeat(data[None], CHAINS // 2, axis=0), truth.sample(CHAINS // 2, seed=7)]
    start = time.perf_counter()
    found = sample(prior, likelihood, np.concatenate(starts), seed=3, n_draws=MORE)
    seconds = time.perf_counter() - start
    some = found.chains[:: MORE // DRAWS].reshape(-1, SIDE, SIDE)
    found_mean = some.mean(axis=0) if found.expected is None else found.mean
    variance = truth.power * NOISE**2 / (truth.power + NOISE**2)
    mean = np.fft.irfft2(np.fft.rfft2(data) * variance / NOISE**2, s=(SIDE, SIDE))
    modes = np.fft.rfft2(some - mean, norm="ortho") / np.sqrt(variance)
    parts = np.sqrt(2) * np.stack([modes.real, modes.imag], -1)[:, :, 1 : SIDE // 2]
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, 1 : SIDE // 2])
    bands = np.digitize(k, [0.1, 0.2, 0.3, 0.4])
    ratios = [np.mean(parts[:, bands == band] ** 2) for band in range(5)]
    error = np.linalg.norm(found_mean - mean) / np.linalg.norm(mean)
    say(f"{name}: posterior mean off the Wiener filter, rel. L2", f"{error:.3f}", "0.05")
    say(f"{name}: variance ratio of 5 bands", f"{min(ratios):.3f}-{max(ratios):.3f}", "0.95-1.05")
    p_values = [stats.kstest(parts[:, i, 2, 0], "norm").pvalue for i in range(0, SIDE, 4)]
    say(f"{name}: KS p of 8 modes' residuals, lowest", f"{min(p_values):.4f}", "0.01")
    report = found.diagnostics
    r_hat, n_effective = report["r_hat"], report["effective_sample_size"]
    say(f"{name}: R-hat, median and largest", f"{np.median(r_hat):.3f}, {r_hat.max():.3f}", "1.02")
    say(f"{name}: effective samples a second, median", f"{np.median(n_effective) / seconds:.1f}")
    say(f"{name}: chi2 / N", f"{report['chi2'].mean() / report['n_data']:.3f}")


def measure_module(recipe: str, module: str, changes: tuple[str, ...] = (), pairs: int = 0) -> None:
    """Print what `training validate` measures."""
    config = load_config(CONFIGS / recipe, changes)
    _, rows = validation.measure(config, score.ScorePrior(module), pairs or None)
    for row in rows:
        say(*row)


def train_field(folder: Path) -> str:
    """Return the module of Gaussian fields, trained in a folder unless it is there."""
    changes = (f"workdir={folder / 'work'}", f"export.directory={folder / 'hub'}")
    config = load_config(CONFIGS / "gaussian_field.yaml", changes)
    module = folder_of(config.export)
    if not module.is_dir():
        fit("score", config)
        export(config)
    return str(module)


def measure_missing_modes(
    module: str, folder: str, n_fields: int = 4, n_chains: int = 8, *, is_stamps: bool = False
) -> None:
    """Fill in Fourier modes that were not measured.

    Intervals are those of pixels behind a tenth of the data's noise, truth and samples alike, and
    of the pixels themselves, most of which are empty in stamps.
    """
    prior = score.ScorePrior(module)
    fields = np.load(Path(folder) / "test.npy", mmap_mode="r")[:n_fields]
    side = min(fields.shape[1:]) // prior.multiple_of * prior.multiple_of
    fields = np.asarray(fields[:, :side, :side], np.float32)
    rng, noise = np.random.default_rng(4), (STAMP_LEVEL if is_stamps else LEVEL) * prior.std
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    chance = 1.0 / (1.0 + (k / 0.05) ** 2)  # denser at large scales, as scanners sample
    weights = (chance / chance.sum()).ravel()
    measured = rng.choice(k.size, round(MODES * k.size), replace=False, p=weights)
    operator = score.MaskedFourier(np.isin(np.arange(k.size), measured).reshape(k.shape), side)
    data = operator.forward(fields).numpy()
    data = np.repeat(data + noise * rng.standard_normal(data.shape), n_chains, axis=0)
    likelihood = score.GaussianLikelihood(operator, data, noise, is_batch=True)
    start = operator.adjoint(data).numpy()
    if is_stamps:  # behind as much noise as a galaxy has light
        found = score.noise_splitting(
            prior, likelihood, start, seed=1, n_steps=20, n_warmup=60, n_draws=8
        )
    else:
        found = score.annealed_hmc(prior, likelihood, start, seed=1, n_draws=4)
    chains = found.chains.reshape(-1, n_fields, n_chains, side, side)
    samples = np.moveaxis(chains, 2, 1).reshape(-1, n_fields, side, side)
    squares = [
        np.mean((x - fields) ** 2, axis=(1, 2)) for x in (start[::n_chains], samples.mean(0))
    ]
    gains = 10.0 * np.log10(squares[0] / squares[1])
    say(f"PSNR less that of zero-filled, {n_fields} fields [dB]", f"{np.mean(gains):+.2f}", "+5")
    say("chi2 / N of samples", f"{found.diagnostics['chi2'].mean() / data.shape[1]:.3f}")
    r_hat = np.median([score.r_hat(chains[:, i]) for i in range(n_fields)])
    say("R-hat of pixels, median", f"{r_hat:.3f}")
    count = f"{n_fields} x {side**2}"
    for name, level in {"a tenth of the noise": 0.1 * noise, "no noise": 0.0}.items():
        truth, drawn = (x + level * rng.standard_normal(x.shape) for x in (fields, samples))
        for share, bar in ((0.68, "68 +- 3"), (0.95, "95 +- 1.5")):
            held = score.calibration.interval_coverage(drawn, truth, share).mean()
            name_of = f"pixels within their {share:.0%} interval, behind {name}"
            say(name_of, f"{held:.1%} of {count}", bar if level else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--field", metavar="MODULE")
    parser.add_argument("--train-field", metavar="FOLDER", type=Path)
    parser.add_argument("--maps", nargs=2, metavar=("MODULE", "FOLDER"))
    parser.add_argument("--galaxies", nargs=2, metavar=("MODULE", "FOLDER"))
    parser.add_argument("--pairs", type=int, default=1000, help="of galaxies and blends")
    parser.add_argument("--fields", type=int, default=4, help="with missing modes")
    parser.add_argument("--only-learned", action="store_true")
    args = parser.parse_args()
    print("| quantity | value | bar |\n|---|---|---|")
    if not args.only_learned:
        exact = score.GaussianPrior(red_power, (SIDE, SIDE))
        measure_exact(exact, "exact score, HMC", score.annealed_hmc)
        measure_exact(exact, "exact score, split noise", score.noise_splitting)
        measure_module("two_moons.yaml", "hub:two_moons_score")
    if args.train_field:
        args.field = train_field(args.train_field)
    if args.field:
        measure_module("gaussian_field.yaml", args.field)
    if args.maps:
        measure_missing_modes(*args.maps, n_fields=args.fields)
    if args.galaxies:
        module, folder = args.galaxies
        measure_module("galaxy_score.yaml", module, (f"data.directory={folder}",), args.pairs)
        measure_missing_modes(module, folder, args.fields, is_stamps=True)

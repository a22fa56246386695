"""Print how well blends come apart: python tests/benchmarks/bench_deblending.py [--blends 100].

Pairs of galaxies of the catalogue's test split, which no module has seen, are drawn by GalSim
behind a Moffat PSF, each with a signal-to-noise ratio of 20, and separated twice: with the score
prior, and by least squares with no prior but positivity. Both know PSF, noise and centres.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import galsim
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import score
from galsim_hub.score import deblending
from galsim_hub.score.observed_scene import ObservedScene, observe
from galsim_hub.score.sampling.target import Target
from galsim_hub.score.scene import Scene, SceneLikelihood, ScenePrior
from training.data.galaxies import GalaxyDrawer
from training.recipe_file import load_config

SIDE, SNR = 48, 20.0  # [pixel]; of each galaxy alone
PSF = galsim.Moffat(beta=3.5, fwhm=0.18)  # [arcsec], about Euclid VIS
APART = (0.5, 1.2)  # [arcsec]
ITERATIONS = 150
RIVAL = "least squares, positive"


def draw_galaxies(drawer: GalaxyDrawer, n: int) -> list[galsim.GSObject]:
    """Return fitted galaxies of the test split, which the prior's stamps hold as it was told."""
    found = []
    for row in drawer.rows("test")[drawer.config.test :]:
        if len(found) == n:
            break
        _, inside = drawer.draw_fitted(row, np.zeros(2))
        if inside >= drawer.config.least_inside:
            galaxy = drawer.fitted(row)
            knots = [
                galsim.DeltaFunction(flux=galaxy.knot_flux).shift(*point) for point in galaxy.knots
            ]
            found.append(galsim.Sum([galaxy.smooth, *knots]))
    return found


def draw_pair(galaxies: list[galsim.GSObject], rng: np.random.Generator, scale: float):
    """Return images of two galaxies without noise, where each S/N is 20, and centres and fluxes."""
    angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(*APART) / scale
    half = 0.5 * apart * np.array([np.cos(angle), np.sin(angle)])
    centres = 0.5 * (SIDE - 1) + np.array([half, -half]) + rng.uniform(-0.5, 0.5, 2)
    images, fluxes = [], []
    for galaxy, centre in zip(galaxies, centres, strict=True):
        offset = tuple(centre - 0.5 * (SIDE - 1))
        drawn = galsim.Convolve(galaxy, PSF).drawImage(nx=SIDE, ny=SIDE, scale=scale, offset=offset)
        factor = SNR / np.linalg.norm(drawn.array)
        images.append(factor * drawn.array)
        fluxes.append(factor * galaxy.flux)
    return np.array(images), centres, np.array(fluxes)


def positive_least_squares(scene: Scene, image: np.ndarray) -> np.ndarray:
    """Return the images of the sources that fit best, no pixel of a stamp below zero (FISTA)."""
    data = tf.constant(image[None], tf.float32)
    x = tf.random.stateless_uniform(scene.adjoint(data).shape, [1, 2])
    size = tf.constant(1.0)  # to become the largest eigenvalue of A^T A
    for _ in range(10):
        x = scene.adjoint(scene.forward(x))
        size = tf.norm(x)
        x = x / size
    rate = 0.9 / size

    @tf.function(autograph=False)
    def step(old, ahead, weight):
        new = tf.nn.relu(ahead + rate * scene.adjoint(data - scene.forward(ahead)))
        following = 0.5 * (1.0 + tf.sqrt(1.0 + 4.0 * weight**2))
        return new, new + (weight - 1.0) / following * (new - old), following

    state = (tf.zeros_like(x), tf.zeros_like(x), tf.constant(1.0))
    for _ in range(ITERATIONS):
        state = step(*state)
    return scene.forward_each(state[0][0]).numpy()


def compare_with_truth(
    galaxies: list[galsim.GSObject],
    fluxes: np.ndarray,
    found: score.Deblended,
    seen: ObservedScene,
    prior: score.ScorePrior,
) -> tuple[float, float, float]:
    """Return the log density of the mode less that of the truth, and the chi2 of both, a pixel."""
    scene = seen.scene(seen.rough_fluxes())
    behind = galsim.Gaussian(fwhm=prior.smoothing)
    ny, nx = prior.event_shape
    stamps = [
        galsim.Convolve(galaxy.withFlux(flux), behind)
        .drawImage(nx=nx, ny=ny, scale=prior.pixel_scale, offset=tuple(off), method="no_pixel")
        .array
        for galaxy, flux, off in zip(galaxies, fluxes, scene.offsets, strict=True)
    ]
    truth, mode = (
        tf.constant(x[None] / scene.scales[:, None, None], tf.float32)
        for x in (np.array(stamps), found.most_probable)
    )
    likelihood = SceneLikelihood(scene, seen.image, seen.noise_std, seen.mask)
    whole = ScenePrior(prior)
    last = deblending.chain_levels(prior, seen, seen.rough_fluxes())[1]
    gain = Target(whole, likelihood, mode).log_ratio(truth, mode, tf.constant(last))
    chi2 = [float(likelihood.chi2(x)[0]) / seen.image.size for x in (mode, truth)]
    return float(gain[0]), *chi2


def separate(
    pair: tuple, prior: score.ScorePrior, seed: int, n_samples: int
) -> tuple[dict[str, np.ndarray], score.Deblended, ObservedScene]:
    """Return the images of both sources by every method, what deblend found, and in what."""
    truth, centres, _ = pair
    noise = np.random.default_rng(seed).standard_normal(truth.shape[1:])
    image = truth.sum(axis=0) + noise
    found = score.deblend(image, PSF, 1.0, centres, seed=seed, prior=prior, n_samples=n_samples)
    seen = observe(image, PSF, 1.0, centres, prior, pixel_scale=None, mask=None)
    parts = {
        "score prior, mode": found.images(found.most_probable),
        RIVAL: positive_least_squares(seen.scene(np.ones(2)), image),
    }
    if n_samples:
        parts["score prior, mean of samples"] = found.images()
    return parts, found, seen


def report(name: str, errors: np.ndarray, ratios: np.ndarray, rival: np.ndarray) -> None:
    """Print the rows of one method, from an error and a ratio of fluxes an object."""
    n, spread = ratios.size, ratios.std() / np.sqrt(ratios.size)
    say(f"{name}: flux bias, mean of {n}", f"{ratios.mean() - 1:+.3f} +- {spread:.3f}", "0.01")
    say(f"{name}: flux bias, median of {n}", f"{np.median(ratios) - 1:+.3f}", "0.01")
    say(f"{name}: scatter of fluxes", f"{ratios.std():.3f}")
    say(f"{name}: MSE of an object's image [noise variance]", f"{errors.mean():.4f}")
    if name != RIVAL:
        say(
            f"{name}: mean MSE below least squares",
            f"{1 - errors.mean() / rival.mean():.0%}",
            "30%",
        )
        gain = np.median(1 - errors / rival)
        say(f"{name}: MSE of the median object below least squares", f"{gain:.0%}", "30%")


def say(name: str, value: str, bar: str = "") -> None:
    """Print one line of the table."""
    print(f"| {name} | {value} | {bar} |", flush=True)


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    prior = score.ScorePrior(args.module)
    config = load_config(args.recipe, [f"catalogue={args.catalogue}"])
    galaxies = draw_galaxies(GalaxyDrawer(config), 2 * args.blends)
    rng, start = np.random.default_rng(2022), time.perf_counter()
    errors, ratios, drawn, true, modes = defaultdict(list), defaultdict(list), [], [], []
    for number in range(args.blends):
        two = galaxies[2 * number : 2 * number + 2]
        pair = draw_pair(two, rng, prior.pixel_scale)
        parts, found, seen = separate(pair, prior, number, args.samples)
        modes.append(compare_with_truth(two, pair[2], found, seen, prior))
        for name, images in parts.items():
            errors[name].append(np.mean((images - pair[0]) ** 2, axis=(1, 2)))
            ratios[name].append(images.sum(axis=(1, 2)) / pair[0].sum(axis=(1, 2)))
        drawn.append(found.samples.sum(axis=(2, 3)))
        true.append(pair[2])
        print(f"# {number + 1} blends, {time.perf_counter() - start:.0f} s", flush=True)
    print("| quantity | value | bar |\n|---|---|---|")
    for name in errors:
        report(name, np.array(errors[name]), np.array(ratios[name]), np.array(errors[RIVAL]))
    gain, *chi2 = np.median(modes, axis=0)
    say(f"log density of the mode above the truth's, median of {len(modes)} [nat]", f"{gain:.0f}")
    say("chi2 / N of the mode, of the truth, median", f"{chi2[0]:.3f}, {chi2[1]:.3f}")
    if args.samples > 1:
        samples, fluxes = np.concatenate(drawn, axis=1), np.concatenate(true)
        for level, bar in ((0.68, "68 +- 3"), (0.95, "95 +- 1.5")):
            held = score.calibration.interval_coverage(samples, fluxes, level)
            chance = np.sqrt(level * (1 - level) / len(fluxes))
            text = f"{held:.1%} +- {chance:.1%} of {len(fluxes)}"
            say(f"fluxes within their {level:.0%} interval", text, bar)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", default="hub:galaxy_score")
    parser.add_argument("--recipe", default="training/configs/galaxies_maps.yaml")
    parser.add_argument("--catalogue", default="data/src_cosmos.fits")
    parser.add_argument("--blends", type=int, default=100)
    parser.add_argument(
        "--samples", type=int, default=8, help="of each posterior; 0 for the mode alone"
    )
    main(parser.parse_args())

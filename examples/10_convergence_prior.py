"""From a simulation to a mass map: python examples/10_convergence_prior.py.

A light cone gives convergence maps, whose power spectrum is a prior. A map that it has not seen is
observed as noisy shear, and sampled under that prior. The folder output/convergence then holds the
maps as recipes of learned priors read them.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from galsim_hub import flat_sky, score
from galsim_hub import particle_mesh as pm

N_CELLS = 64
N_MAPS = 96
BOX = pm.Box(N_CELLS, 128.0)  # [Mpc/h]
GROWTH = pm.Growth(pm.Planck18())
SOURCE = 0.5  # scale factor
FIELD, N_PIXELS, BORDER = 3.0, 96, 12  # [deg], and pixels without galaxies on each side
PIXEL = 60.0 * FIELD / N_PIXELS  # [arcmin]
NOISE = 0.26 / np.sqrt(30.0 * PIXEL**2)  # of a shear component, 30 galaxies in a square arcmin

rng = np.random.default_rng(9)
stages = pm.scale_factors(0.1, 1.0, 10)
edges = np.arange(0.0, GROWTH.cosmology.comoving_distance(SOURCE) + BOX.size[2], BOX.size[2])
linear = pm.linear_field(BOX, pm.EisensteinHu(GROWTH.cosmology), seed=6)
particles = pm.start(linear, BOX, GROWTH, stages[0])
planes, _ = pm.light_cone(particles, BOX, GROWTH, stages, edges, n_pixels=2 * N_CELLS)


def look_elsewhere(plane):
    """Shift and turn a plane, so that one box gives many maps."""
    shift = rng.integers(2 * N_CELLS, size=2)
    turned = np.rot90(np.roll(plane.contrast, shift, axis=(0, 1)), rng.integers(4))
    return plane._replace(contrast=turned.copy())


options = {"source": SOURCE, "field": FIELD, "n_pixels": N_PIXELS}
others = [[look_elsewhere(plane) for plane in planes] for _ in range(N_MAPS)]
maps = np.stack([pm.born_convergence(o, GROWTH.cosmology, **options) for o in others])
folder = Path("output/convergence")
folder.mkdir(parents=True, exist_ok=True)
splits = dict(zip(("train", "validation", "test"), np.split(maps, [-8, -4]), strict=True))
for split, part in splits.items():
    np.save(folder / f"{split}.npy", part)
(folder / "manifest.json").write_text(json.dumps({"pixel_scale_arcmin": PIXEL}))

ell, power = flat_sky.power_spectrum(splits["train"], PIXEL)
radian = np.deg2rad(PIXEL / 60.0)
prior = score.GaussianPrior(
    lambda k: np.interp(k, ell * radian, power / radian**2), (N_PIXELS, N_PIXELS)
)
truth, shear = splits["test"][:1], score.KaiserSquires((N_PIXELS, N_PIXELS))
data = shear.forward(truth)[0].numpy() + NOISE * rng.standard_normal((2, N_PIXELS, N_PIXELS))
is_seen = np.pad(np.ones([N_PIXELS - 2 * BORDER] * 2, bool), BORDER)
likelihood = score.GaussianLikelihood(shear, data, NOISE, mask=is_seen)
posterior = score.annealed_hmc(prior, likelihood, prior.sample(8, seed=1), seed=2, n_draws=8)


direct = shear.adjoint(np.where(is_seen, data, 0.0)[None])[0].numpy()
panels = {
    "Truth": truth[0],
    "Direct inversion": direct,
    "Posterior mean": posterior.mean,
    "One sample": posterior.samples[0],
}
figure = Figure(figsize=(13, 3.7), layout="constrained")
for axes, (title, field) in zip(figure.subplots(1, 4), panels.items(), strict=True):
    shown = field[BORDER:-BORDER, BORDER:-BORDER]
    correlation = np.corrcoef(shown.ravel(), truth[0][BORDER:-BORDER, BORDER:-BORDER].ravel())[0, 1]
    print(f"{title}: correlation with the truth {correlation:.3f}")
    axes.imshow(shown, origin="lower", cmap="magma", vmin=-0.02, vmax=0.04)
    axes.set(title=title, xticks=[], yticks=[])
figure.savefig("output/convergence_prior.png", dpi=90)

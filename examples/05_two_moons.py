"""See a learned score prior whole: python examples/05_two_moons.py.

Two half circles are a prior of two numbers. The picture shows its score behind much and behind
little noise, samples of it, and the posterior of a point of which only one coordinate was measured.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import galsim_hub
from galsim_hub import score

N_SAMPLES = 2000
MEASURED, NOISE = 0.0, 0.1  # of the first coordinate


class FirstCoordinate:
    """See the first of two coordinates."""

    gram = 1.0

    def forward(self, x):
        """Return A x, shape (n, 1)."""
        return x[:, :1]

    def adjoint(self, y):
        """Return A^T y, shape (n, 2)."""
        return y * np.array([[1.0, 0.0]], np.float32)


prior = galsim_hub.load("hub:two_moons_score")
samples = prior.sample(N_SAMPLES, seed=1)
likelihood = score.GaussianLikelihood(FirstCoordinate(), [MEASURED], NOISE)
# As many chains as samples: each cools into one of the two moons and stays there.
posterior = score.annealed_hmc(prior, likelihood, np.zeros((N_SAMPLES, 2)), seed=2, sigma=(2, 0.02))

axis = np.linspace(-2, 2, 21)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
figure = Figure(figsize=(14, 3.8), layout="constrained")
axes = figure.subplots(1, 4, sharex=True, sharey=True)
for panel, sigma in zip(axes, (0.5, 0.1), strict=False):
    arrows = sigma * prior.score(grid, sigma).numpy()
    panel.plot(*samples.T, ",", color="tab:orange")
    panel.quiver(*grid.T, *arrows.T, scale_units="xy", scale=12)
    panel.set_title(f"Score behind noise of {sigma}")
axes[2].plot(*samples.T, ".", markersize=1)
axes[2].set_title("Samples of the prior")
axes[3].axvspan(MEASURED - NOISE, MEASURED + NOISE, alpha=0.2)
axes[3].plot(*posterior.samples.T, ".", markersize=1)
axes[3].set_title("Samples of the posterior")
for panel in axes:
    panel.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
Path("output").mkdir(exist_ok=True)
figure.savefig("output/two_moons.png", dpi=90)

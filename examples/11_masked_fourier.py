"""Fill in what a scanner did not measure: python examples/11_masked_fourier.py.

A quarter of a galaxy's Fourier modes are measured, with noise, as MRI scanners and interferometers
do. With zeros for the others the picture has ripples; with a prior of galaxies it has none, and the
samples say how far to trust it.
"""

from pathlib import Path

import galsim
import numpy as np
from matplotlib.figure import Figure

import galsim_hub
from galsim_hub import score

N_GALAXIES = 4
N_CHAINS = 12
N_SWEEPS = 60
SHARE, NOISE = 0.25, 0.006  # of the modes; on each, for a galaxy of flux one

prior = galsim_hub.load("hub:galaxy_score")
side, rng = prior.event_shape[0], np.random.default_rng(9)
model = galsim_hub.GenerativeGalaxyModel("hub:cosmos")
catalog = {"flux_radius": [9.0] * N_GALAXIES, "mag_auto": [23.0] * N_GALAXIES}
galaxies = model.sample(catalog | {"zphot": [0.7] * N_GALAXIES}, rng=galsim.BaseDeviate(9))
smoothing = galsim.Gaussian(fwhm=prior.smoothing)
truth = np.array(
    [
        galsim.Convolve(galaxy.withFlux(1.0), smoothing)
        .drawImage(nx=side, ny=side, scale=prior.pixel_scale)
        .array
        for galaxy in galaxies
    ]
)

# Scanners measure the large scales densely and the small ones here and there.
k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
chance = 1.0 / (1.0 + (k / 0.1) ** 2)
weights = (chance / chance.sum()).ravel()
measured = rng.choice(k.size, round(SHARE * k.size), replace=False, p=weights)
operator = score.MaskedFourier(np.isin(np.arange(k.size), measured).reshape(k.shape), side)
data = operator.forward(truth).numpy()
data = data + NOISE * rng.standard_normal(data.shape)
filled = operator.adjoint(data).numpy()

# Every chain has a galaxy of its own to look at, and all of them advance together.
likelihood = score.GaussianLikelihood(
    operator, np.repeat(data, N_CHAINS, axis=0), NOISE, is_batch=True
)
starts = np.repeat(filled, N_CHAINS, axis=0)
posterior = score.noise_splitting(prior, likelihood, starts, seed=9, n_steps=20, n_warmup=N_SWEEPS)
samples = posterior.samples.reshape(N_GALAXIES, N_CHAINS, side, side)
mean, std = samples.mean(axis=1), samples.std(axis=1, ddof=1)

errors = [np.mean((images - truth) ** 2, axis=(1, 2)) for images in (filled, mean)]
gains = 10.0 * np.log10(errors[0] / errors[1])
print(f"PSNR above the zero-filled [dB]: {np.round(gains, 1)}")
chi2 = posterior.diagnostics["chi2"].mean() / data.shape[1]
print(f"chi2 / N of the samples: {chi2:.2f}")

figure = Figure(figsize=(9, 2.2 * N_GALAXIES), layout="constrained")
names = ("truth", "zero-filled", "mean of samples", "a sample", "standard deviation")
columns = (truth, filled, mean, samples[:, 0], std)
for row, axes in enumerate(figure.subplots(N_GALAXIES, 5, squeeze=False)):
    for name, images, panel in zip(names, columns, axes, strict=True):
        top = std[row].max() if images is std else truth[row].max()
        panel.imshow(np.arcsinh(20 * images[row] / top), origin="lower", vmin=-1.5, vmax=3.7)
        panel.set(xticks=[], yticks=[], title=name if row == 0 else "")
Path("output").mkdir(exist_ok=True)
figure.savefig("output/masked_fourier.png", dpi=90)

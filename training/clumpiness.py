"""How much of the galaxies' light is in clumps, from what the smooth fits leave over.

Clumps of a share s of a component's light e D(x), in N equal points drawn from its profile D, add
to the noise of a stamp the covariance q e^2 (diag D - D D^T) behind the PSF, with q the mean of
s^2 / N. Of a single faint galaxy q cannot be told, but the mean over all galaxies of a kind can: it
is the coefficient of the score test for that covariance. With y = P^T Sigma^-1 (x - P g), the
residual of the smooth galaxy g, and W = sum_k e_k^2 (diag D_k - D_k D_k^T), the statistic is

    T = y^T W y,    E[T] = tr(W H) + q tr(W H W H),    H = P^T Sigma^-1 P.

A fit that is not perfect leaves over more than noise. How much, smooth galaxies of the model itself
tell, observed and fitted alike.
"""

import hashlib
import pathlib
from collections.abc import Iterator

import galsim
import numpy as np
import tensorflow as tf

from . import losses
from .config import Config
from .data.noise import draw_noise
from .data.pipeline import StampSet
from .models.base import TINY, base_parameters, softened_sersic
from .models.clumps import MEAN_INVERSE_NUMBER, Clumpiness, clump_features, hosting
from .models.vae import VAE
from .tables import cached, random_rows

GALAXIES = {"train": 10_240, "validation": 1024}
BATCH = 64
UNIT = MEAN_INVERSE_NUMBER / 3.0  # of signals: q of galaxies that may have all light in clumps
SPREAD = 0.1  # [UNIT] of q among galaxies, about: bounds how much a bright one counts
NAMES = ("features", "smooth_features", "signal", "smooth_signal", "weight", "smooth_weight")


def score_test(
    residual: tf.Tensor,
    psf: tf.Tensor,
    noise_power: tf.Tensor,
    noise_variance: tf.Tensor,
    light: tf.Tensor,
    flux: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return an estimate of q, and the inverse of its variance without clumps, both (n,).

    Parameters
    ----------
    residual
        float32 (n, s, s) [count].
    psf
        (n, p, p), p odd, centred on the central pixel.
    noise_power
        Expected periodogram of unit-variance noise, (s, s // 2 + 1).
    noise_variance
        (n,) [count^2].
    light
        Profiles D that host clumps, (n, k, s, s), each of sum 1.
    flux
        Their fluxes e, (n, k) [count].
    """
    size = residual.shape[-1]
    before = (size - psf.shape[-1] + 1) // 2
    after = size - psf.shape[-1] - before
    spread = tf.pad(psf, [[0, 0], [before, after], [before, after]])
    transfer = tf.signal.rfft2d(tf.roll(spread, [-(size // 2)] * 2, axis=[1, 2]))
    power = tf.cast(noise_power * noise_variance[:, None, None], tf.complex64)
    score = tf.signal.irfft2d(
        tf.math.conj(transfer) * tf.signal.rfft2d(residual) / power, [size, size]
    )
    precision = transfer * tf.math.conj(transfer) / power
    kernel = tf.signal.irfft2d(precision, [size, size])
    squared = tf.signal.rfft2d(kernel**2)
    weight = flux**2
    mixed = tf.einsum("nk,nkyx->nyx", weight, light)
    seen = tf.signal.irfft2d(tf.signal.rfft2d(light) * precision[:, None], [size, size])
    projected = tf.einsum("nkyx,nyx->nk", light, score)
    statistic = tf.einsum("nyx,nyx->n", mixed, score**2)
    statistic -= tf.reduce_sum(weight * projected**2, axis=1)
    overlap = tf.einsum("nkyx,nlyx->nkl", light, seen)
    expected = kernel[:, 0, 0] * tf.reduce_sum(weight, axis=1)
    expected -= tf.reduce_sum(weight * tf.linalg.diag_part(overlap), axis=1)
    spread_out = tf.signal.irfft2d(tf.signal.rfft2d(mixed) * squared, [size, size])
    response = tf.einsum("nyx,nyx->n", mixed, spread_out)
    response -= 2.0 * tf.einsum("nk,nyx,nkyx->n", weight, mixed, seen**2)
    response += tf.einsum("nk,nl,nkl->n", weight, weight, overlap**2)
    response = tf.maximum(response, 1e-12)  # a galaxy without hosts tells nothing
    return (statistic - expected) / response, 0.5 * response


class Clumps:
    """The signal of clumps in stamps, and in smooth galaxies of the model seen alike."""

    def __init__(self, vae: VAE, stamps: StampSet):
        self.vae, self.stamps = vae, stamps
        self.power = tf.constant(stamps.noise_power[0])
        self._measure = tf.function(self._measure_batch, autograph=False)
        self._smooth = tf.function(self._smooth_batch, autograph=False)
        self._noise = galsim.getCOSMOSNoise()
        self._scale = stamps.manifest["config"]["pixel_scale"]

    def table(self, split: str, count: int) -> dict[str, np.ndarray]:
        """Return `NAMES` for the first `count` galaxies of a split."""
        rows: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
        batches = self.stamps.ordered(split, BATCH).take(-(-count // BATCH))
        for number, stamps in enumerate(batches):
            codes, *real = self._measure(stamps, tf.constant([number, 0]))
            image = self._smooth(codes, stamps["psf"]).numpy()
            for i, variance in enumerate(stamps["noise_variance"].numpy()):
                rng = galsim.BaseDeviate(1 + BATCH * number + i)
                noise = self._noise.copy(rng=rng).withVariance(float(variance))
                image[i] += draw_noise(noise, image.shape[-1], self._scale)
            observed = stamps | {"image": tf.constant(image)}
            _, *smooth = self._measure(observed, tf.constant([number, 1]))
            for name, values in zip(NAMES[::2], real, strict=True):
                rows[name].append(values.numpy())
            for name, values in zip(NAMES[1::2], smooth, strict=True):
                rows[name].append(values.numpy())
        return {name: np.concatenate(parts)[:count] for name, parts in rows.items()}

    def _smooth_batch(self, codes: tf.Tensor, psf: tf.Tensor) -> tf.Tensor:
        return losses.convolve(self.vae.decode(codes)[0], psf)

    def _measure_batch(self, stamps: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple:
        """Return codes, features, signal and its weight."""
        mean, log_scale = self.vae.posterior(stamps)
        codes = mean + tf.exp(log_scale) * tf.random.stateless_normal(tf.shape(mean), seed)
        raw, log_flux = self.vae.trunk(mean)
        residual = stamps["image"] - losses.convolve(self.vae.decode(mean)[0], stamps["psf"])
        params = base_parameters(raw, self.vae.components)
        light = softened_sersic(params, self.vae.stamp_size)
        light /= tf.reduce_sum(light, axis=[2, 3], keepdims=True) + TINY
        flux = tf.exp(log_flux) * params["share"] * hosting(params)
        signal, information = score_test(
            residual, stamps["psf"], self.power, stamps["noise_variance"], light, flux
        )
        weight = 1.0 / (1.0 / (information * UNIT**2) + SPREAD**2)
        return codes, clump_features(codes, stamps["conditions"]), signal / UNIT, weight


class ClumpTask:
    """Fit `Clumpiness` to the signal of the training split by weighted least squares."""

    def __init__(self, config: Config, tables: dict[str, dict[str, np.ndarray]]):
        self.fit, self.tables = config.fit_clumps, tables
        train = tables["train"]
        content = b"".join(train[name].tobytes() for name in NAMES)
        self.identity = hashlib.sha256(content).hexdigest()
        self.model = Clumpiness(train["features"].shape[1])
        self.model.standardise_by(train["features"])
        self.mean_weight = float(np.mean(train["weight"]))

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield random rows of the table, a function of seed and step."""
        return random_rows(self.tables["train"], self.fit, step)

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the weighted mean square of signal less expectation, real and smooth."""
        misfit = self.model.baseline(batch["features"])
        clumps = self.model.largest_squared(batch["features"])
        real = self._squares(batch["signal"], clumps + misfit, batch["weight"])
        misfit = self.model.baseline(batch["smooth_features"])
        smooth = self._squares(batch["smooth_signal"], misfit, batch["smooth_weight"])
        return {"loss": real + smooth, "real": real, "smooth": smooth}

    def _squares(self, signal: tf.Tensor, expected: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(weight * (signal - expected) ** 2) / self.mean_weight

    def validate(self) -> dict[str, float]:
        """Return the loss on the validation split, and the mean of the largest share."""
        held_out = {k: tf.constant(v) for k, v in self.tables["validation"].items()}
        parts = self.loss(held_out, tf.constant(0), tf.constant([0, 0]))
        share = tf.reduce_mean(self.model(held_out["features"]))
        return {k: float(v) for k, v in parts.items()} | {"mean_largest_share": float(share)}

    def picture(self, path: pathlib.Path) -> None:
        """Save signal and model against magnitude and redshift."""
        from .pictures import clump_figure

        held_out = self.tables["validation"]
        model = self.model.largest_squared(tf.constant(held_out["features"])).numpy()
        clump_figure(held_out, model).savefig(path, dpi=80)


def cached_tables(
    vae: VAE, stamps: StampSet, path: pathlib.Path
) -> dict[str, dict[str, np.ndarray]]:
    """Return the tables of train and validation splits, measured once an auto-encoder."""
    clumps = Clumps(vae, stamps)

    def make() -> dict[str, dict[str, np.ndarray]]:
        counts = {split: min(count, stamps.count(split)) for split, count in GALAXIES.items()}
        return {split: clumps.table(split, count) for split, count in counts.items()}

    return cached(path, [vae.encoder, vae.trunk], NAMES, make)

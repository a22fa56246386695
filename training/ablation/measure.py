"""Measure a trained variant on the validation split, by the paper's protocol made small.

Every variant is measured with the PSFs, the noise and the likelihood of the base, whatever it was
trained with.
"""

import galsim
import numpy as np
import tensorflow as tf

from .. import losses
from ..config import FitConfig
from ..data.noise import draw_noise
from ..data.pipeline import StampSet
from ..latents import encode_split
from ..models.vae import VAELoss
from ..validation import distances, moments
from ..validation.latents import median_excess, nearest
from ..validation.scenes import BATCH, SEED
from .fit import Fitted
from .switches import SwitchedStamps

STATISTICS = ("flux", "g", "sigma", "rho4")
Table = dict[str, np.ndarray]
Values = dict[str, tuple[float, float]]


def data_table(stamps: StampSet) -> Table:
    """Return the HSM moments of the validation split's own stamps."""
    rows = [
        moments.measure(image)
        for batch in stamps.ordered("validation", BATCH)
        for image in batch["image"].numpy()
    ]
    return as_table(rows)


def generated_table(fitted: Fitted, stamps: StampSet, draws: int) -> tuple[Table, np.ndarray]:
    """Return the moments of galaxies drawn at the split's conditions, seen with its PSFs and noise.

    Each row of conditions is drawn `draws` times; beside the moments stand the means of the codes
    in which the variant's encoder sees the first draws, (n, latent_size).
    """
    rng = np.random.default_rng(SEED)
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(SEED))
    scale = stamps.manifest["config"]["pixel_scale"]
    encode = tf.function(lambda *inputs: fitted.vae.encoder(inputs)[0])
    generate = tf.function(lambda *inputs: seen_galaxies(fitted, *inputs))
    rows, codes = [], []
    mine = fitted.stamps.ordered("validation", BATCH)
    for batch, own in zip(stamps.ordered("validation", BATCH), mine, strict=True):
        variances = batch["noise_variance"].numpy()
        for draw in range(draws):
            shape = (len(variances), fitted.vae.code_size)
            normal = rng.standard_normal(shape).astype(np.float32)
            images = generate(normal, batch["conditions"], batch["psf"]).numpy().astype(float)
            for image, variance in zip(images, variances, strict=True):
                image += draw_noise(noise.withVariance(variance), len(image), scale)
                rows.append(moments.measure(image))
            if draw == 0:
                inputs = (images.astype(np.float32), own["psf"], own["noise_variance"])
                codes.append(encode(*inputs).numpy())
    return as_table(rows), np.concatenate(codes)


def seen_galaxies(
    fitted: Fitted, normal: tf.Tensor, conditions: tf.Tensor, psfs: tf.Tensor
) -> tf.Tensor:
    """Return new galaxies behind PSFs, noiseless, (n, y, x), from `normal` (n, code_size)."""
    size = fitted.vae.vector_size
    vectors = fitted.flow.sample(normal[:, :size], conditions)
    images = fitted.vae.decode(tf.concat([vectors, normal[:, size:]], axis=1))[0]
    return losses.convolve(images, psfs)


def as_table(rows: list[tuple[float, ...]]) -> Table:
    """Return flux, g, sigma and rho4, NaN where HSM failed."""
    columns = dict(zip(moments.FIELDS, np.array(rows).T, strict=True))
    columns["g"] = np.hypot(columns["g1"], columns["g2"])
    return {name: columns[name] for name in STATISTICS}


def ks_values(one: Table, other: Table) -> Values:
    """Return the KS distances of two tables and their bootstrap errors."""
    return {
        f"ks_{name}": (
            distances.ks(one[name], other[name]),
            distances.bootstrap_error(distances.ks, one[name], other[name]),
        )
        for name in STATISTICS
    }


def validation_loss(fitted: Fitted, stamps: StampSet, fit: FitConfig) -> tuple[float, float]:
    """Return the base's loss of the whole split [nat a galaxy] and its standard error.

    The posterior is that of the variant's encoder on what it sees, the prior the variant's flow,
    and the likelihood the base's: a bound on the evidence of the very generator that is drawn from,
    whichever loss it was trained with.
    """
    mag_column = stamps.manifest["conditions"].index("mag_auto")
    loss = VAELoss(fitted.vae, fit, stamps.noise_power, mag_column, fitted.flow)
    terms = tf.function(lambda *inputs: loss_of_each(fitted, loss, *inputs))
    mine = fitted.stamps.ordered("validation", BATCH)
    found = [
        terms(batch, own, tf.constant([SEED, number], tf.int64)).numpy()
        for number, (batch, own) in enumerate(
            zip(stamps.ordered("validation", BATCH), mine, strict=True)
        )
    ]
    each = np.concatenate(found)
    return float(each.mean()), float(each.std() / np.sqrt(len(each)))


def loss_of_each(
    fitted: Fitted,
    loss: VAELoss,
    stamps: dict[str, tf.Tensor],
    seen: dict[str, tf.Tensor],
    seed: tf.Tensor,
) -> tf.Tensor:
    """Return the loss of each stamp, (n,), which the encoder sees as `seen`."""
    noise = tf.random.stateless_normal([tf.shape(stamps["image"])[0], fitted.vae.code_size], seed)
    mean, log_scale = fitted.vae.posterior(seen, noise[:, : fitted.vae.vector_size])
    codes = mean + tf.exp(log_scale) * noise
    images = fitted.vae.decode(codes)[0]
    misfit = loss.misfit(loss.excess_chi_square(images, stamps), stamps["conditions"])
    divergence = loss.divergence(codes, mean, log_scale, stamps["conditions"])
    return misfit + loss.fit.kl_weight * divergence


def memorisation_values(fitted: Fitted, codes: np.ndarray) -> Values:
    """Return how near generated galaxies are to training galaxies, in the variant's own codes.

    `codes` are those of generated stamps. The key ``memorisation`` compares with how near held-out
    galaxies are. A variant trained on one half is also asked how much nearer generated
    (``own_half``) and held-out galaxies (``own_half_held_out``) are to that half than to the other.
    """
    train, held_out = (fitted.latents[split]["mean"] for split in ("train", "validation"))
    spread = train.std(axis=0)
    codes, train, held_out = codes / spread, train / spread, held_out / spread
    values = {"memorisation": median_excess(nearest(codes, train), nearest(held_out, train))}
    if fitted.stamps.half is None:
        return values
    stamps = fitted.stamps
    far = SwitchedStamps(str(stamps.directory), 1 - stamps.half, stamps.switch)
    other = encode_split(fitted.vae, far, "train")["mean"] / spread
    size = min(len(train), len(other))
    for key, points in (("own_half", codes), ("own_half_held_out", held_out)):
        values[key] = median_excess(nearest(points, train[:size]), nearest(points, other[:size]))
    return values

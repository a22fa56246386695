"""The posterior of every galaxy of the stamp set, on which the flow is trained."""

import pathlib

import numpy as np
import tensorflow as tf

from .data.pipeline import StampSet
from .models.vae import VAE
from .tables import SPLITS, cached

NAMES = ("mean", "log_scale", "conditions")


def encode_split(vae: VAE, stamps: StampSet, split: str, batch: int = 128) -> dict[str, np.ndarray]:
    """Return mean, log_scale (n, latent_size) and conditions (n, 3) of a split, in file order.

    Of the vector alone: the prior of the texture is known.
    """
    encode = tf.function(
        lambda s: vae.encoder([s["image"], s["psf"], s["noise_variance"]])[:2], autograph=False
    )
    rows: dict[str, list[np.ndarray]] = {"mean": [], "log_scale": [], "conditions": []}
    for group in stamps.ordered(split, batch):
        mean, log_scale = encode(group)
        for name, value in zip(rows, (mean, log_scale, group["conditions"]), strict=True):
            rows[name].append(value.numpy())
    return {k: np.concatenate(v) for k, v in rows.items()}


def cached_latents(
    vae: VAE, stamps: StampSet, path: pathlib.Path
) -> dict[str, dict[str, np.ndarray]]:
    """Return the posteriors of train and validation splits, encoding them once an encoder."""

    def make() -> dict[str, dict[str, np.ndarray]]:
        return {split: encode_split(vae, stamps, split) for split in SPLITS}

    return cached(path, [vae.encoder], NAMES, make)

"""The posterior of every galaxy of the stamp set, on which the flow is trained."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from .data.pipeline import StampSet
from .models.vae import VAE


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
    mine = hashlib.sha256(b"".join(w.tobytes() for w in vae.encoder.get_weights())).hexdigest()
    if encoder_of(path) != mine:
        tables = {s: encode_split(vae, stamps, s) for s in ("train", "validation")}
        part = path.with_name("part." + path.name)
        arrays = {f"{s}/{k}": v for s, table in tables.items() for k, v in table.items()}
        np.savez(part, encoder_sha256=mine, **arrays)
        part.replace(path)
    with np.load(path) as file:
        names = ("mean", "log_scale", "conditions")
        return {s: {k: file[f"{s}/{k}"] for k in names} for s in ("train", "validation")}


def encoder_of(path: pathlib.Path) -> str | None:
    """Return the hash of the encoder whose posteriors a file holds, None if there is none."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        return str(file["encoder_sha256"]) if "encoder_sha256" in file else None

"""Weighted samples of each galaxy's code, on which the flow learns what galaxies there are.

The encoder's posteriors are Gaussian, and lie nearer to the middle of the population than the truth
where images leave much open; so does a flow that is fitted to samples of them. Weighted by how
probable the image is, the samples stand for the image itself: the flow that makes

    sum over galaxies of log mean_k w_k p(z_k | conditions),    w_k = p(image | z_k) / q(z_k),

greatest is that of the greatest likelihood of all images, whatever the posteriors q look like, if
they are wide enough (Burda et al. 2016, arXiv:1509.00519, with decoder and samples held fixed).
"""

import pathlib

import numpy as np
import tensorflow as tf

from .tables import cached
from .tasks import VAETask

WIDER = 1.2  # samples are drawn from posteriors so much wider than the encoder's
BATCH = 64
NAMES = ("samples", "log_weight", "mean", "log_scale", "conditions")


class Sampler:
    """Draw `count` samples of each galaxy's code, and weigh them."""

    def __init__(self, task: VAETask, count: int):
        self.task, self.count = task, count
        self._sample = tf.function(self._sample_batch, autograph=False)

    def table(self, split: str) -> dict[str, np.ndarray]:
        """Return `NAMES` of a split: samples (n, count, d), log_weight (n, count) and the rest."""
        rows: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
        for number, stamps in enumerate(self.task.stamps.ordered(split, BATCH)):
            values = self._sample(stamps, tf.constant([number, 0]))
            for name, value in zip(NAMES, (*values, stamps["conditions"]), strict=True):
                rows[name].append(value.numpy())
        return {name: np.concatenate(parts) for name, parts in rows.items()}

    def _sample_batch(self, stamps: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple:
        vae, loss = self.task.vae, self.task.loss
        mean, log_scale = vae.posterior(stamps)
        shape = [self.count, tf.shape(mean)[0], vae.code_size]
        noise = tf.random.stateless_normal(shape, seed)
        samples = mean + WIDER * tf.exp(log_scale) * noise
        weights = []
        for codes, own in zip(tf.unstack(samples), tf.unstack(noise), strict=True):
            excess = loss.excess_chi_square(vae.decode(codes)[0], stamps)
            density = -tf.reduce_sum(0.5 * own**2 + log_scale, axis=1)
            weights.append(-loss.misfit(excess, stamps["conditions"]) - density)
        samples = tf.transpose(samples, [1, 0, 2])
        return samples, tf.stack(weights, axis=1), mean, log_scale


def cached_samples(
    task: VAETask, count: int, path: pathlib.Path
) -> dict[str, dict[str, np.ndarray]]:
    """Return the tables of train and validation splits, made once an auto-encoder and count."""
    # Another count is another file: the networks alone say whether one is current.
    path = path.with_stem(f"{path.stem}-{count}")
    return cached(path, task.vae.networks, NAMES, Sampler(task, count).table)

"""A resampled prior: of several codes that the flow draws one is kept, by learned weights.

What the flow gets wrong of the population in the large (how round faint galaxies are, say) a small
network can put right that says how much more often galaxies of a kind should be drawn: the flow's
density is multiplied by it. Of K codes one is kept with a chance as its weight, which for many
codes is a draw from that product. Source: the resampled priors of Bauer & Mnih 2019
(arXiv:1810.11428), with sampling importance resampling (Rubin 1987) in place of rejection, so that
every galaxy costs the same.
"""

import math

import keras
import tensorflow as tf

from .base import base_parameters

ROUNDS = 3  # networks, each fitted to what the ones before leave
LARGEST = 5.0  # weight, and its inverse
HIDDEN = 64
CLIPPED = 4.0  # [standard deviation] features beyond count as these
PER_COMPONENT = 4


def noise_size(candidates: int) -> int:
    """Return how many standard normals the choice among codes takes: none if there is one."""
    return 2 * candidates if candidates > 1 else 0


def code_features(
    raw: tf.Tensor, log_flux: tf.Tensor, conditions: tf.Tensor, components: int
) -> tf.Tensor:
    """Return what weights may depend on, (n, d): nothing that turns with the galaxy.

    Parameters
    ----------
    raw, log_flux
        What the trunk makes of codes.
    conditions
        (n, 3): flux_radius [pixel], mag_auto, zphot.
    components
        Of the base.
    """
    base = base_parameters(raw, components)
    g1, g2, share = base["g1"], base["g2"], base["share"]
    size, magnitude, redshift = tf.split(conditions, 3, axis=1)
    columns = [
        _length(*(tf.reduce_sum(share * g, axis=1, keepdims=True) for g in (g1, g2))),
        _length(g1, g2),
        tf.math.log(base["half_light_radius"]),
        tf.math.log(base["index"]),
        share,
        log_flux + 0.4 * math.log(10.0) * magnitude,
        tf.math.log(size),
        magnitude,
        tf.math.log(redshift),
    ]
    return tf.concat(columns, axis=1)


def _length(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(x * x + y * y + 1e-12)


class Resampling(keras.Model):
    """Log weights of codes, the sum of networks that one round after the other has fitted."""

    def __init__(self, candidates: int, components: int):
        super().__init__()
        self.candidates, self.components = candidates, components
        self.width = 5 + PER_COMPONENT * components
        self.mean = self.add_weight(
            name="mean", shape=(self.width,), initializer="zeros", trainable=False
        )
        self.scale = self.add_weight(
            name="scale", shape=(self.width,), initializer="ones", trainable=False
        )
        self.networks = [self._network() for _ in range(ROUNDS)]
        self.built = True

    def _network(self) -> keras.Sequential:
        network = keras.Sequential(
            [keras.layers.Dense(HIDDEN, activation="silu") for _ in range(2)]
            + [keras.layers.Dense(1, kernel_initializer="zeros")]
        )
        network.build((None, self.width))
        return network

    def standardise_by(self, features) -> None:
        """Fix mean and scale of the features (n, width) for good."""
        self.mean.assign(features.mean(axis=0))
        self.scale.assign(features.std(axis=0) + 1e-6)

    def standardised(self, features: tf.Tensor) -> tf.Tensor:
        """Return features as the networks see them."""
        return tf.clip_by_value((features - self.mean) / self.scale, -CLIPPED, CLIPPED)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Return the log weight, (n,)."""
        x = self.standardised(features)
        total = tf.add_n([network(x)[:, 0] for network in self.networks])
        return tf.clip_by_value(total, -math.log(LARGEST), math.log(LARGEST))

    def choose(self, codes: tf.Tensor, log_weight: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Return one of each galaxy's codes, with a chance as its weight.

        Parameters
        ----------
        codes
            (n, candidates, d).
        log_weight
            (n, candidates).
        noise
            Standard normals, (n, noise_size(candidates)).
        """
        # Half the sum of two squares is exponential: the first to ring is kept.
        first, second = tf.split(noise, 2, axis=1)
        time = (first * first + second * second) * tf.exp(-log_weight)
        kept = tf.one_hot(tf.argmin(time, axis=1), self.candidates, dtype=codes.dtype)
        return tf.reduce_sum(codes * kept[:, :, None], axis=1)

    def log_gain(self, log_weight: tf.Tensor) -> tf.Tensor:
        """Return how much more often a code is kept than drawn, about, in nats.

        Exact if the other codes' weights were their mean, which is taken for one.
        """
        others = self.candidates - 1.0
        return math.log(self.candidates) + log_weight - tf.math.log(tf.exp(log_weight) + others)

"""Conditional masked autoregressive flow on the latents of the auto-encoder.

Papamakarios et al. 2017 (arXiv:1705.07057): a stack of affine autoregressive layers, each
u_i = (z_i - shift_i(z_<i, c)) exp(-log_scale_i(z_<i, c)), with fixed permutations between them.
The masks are multiplied in inside the layer at every call, so no optimizer can break them, and the
log scales are bounded, without which the flow diverges at useful rates.
"""

import itertools
import math

import keras
import numpy as np
import tensorflow as tf

from ..config import FlowConfig

MAX_LOG_SCALE = 3.0


def standardise_conditions(conditions: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Return (log size, magnitude, log redshift) with zero mean and unit variance, (n, 3)."""
    size, magnitude, redshift = tf.unstack(conditions, axis=-1)
    features = tf.stack([tf.math.log(size), magnitude, tf.math.log(redshift)], axis=-1)
    return (features - mean) / scale


class MaskedDense(keras.layers.Layer):
    """A dense layer whose kernel is multiplied by a fixed mask."""

    def __init__(self, mask: np.ndarray, start: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        # A variable, so that an exported program holds it once and not in every graph.
        self.mask = tf.Variable(mask, trainable=False, dtype=tf.bool)
        self.start = start

    def build(self, input_shape):
        """Create kernel and bias."""
        initial = keras.initializers.VarianceScaling(self.start, mode="fan_in")
        self.kernel = self.add_weight(name="kernel", shape=self.mask.shape, initializer=initial)
        self.bias = self.add_weight(name="bias", shape=(self.mask.shape[1],), initializer="zeros")

    def call(self, inputs):
        """Return inputs (mask * kernel) + bias."""
        return tf.matmul(inputs, tf.where(self.mask, self.kernel, 0.0)) + self.bias


def autoregressive_masks(size: int, hidden: tuple[int, ...]) -> list[np.ndarray]:
    """Return the masks of a network whose outputs i depend on inputs < i only (MADE).

    The last mask is for two outputs an input: all shifts, then all log scales.
    """
    degrees = [np.arange(1, size + 1)]
    # Degree 0 sees the conditions alone: through it the first output depends on them too.
    degrees += [np.arange(width) % size for width in hidden]
    masks = [(b[None, :] >= a[:, None]) for a, b in itertools.pairwise(degrees)]
    last = np.arange(1, size + 1)[None, :] > degrees[-1][:, None]
    return [*masks, np.concatenate([last, last], axis=1)]


class AutoregressiveLayer(keras.layers.Layer):
    """One affine autoregressive layer, conditioned at its first hidden layer."""

    def __init__(self, size: int, hidden: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.size = size
        masks = autoregressive_masks(size, hidden)
        self.stack = [MaskedDense(mask) for mask in masks[:-1]]
        self.output_layer = MaskedDense(masks[-1], start=0.01)
        self.conditioner = keras.layers.Dense(hidden[0])

    def build(self, input_shape):
        """Build the inner layers, whose shapes are fixed by the masks."""
        width = self.size
        for layer in [*self.stack, self.output_layer]:
            layer.build((None, width))
            width = layer.mask.shape[1]
        self.conditioner.build((None, 3))

    def shift_and_log_scale(
        self, latents: tf.Tensor, features: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what z_i is shifted and scaled by, each (n, size)."""
        x = tf.nn.silu(self.stack[0](latents) + self.conditioner(features))
        for layer in self.stack[1:]:
            x = tf.nn.silu(layer(x))
        shift, log_scale = tf.split(self.output_layer(x), 2, axis=-1)
        return shift, MAX_LOG_SCALE * tf.tanh(log_scale / MAX_LOG_SCALE)

    def normalise(self, latents: tf.Tensor, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return u(z) and log |du/dz|."""
        shift, log_scale = self.shift_and_log_scale(latents, features)
        return (latents - shift) * tf.exp(-log_scale), -tf.reduce_sum(log_scale, axis=-1)

    def generate(self, noise: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Return z(u), one latent after the other."""
        return generate_latents(noise, features, self.cut_weights())

    def cut_weights(self) -> dict:
        """Return the weights as `generate_latents` takes them, units by degree.

        Masks are not needed, because no entry outside them is read.
        """
        layers = [*self.stack, self.output_layer]
        kernels = [
            sort_by_degree(layer.kernel.value, self.size, rows=k > 0)
            for k, layer in enumerate(layers)
        ]
        biases = [sort_by_degree(layer.bias.value[None], self.size) for layer in layers]
        biases[0] += sort_by_degree(self.conditioner.bias.value[None], self.size)
        # Shift and log scale of a latent stand side by side; the bound of the latter divides it.
        unit = tf.constant([1.0, 1.0 / MAX_LOG_SCALE] * self.size, kernels[-1].dtype)
        kernels[-1], biases[-1] = kernels[-1] * unit, biases[-1] * unit
        return {
            "context": sort_by_degree(self.conditioner.kernel.value, self.size),
            "biases": biases,
            "pieces": [
                cut_kernel(each, self.size, is_first=k == 0) for k, each in enumerate(kernels)
            ],
        }


def generate_latents(noise: tf.Tensor, features: tf.Tensor, weights: dict) -> tf.Tensor:
    """Return z(u) of the autoregressive layer with these weights, as it cuts them.

    A hidden unit of degree d sees the first d latents only, so it is computed as soon as they are
    known, and the passes for all latents cost as much as one.
    """
    size = noise.shape[-1]
    pairs = zip(weights["biases"], weights["pieces"], strict=True)
    layers = [WaitingLayer(bias, pieces, size) for bias, pieces in pairs]
    layers[0].waiting += tf.matmul(features, weights["context"])
    latents: list[tf.Tensor] = []
    for degree, column in enumerate(tf.split(noise, size, axis=1)):
        for layer, above in itertools.pairwise(layers):
            above.add(tf.nn.silu(layer.take(degree)), degree)
        shift, log_scale = tf.split(layers[-1].take(degree), 2, axis=1)
        latents.append(column * tf.exp(MAX_LOG_SCALE * tf.tanh(log_scale)) + shift)
        layers[0].add(latents[-1], degree)
    return tf.concat(latents, axis=1)


class WaitingLayer:
    """The units of a dense layer before activation, until their degree comes.

    What is known below is added to all units that still wait: few operations on small arrays, whose
    number is what a sample costs.
    """

    def __init__(self, bias: tf.Tensor, pieces: dict[int, tf.Tensor], size: int):
        self.waiting, self.pieces = bias, pieces
        self.counts = unit_counts(bias.shape[1], size)

    def take(self, degree: int) -> tf.Tensor:
        """Return the units of a degree, (n, count), to which nothing is added any more."""
        counts = [self.counts[degree], sum(self.counts[degree + 1 :])]
        units, self.waiting = tf.split(self.waiting, counts, axis=1)
        return units

    def add(self, below: tf.Tensor, degree: int) -> None:
        """Add what the units below of a degree send."""
        if degree in self.pieces:
            self.waiting = tf.matmul(below, self.pieces[degree]) + self.waiting


def cut_kernel(kernel: tf.Tensor, size: int, *, is_first: bool) -> dict[int, tf.Tensor]:
    """Return the rows of each degree, less the units that do not wait for it, unless none is left.

    The latents, below the first layer, are known after the units of their degree.
    """
    starts = np.cumsum([0, *unit_counts(kernel.shape[1], size)]).tolist()
    blocks = tf.split(kernel, unit_counts(kernel.shape[0], size), axis=0)
    pieces = {k: block[:, starts[k + is_first] :] for k, block in enumerate(blocks)}
    return {k: piece for k, piece in pieces.items() if all(piece.shape)}


def unit_counts(width: int, size: int) -> list[int]:
    """Return how many of the units k of a layer have each degree k % size."""
    return np.bincount(np.arange(width) % size, minlength=size).tolist()


def sort_by_degree(kernel: tf.Tensor, size: int, *, rows: bool = False) -> tf.Tensor:
    """Return a kernel with its columns, and its rows if they are hidden units, by degree."""
    for axis in (0, 1) if rows else (1,):
        order = np.argsort(np.arange(kernel.shape[axis]) % size, kind="stable")
        kernel = tf.gather(kernel, order, axis=axis)
    return kernel


class ConditionalFlow(keras.Model):
    """p(z | flux_radius, mag_auto, zphot) as layers of `AutoregressiveLayer`.

    Latents and conditions are standardised by fixed numbers of the training set, kept as weights.
    """

    def __init__(self, config: FlowConfig, size: int):
        super().__init__()
        self.size, self.temperature = size, config.temperature
        self.flow_layers = [AutoregressiveLayer(size, config.hidden) for _ in range(config.layers)]
        rng = np.random.default_rng(0)
        self.orders = [
            np.arange(size)[::-1] if k % 2 else rng.permutation(size) for k in range(config.layers)
        ]
        names = {
            "latent_mean": size,
            "latent_scale": size,
            "condition_mean": 3,
            "condition_scale": 3,
        }
        for name, length in names.items():
            setattr(
                self,
                name,
                self.add_weight(name=name, shape=(length,), initializer="ones", trainable=False),
            )
        for layer in self.flow_layers:
            layer.build((None, size))
        self.built = True

    @classmethod
    def create(
        cls,
        config: FlowConfig,
        size: int,
        mean: np.ndarray,
        scale: np.ndarray,
        conditions: np.ndarray,
    ):
        """Return a flow standardised to a training set's latents and conditions."""
        flow = cls(config, size)
        features = standardise_conditions(tf.constant(conditions), tf.zeros(3), tf.ones(3)).numpy()
        flow.latent_mean.assign(mean)
        flow.latent_scale.assign(scale)
        flow.condition_mean.assign(features.mean(axis=0))
        flow.condition_scale.assign(features.std(axis=0))
        return flow

    @property
    def masks(self) -> list[tf.Variable]:
        """The masks of all layers, which are no weights."""
        return [
            dense.mask for layer in self.flow_layers for dense in (*layer.stack, layer.output_layer)
        ]

    def features(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return what the layers see of the conditions."""
        return standardise_conditions(conditions, self.condition_mean, self.condition_scale)

    def log_prob(self, latents: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Return log p(z | c), (n,) [nat]."""
        features = self.features(conditions)
        x = (latents - self.latent_mean) / self.latent_scale
        log_det = -tf.reduce_sum(tf.math.log(self.latent_scale))
        for layer, order in zip(self.flow_layers, self.orders, strict=True):
            x, term = layer.normalise(tf.gather(x, order, axis=1), features)
            log_det += term
        normal = -0.5 * tf.reduce_sum(x**2, axis=-1) - 0.5 * self.size * math.log(2.0 * math.pi)
        return normal + log_det

    def sample(self, noise: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Return latents for standard normal `noise`, (n, size), at the flow's temperature."""
        features = self.features(conditions)
        # A loop in the graph, which unrolled would take several times as long to load.
        layers = [layer.cut_weights() for layer in self.flow_layers]
        stacked = tf.nest.map_structure(lambda *same: tf.stack(same), *layers)
        inverses = tf.constant(np.argsort(self.orders, axis=1), tf.int32)

        def undo(k: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            weights = tf.nest.map_structure(lambda weight: tf.gather(weight, k), stacked)
            x = generate_latents(x, features, weights)
            return k - 1, tf.gather(x, tf.gather(inverses, k), axis=1)

        start = [tf.constant(len(layers) - 1), noise * self.temperature]
        _, x = tf.while_loop(lambda k, _: k >= 0, undo, start)
        return x * self.latent_scale + self.latent_mean

    def call(self, latents, conditions):
        """Return log_prob, so that Keras can trace the model."""
        return self.log_prob(latents, conditions)

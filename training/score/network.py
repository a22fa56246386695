"""The score network: a Gaussian score, and what a residual network adds to it.

With the noise level sigma and the power spectrum P of the data (or their variance alone),

    sigma score = -sigma x / (P + sigma^2) + c(sigma) F(x, sigma),  c = s / sqrt(s^2 + sigma^2),

where F has inputs and targets of order one for every sigma (Karras et al. 2022,
arXiv:2206.00364, whose preconditioning this is for a flat P). F starts at zero: an untrained
network is the Gaussian score.

Convolutions wrap around, and so does the Gaussian part: a network trained on squares works on a
torus of any size, and what lies outside of a survey is an unobserved part of the same torus. Group
norm, never batch norm: a score must not depend on the fields beside it.

Beside a Gaussian part, F is cut off where P falls below the lowest sigma^2: a map has nothing there
at any level, and the small errors of many pixels would be all that is.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from galsim_hub.score.fourier import multiplicity

from ..config import ScoreNetworkConfig

FREQUENCIES = 16  # of the embedding of log sigma


class WrappedConvolution(layers.Layer):
    """A 3x3 convolution on a torus."""

    def __init__(self, width: int, start: str = "glorot_uniform", *, bounded: bool = False):
        super().__init__()
        convolution = layers.Conv2D(width, 3, padding="valid", kernel_initializer=start)
        self.inner = layers.SpectralNormalization(convolution) if bounded else convolution

    def build(self, input_shape):
        """Build the convolution inside."""
        self.inner.build(input_shape)

    def call(self, x, training=None):
        """Return the convolution, of the input's size."""
        x = ops.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
        x = ops.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2)
        if isinstance(self.inner, layers.SpectralNormalization):
            return self.inner(x, training=training)
        return self.inner(x)


class GroupNorm(layers.Layer):
    """Give groups of channels mean zero and variance one over an image, then scale and shift each.

    As Keras' own, whose reshaping of whole images takes a sixth of the network's time.
    """

    def __init__(self, groups: int, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape):
        """Make a scale and a shift a channel."""
        width = input_shape[-1]
        self.scale = self.add_weight(shape=(width,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(width,), initializer="zeros", name="shift")

    def call(self, x):
        """Return the normalised images."""
        mean = self._by_group(tf.reduce_mean(x, [1, 2]))
        variance = self._by_group(tf.reduce_mean(x * x, [1, 2])) - mean**2
        factor = self.scale * tf.math.rsqrt(variance + 1e-5)
        return x * factor[:, None, None] + (self.shift - mean * factor)[:, None, None]

    def _by_group(self, channels):
        size = channels.shape[-1] // self.groups
        groups = tf.reduce_mean(tf.reshape(channels, [-1, self.groups, size]), axis=-1)
        return tf.repeat(groups, size, axis=-1)


def embed_level(log_level, width: int):
    """Return features of the logarithm of noise levels (n, 1)."""
    frequencies = np.geomspace(0.1, 8.0, FREQUENCIES).astype(np.float32)
    phases = log_level * frequencies
    features = ops.concatenate([ops.sin(phases), ops.cos(phases)], axis=-1)
    features = layers.Dense(width, activation="silu")(features)
    return layers.Dense(width, activation="silu")(features)


def image_block(x, level, width: int, config: ScoreNetworkConfig):
    """Return x plus two convolutions of it, the second one scaled and shifted by the level."""
    if x.shape[-1] != width:
        x = layers.Conv2D(width, 1)(x)
    h = layers.Activation("silu")(GroupNorm(config.groups)(x))
    h = WrappedConvolution(width, bounded=config.spectral_norm)(h)
    h = GroupNorm(config.groups)(h)
    scale, shift = ops.split(layers.Dense(2 * width)(level)[:, None, None], 2, axis=-1)
    h = layers.Activation("silu")(h * (1.0 + scale) + shift)
    return x + WrappedConvolution(width, "zeros")(h)


class Blocks(layers.Layer):
    """Take squares of pixels together, as channels of one, or apart again."""

    def __init__(self, side: int, *, is_apart: bool = False):
        super().__init__()
        self.side = side
        self.move = tf.nn.depth_to_space if is_apart else tf.nn.space_to_depth

    def call(self, x):
        """Return the same numbers in another order."""
        return self.move(x, self.side) if self.side > 1 else x


def build_unet(channels: int, config: ScoreNetworkConfig, outputs: int = 1) -> keras.Model:
    """Return F for images: (n, y, x, channels) and log levels (n, 1) to (n, y, x, outputs)."""
    fields = keras.Input((None, None, channels))
    log_level = keras.Input((1,))
    level = embed_level(log_level, config.embedding)
    x, passed = WrappedConvolution(config.widths[0])(Blocks(config.stem)(fields)), []
    for depth, width in enumerate(config.widths):
        if depth:
            x = layers.Conv2D(width, 2, strides=2)(x)
        for _ in range(config.blocks):
            x = image_block(x, level, width, config)
        passed.append(x)
    for skip, width in zip(passed[-2::-1], config.widths[-2::-1], strict=True):
        x = layers.UpSampling2D(2)(layers.Conv2D(width, 1)(x))
        x = layers.Concatenate()([x, skip])
        for _ in range(config.blocks):
            x = image_block(x, level, width, config)
    x = layers.Activation("silu")(GroupNorm(config.groups)(x))
    x = WrappedConvolution(outputs * config.stem**2, "zeros")(x)
    return keras.Model([fields, log_level], Blocks(config.stem, is_apart=True)(x))


def build_dense(size: int, channels: int, config: ScoreNetworkConfig) -> keras.Model:
    """Return F for vectors: (n, channels * size) and log levels (n, 1) to (n, size)."""
    vectors = keras.Input((channels * size,))
    log_level = keras.Input((1,))
    level = embed_level(log_level, config.embedding)
    x = layers.Dense(config.widths[0])(vectors)
    for width in config.widths:
        for _ in range(config.blocks):
            if x.shape[-1] != width:
                x = layers.Dense(width)(x)
            h = layers.Dense(width, activation="silu")(ops.concatenate([x, level], axis=-1))
            x = x + layers.Dense(width, activation="silu")(h)
    return keras.Model([vectors, log_level], layers.Dense(size, kernel_initializer="zeros")(x))


class GaussianPart(layers.Layer):
    """Filter images by P / (P + sigma^2), with a power spectrum between knots even in log k."""

    def __init__(self, knots: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.knots = knots
        self.log_k = self.add_weight(shape=(2,), trainable=False, name="log_k")
        self.log_power = self.add_weight(shape=(knots,), trainable=False, name="log_power")
        self.built = True

    def set_power(self, wavenumber: np.ndarray, power: np.ndarray) -> None:
        """Take over a table of the power spectrum."""
        ends = np.log(wavenumber[[0, -1]])
        knots = np.linspace(*ends, self.knots)
        self.log_k.assign(ends)
        self.log_power.assign(np.interp(knots, np.log(wavenumber), np.log(power)))

    def call(self, x, sigma):
        """Return the Wiener-filtered images and x / (P + sigma^2), each (n, y, x)."""
        power = self._power(tf.shape(x)[1:])
        weighted = _filtered(x, 1.0 / (power + sigma[:, None, None] ** 2))
        return x - sigma[:, None, None] ** 2 * weighted, weighted

    def smooth(self, x, lowest: float):
        """Return images (n, y, x) without the scales that are fainter than a noise level."""
        power = self._power(tf.shape(x)[1:])
        return _filtered(x, power / (power + lowest**2))

    def expected_loss(self, sigma, size: tuple[int, int]):
        """Return the mean square of sigma score + noise that the Gaussian score has, (n,)."""
        power = self._power(tf.constant(size))
        counts = tf.constant(multiplicity(size[1]), tf.float32)
        left = counts * power / (power + sigma[:, None, None] ** 2)
        return tf.reduce_sum(left, axis=(1, 2)) / float(size[0] * size[1])

    def _power(self, size: tf.Tensor) -> tf.Tensor:
        ny, nx = size[0], size[1]
        y, x = tf.range(ny), tf.range(nx // 2 + 1)
        y = tf.where(y > ny // 2, y - ny, y)
        ky, kx = (tf.cast(i, tf.float32) / tf.cast(n, tf.float32) for i, n in ((y, ny), (x, nx)))
        log_k = 0.5 * tf.math.log(ky[:, None] ** 2 + kx[None, :] ** 2 + 1e-12)
        low, high = self.log_k[0], self.log_k[1]
        place = (log_k + np.log(2.0 * np.pi) - low) / (high - low) * (self.knots - 1)
        place = tf.clip_by_value(place, 0.0, self.knots - 1.001)
        below = tf.cast(place, tf.int32)
        table = tf.convert_to_tensor(self.log_power)
        first, second = tf.gather(table, below), tf.gather(table, below + 1)
        return tf.exp(first + (place - tf.cast(below, tf.float32)) * (second - first))


def _filtered(x, factor):
    # Not a cast, whose gradient would warn of the imaginary part that it drops.
    response = tf.complex(factor, tf.zeros_like(factor))
    return tf.signal.irfft2d(tf.signal.rfft2d(x) * response, tf.shape(x)[1:])


class ScoreNetwork(keras.Model):
    """The score of vectors (n, d) or images (n, y, x) behind noise of level sigma (n,)."""

    def __init__(self, config: ScoreNetworkConfig, event_shape: tuple[int | None, ...]):
        super().__init__()
        self.is_image = len(event_shape) == 2
        self.std = self.add_weight(shape=(), initializer="ones", trainable=False, name="std")
        self.gaussian = GaussianPart() if config.gaussian else None
        self.lowest = config.sigma[0]  # [standard deviations]
        channels = 1 if self.gaussian is None else 2
        if self.is_image:
            self.residual = build_unet(channels, config)
        else:
            self.residual = build_dense(event_shape[0], channels, config)
        self.built = True

    def call(self, x, sigma, training=None):
        """Return the score."""
        return self.scaled(x, sigma, training) / self._column(sigma)

    def scaled(self, x, sigma, training=None):
        """Return sigma times the score, which is minus the noise that the network sees [1]."""
        level, std = self._column(sigma), tf.convert_to_tensor(self.std)
        spread = tf.sqrt(std**2 + level**2)
        if self.gaussian is None:
            weighted, features = x / spread**2, [x / spread]
        else:
            wiener, weighted = self.gaussian(x, sigma)
            features = [x / spread, wiener / std]
        features = tf.stack(features, axis=-1) if self.is_image else tf.concat(features, axis=-1)
        log_level = tf.math.log(sigma / std)[:, None]
        learned = self.residual([features, log_level], training=training)
        if self.is_image:
            learned = learned[..., 0]
        if self.gaussian is not None:
            learned = self.gaussian.smooth(learned, self.lowest * std)
        return std / spread * learned - level * weighted

    def _column(self, sigma):
        return sigma[:, None, None] if self.is_image else sigma[:, None]


def multiple_of(config: ScoreNetworkConfig) -> int:
    """Return what the sides of images must be a multiple of [pixels]."""
    return config.stem * 2 ** (len(config.widths) - 1)

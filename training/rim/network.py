"""A small U-Net on periodic boxes with a memory in each cell."""

import keras
import tensorflow as tf

from galsim_hub.particle_mesh.learned import N_FEATURES

from ..mesh_config import RimConfig


class PeriodicConv(keras.layers.Layer):
    """A convolution of 3 x 3 x 3 cells that wraps around."""

    def __init__(self, channels: int, **options: object):
        super().__init__()
        self.convolution = keras.layers.Conv3D(channels, 3, padding="valid", **options)

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        self.convolution.build((None, None, None, None, shape[-1]))
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolve (batch, x, y, z, channels)."""
        for axis in (1, 2, 3):
            n = tf.shape(x)[axis]
            x = tf.concat(
                [tf.gather(x, [n - 1], axis=axis), x, tf.gather(x, [0], axis=axis)], axis=axis
            )
        return self.convolution(x)


class RimNetwork(keras.Model):
    """From features and memory of each cell to a correction and new memory.

    Each of `widths` is a scale, twice as coarse as the one before. The last layer begins with
    zeros, so that an untrained network takes parts of the Newton steps of a linear model.
    """

    def __init__(self, config: RimConfig):
        super().__init__()
        self.hidden = config.hidden
        widths = config.widths
        self.down = [PeriodicConv(width, activation="elu") for width in widths]
        self.up = [PeriodicConv(width, activation="elu") for width in widths[-2::-1]]
        self.pool = keras.layers.AveragePooling3D(2)
        self.grow = keras.layers.UpSampling3D(2)
        self.correction = keras.layers.Conv3D(1, 1, kernel_initializer="zeros")
        self.gate = keras.layers.Conv3D(config.hidden, 1, activation="sigmoid")
        self.memory = keras.layers.Conv3D(config.hidden, 1, activation="tanh")
        n = 2 ** len(widths)
        self(tf.zeros([1, n, n, n, N_FEATURES]), tf.zeros([1, n, n, n, config.hidden]))

    def call(self, features: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the correction (batch, x, y, z) and the memory (batch, x, y, z, hidden)."""
        x, scales = tf.concat([features, hidden], axis=-1), []
        for i, layer in enumerate(self.down):
            x = layer(self.pool(x) if i else x)
            scales.append(x)
        scales.pop()
        for layer in self.up:
            x = layer(tf.concat([self.grow(x), scales.pop()], axis=-1))
        gate = self.gate(x)
        return self.correction(x)[..., 0], gate * hidden + (1.0 - gate) * self.memory(x)

"""The score network of stamps: few bright pixels in the middle of many dark ones.

Values of such stamps range over many powers of ten, so that no standard deviation of the data
brings both their peaks and their wings to order one, and a Gaussian prior is far off on either. In
units of the noise, u = x / sigma, the network gives a gate g and a residual h a pixel,

    x + sigma^2 score = g x + sigma h,  0 < g < 1,

both of order one: bright pixels pass, dark ones are closed, and h is what the neighbours know. It
sees arcsinh(u), and how far each pixel is from the centre, where the stamp's own galaxy is.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..config import ScoreNetworkConfig
from ..errors import ConfigError
from .network import build_unet


class StampNetwork(keras.Model):
    """The score of stamps (n, y, x) of one size behind noise of level sigma (n,).

    Raises
    ------
    ConfigError
        If the recipe asks for a Gaussian part, which this network has not.
    """

    is_image = True
    gaussian = None

    def __init__(self, config: ScoreNetworkConfig, event_shape: tuple[int, int]):
        super().__init__()
        if config.gaussian:
            raise ConfigError("A network of stamps has no Gaussian part: set network.gaussian off.")
        self.std = self.add_weight(shape=(), initializer="ones", trainable=False, name="std")
        self.residual = build_unet(2, config, outputs=2)
        y, x = (np.abs(np.arange(side) - 0.5 * (side - 1)) / (0.5 * side) for side in event_shape)
        self.distance = np.hypot(y[:, None], x).astype(np.float32) - 0.5
        self.built = True

    def call(self, x, sigma, training=None):
        """Return the score."""
        return self.scaled(x, sigma, training) / self._column(sigma)

    def scaled(self, x, sigma, training=None):
        """Return sigma times the score, which is minus the noise that the network sees [1]."""
        seen = x / self._column(sigma)
        distance = tf.broadcast_to(self.distance, tf.shape(x))
        features = tf.stack([tf.asinh(seen), distance], axis=-1)
        log_level = tf.math.log(sigma / tf.convert_to_tensor(self.std))[:, None]
        learned = self.residual([features, log_level], training=training)
        return learned[..., 1] - ops.sigmoid(-learned[..., 0]) * seen

    def _column(self, sigma):
        return sigma[:, None, None]

"""Dense layers that turn the features of a cell into its part of the halo field."""

import keras
import numpy as np
import tensorflow as tf


class HaloNetwork(keras.Model):
    """From features (n, feature) to a positive field (n,).

    It ends in an exponential, because features are logarithms: a single linear layer would be a
    product of powers of density and tide. The last layer begins with zeros, so that an untrained
    network gives 1 everywhere.
    """

    def __init__(self, n_features: int, widths: tuple[int, ...]):
        super().__init__()
        self.shift = self.add_weight(shape=(n_features,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(shape=(n_features,), initializer="ones", trainable=False)
        self.hidden = [keras.layers.Dense(width, activation="elu") for width in widths]
        self.last = keras.layers.Dense(1, kernel_initializer="zeros")
        self(tf.zeros([1, n_features]))

    def standardise(self, features: np.ndarray) -> None:
        """Learn means and standard deviations of features (n, feature)."""
        self.shift.assign(features.mean(axis=0))
        self.scale.assign(features.std(axis=0))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Return the field."""
        x = (features - self.shift) / self.scale
        for layer in self.hidden:
            x = layer(x)
        return tf.exp(self.last(x)[:, 0])

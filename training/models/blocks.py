"""Building blocks of the convolutional networks.

No normalisation layers: on stamps whose flux spans four decades they cost accuracy and speed. What
keeps a deep stack sane instead: a residual branch ends in a convolution that starts at zero and
counts by `BRANCH_SCALE`, and no output channel's kernel may grow beyond unit norm. Without these
Adam's equal steps for all weights blow activations up tenfold a stage within hundreds of steps.
"""

import keras
from keras import layers, ops

BRANCH_SCALE = 0.3


def bounded_convolution(width: int, **arguments):
    """Return a 3x3 convolution whose output channels have kernels of norm one at most."""
    bound = keras.constraints.MaxNorm(1.0, axis=[0, 1, 2])
    return layers.Conv2D(width, 3, padding="same", kernel_constraint=bound, **arguments)


def residual_block(x, width: int):
    """Return x plus a share of two convolutions of it."""
    branch = bounded_convolution(width, activation="silu")(x)
    branch = bounded_convolution(width, kernel_initializer="zeros")(branch)
    return layers.Add()([x, layers.Rescaling(BRANCH_SCALE)(branch)])


def residual_blocks(x, width: int, blocks: int):
    """Return `blocks` residual blocks at one resolution, with an activation after them."""
    for _ in range(blocks):
        x = residual_block(x, width)
    return layers.Activation("silu")(x)


def downsample(x, width: int):
    """Halve the resolution by a 2x2 patch convolution, which costs a quarter of a strided 3x3."""
    bound = keras.constraints.MaxNorm(1.0, axis=[0, 1, 2])
    return layers.Conv2D(width, 2, strides=2, kernel_constraint=bound)(x)


def upsample(x, width: int):
    """Double the resolution: resize, then convolve, which leaves no checkerboard."""
    bound = keras.constraints.MaxNorm(1.0, axis=[0, 1, 2])
    x = layers.Conv2D(width, 1, kernel_constraint=bound)(x)
    return layers.UpSampling2D(2, interpolation="bilinear")(x)


def dense_stack(x, width: int, depth: int):
    """Return `depth` dense layers of one width."""
    for _ in range(depth):
        x = layers.Dense(width, activation="silu")(x)
    return x


def small_start(scale: float = 0.01) -> keras.initializers.Initializer:
    """Return an initialiser for output layers that should start near, but not at, zero."""
    return keras.initializers.VarianceScaling(scale, mode="fan_in", distribution="truncated_normal")


@keras.saving.register_keras_serializable("galsim_hub")
class SoftBound(layers.Layer):
    """Keep values between two bounds without a kink, as the identity near zero.

    Without it a single bright galaxy early in training can throw codes and fluxes to infinity.
    """

    def __init__(self, low: float, high: float, **kwargs):
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def call(self, x):
        """Return ``high tanh(x / high)`` above zero and the same with `low` below."""
        if self.high == -self.low:  # no need to compare every pixel
            return self.high * ops.tanh(x / self.high)
        bound = ops.where(x > 0, self.high, -self.low)
        return bound * ops.tanh(x / bound)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "low": self.low, "high": self.high}

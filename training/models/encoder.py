"""Encoder: image, PSF and noise level to the Gaussian posterior of the latent code."""

import keras
from keras import layers, ops

from ..config import DataConfig, VAEConfig
from .blocks import (
    SoftBound,
    bounded_convolution,
    dense_stack,
    downsample,
    residual_blocks,
    small_start,
)

REFERENCE_NOISE = 2.6e-3  # [count] typical per-pixel noise of the COSMOS images: centres the input


def build_encoder(config: VAEConfig, data: DataConfig) -> keras.Model:
    """Return the encoder.

    Inputs: image (n, y, x) [count], psf (n, p, p) of sum 1, noise_variance (n,) [count^2].
    Outputs: mean and log scale of the vector's posterior, each (n, latent_size), and the maps of
    the finest stage, (n, grid, grid, width), from which the texture is coded.
    """
    image = keras.Input((data.stamp_size, data.stamp_size), name="image")
    psf = keras.Input((data.psf_size, data.psf_size), name="psf")
    noise_variance = keras.Input((), name="noise_variance")
    x = NetworkInput(data.stamp_size)([image, psf, noise_variance])
    x = layers.Conv2D(config.widths[0], config.stem, strides=config.stem, activation="silu")(x)
    x = fine = residual_blocks(x, config.widths[0], config.blocks)
    for width in config.widths[1:]:
        x = residual_blocks(downsample(x, width), width, config.blocks)
    x = dense_stack(layers.Flatten()(x), config.hidden, 1)
    mean = layers.Dense(config.latent_size, name="mean")(x)
    narrow = keras.initializers.Constant(-2.0)  # codes must speak louder than their noise at first
    log_scale = layers.Dense(
        config.latent_size,
        kernel_initializer=small_start(),
        bias_initializer=narrow,
        name="log_scale",
    )(x)
    outputs = [SoftBound(-8.0, 8.0)(mean), SoftBound(-8.0, 1.5)(log_scale), fine]
    return keras.Model([image, psf, noise_variance], outputs, name="encoder")


def build_texture_encoder(config: VAEConfig, trunk: keras.Model) -> keras.Model:
    """Return the encoder of the texture, which compares what is seen with what the vector says.

    Inputs: the encoder's finest maps and the trunk's. Outputs: mean and log scale of the texture's
    posterior, each (n, grid, grid, texture).
    """
    told = keras.Input(trunk.outputs[2].shape[1:], name="maps")
    seen = keras.Input((*told.shape[1:3], config.widths[0]), name="seen")
    x = bounded_convolution(config.decoder_widths[-2])(layers.Concatenate()([seen, told]))
    x = residual_blocks(x, config.decoder_widths[-2], 1)
    mean = layers.Conv2D(config.texture, 3, padding="same", name="mean")(x)
    log_scale = layers.Conv2D(
        config.texture, 3, padding="same", kernel_initializer=small_start(), name="log_scale"
    )(x)
    outputs = [SoftBound(-8.0, 8.0)(mean), SoftBound(-8.0, 1.5)(log_scale)]
    return keras.Model([seen, told], outputs, name="texture_encoder")


@keras.saving.register_keras_serializable("galsim_hub")
class NetworkInput(layers.Layer):
    """Stack what the encoder sees: the image in units of its noise, the PSF, the noise level.

    The inverse hyperbolic sine, at two scales, brings four decades of flux into a network's range.
    """

    def __init__(self, stamp_size: int, **kwargs):
        super().__init__(**kwargs)
        self.stamp_size = stamp_size

    def call(self, inputs):
        """Return (n, y, x, 4)."""
        image, psf, noise_variance = inputs
        noise = ops.sqrt(noise_variance)[:, None, None]
        snr = image / noise
        before = (self.stamp_size - psf.shape[-1] + 1) // 2
        after = self.stamp_size - psf.shape[-1] - before
        psf = ops.arcsinh(ops.pad(psf, [[0, 0], [before, after], [before, after]]) * 300.0)
        level = ops.broadcast_to(ops.log(noise / REFERENCE_NOISE), ops.shape(image))
        return ops.stack([ops.arcsinh(snr), ops.arcsinh(snr / 30.0), psf, level], axis=-1)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "stamp_size": self.stamp_size}

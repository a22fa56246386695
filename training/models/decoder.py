"""Decoder: latent code to a positive, noiseless, PSF-free image of the galaxy."""

import keras
from keras import layers, ops

from ..config import DataConfig, VAEConfig
from .base import PARAMETERS, HybridImage
from .blocks import SoftBound, dense_stack, residual_stage, small_start, upsample

LOG_FLUX_MEAN, LOG_FLUX_SCALE = 1.5, 1.2  # of the COSMOS 25.2 sample [log count]: centres the head


def build_decoder(config: VAEConfig, data: DataConfig) -> keras.Model:
    """Return the decoder.

    Input: latents (n, latent_size). Outputs: image (n, y, x) [count per pixel] and the residual log
    image, (n, top, top) for ``top = config.decoder_top``, that is enlarged and added to the base.
    """
    latents = keras.Input((config.latent_size,), name="latents")
    heads = dense_stack(latents, config.hidden, 2)
    raw = layers.Dense(
        2 + PARAMETERS * config.components, kernel_initializer=small_start(), name="base"
    )(heads)
    log_flux = layers.Dense(1, kernel_initializer=small_start(), name="log_flux")(heads)
    log_flux = SoftBound(-6.0, 6.0)(log_flux)
    log_flux = layers.Rescaling(LOG_FLUX_SCALE, LOG_FLUX_MEAN)(log_flux)
    residual = residual_image(latents, config)
    full = enlarge(residual, data.stamp_size)
    image = HybridImage(data.stamp_size, config.components, name="image")([raw, full, log_flux])
    return keras.Model(latents, [image, residual], name="decoder")


def residual_image(latents, config: VAEConfig):
    """Return the network's deviation from the base, (n, top, top), of zero mean."""
    coarse = config.decoder_top >> (len(config.decoder_widths) - 1)
    x = dense_stack(latents, config.hidden, 1)
    x = layers.Dense(coarse**2 * config.decoder_widths[0], activation="silu")(x)
    x = layers.Reshape((coarse, coarse, config.decoder_widths[0]))(x)
    for stage, width in enumerate(config.decoder_widths):
        top = stage == len(config.decoder_widths) - 1
        x = upsample(x, width) if stage else x
        x = residual_stage(x, width, config.top_blocks if top else config.blocks)
    x = layers.Conv2D(1, 3, padding="same", use_bias=False, kernel_initializer=small_start(0.1))(x)
    # Softmax ignores a constant, so nothing would keep it from drifting into the bound.
    x = SoftBound(-6.0, 6.0)(x - ops.mean(x, axis=(1, 2), keepdims=True))
    return layers.Reshape((config.decoder_top, config.decoder_top))(x)


def enlarge(x, size: int):
    """Resize a log image (n, s, s) to (n, size, size) by doublings."""
    x = layers.Reshape((*x.shape[1:], 1))(x)
    while x.shape[1] < size:
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return layers.Reshape((size, size))(x)

"""Decoder: latent code to a positive, noiseless, PSF-free image of the galaxy."""

import keras
from keras import layers, ops

from ..config import DataConfig, VAEConfig
from ..errors import ConfigError
from .base import PARAMETERS, HybridImage
from .blocks import (
    SoftBound,
    bounded_convolution,
    dense_stack,
    residual_blocks,
    small_start,
    upsample,
)

LOG_FLUX_MEAN, LOG_FLUX_SCALE = 1.5, 1.2  # of the COSMOS 25.2 sample [log count]: centres the head


def build_trunk(config: VAEConfig, data: DataConfig) -> keras.Model:
    """Return the part of the decoder that sees the latent vector.

    Input: vector (n, latent_size). Outputs: parameters of the base, log flux (n, 1), and, if the
    recipe paints, feature maps on the grid of the texture, (n, grid, grid, width).
    """
    vector = keras.Input((config.latent_size,), name="vector")
    heads = dense_stack(vector, config.hidden, 2)
    raw = layers.Dense(
        PARAMETERS * config.components, kernel_initializer=small_start(), name="base"
    )(heads)
    log_flux = layers.Dense(1, kernel_initializer=small_start(), name="log_flux")(heads)
    log_flux = SoftBound(-6.0, 6.0)(log_flux)
    log_flux = layers.Rescaling(LOG_FLUX_SCALE, LOG_FLUX_MEAN)(log_flux)
    if not config.decoder_widths:
        return keras.Model(vector, [raw, log_flux], name="trunk")
    split, coarse = texture_stage(config, data), coarse_size(config)
    x = dense_stack(vector, config.hidden, 1)
    x = layers.Dense(coarse**2 * config.decoder_widths[0], activation="silu")(x)
    x = layers.Reshape((coarse, coarse, config.decoder_widths[0]))(x)
    for stage in range(split):
        x = upsample(residual_stage(x, config, stage), config.decoder_widths[stage + 1])
    return keras.Model(vector, [raw, log_flux, x], name="trunk")


def build_painter(config: VAEConfig, data: DataConfig) -> keras.Model:
    """Return the part of the decoder that paints the galaxy.

    Inputs: the trunk's outputs and, if there is texture, its latent maps (n, grid, grid, texture).
    Outputs: image (n, y, x) [count per pixel] and the residual log image, (n, top, top) for
    ``top = config.decoder_top``, of zero mean, whose exponential, enlarged, multiplies the base. A
    recipe without ``decoder_widths`` adds nothing to the base, and has no residual.
    """
    raw = keras.Input((PARAMETERS * config.components,), name="raw")
    log_flux = keras.Input((1,), name="log_flux")
    join = HybridImage(data.stamp_size, config.components, name="image")
    if not config.decoder_widths:
        return keras.Model([raw, log_flux], [join([raw, log_flux])], name="painter")
    split = texture_stage(config, data)
    grid, width = coarse_size(config) << split, config.decoder_widths[split]
    maps = keras.Input((grid, grid, width), name="maps")
    inputs, x = [raw, log_flux, maps], maps
    if config.texture:
        texture = keras.Input((grid, grid, config.texture), name="texture")
        inputs.append(texture)
        # How strong structure is, is the vector's business; where it lies, the texture's.
        strength = layers.Conv2D(width, 1, activation="softplus")(maps)
        structure = layers.Multiply()([bounded_convolution(width)(texture), strength])
        x = layers.Add()([maps, structure])
    for stage in range(split, len(config.decoder_widths)):
        x = upsample(x, config.decoder_widths[stage]) if stage > split else x
        x = residual_stage(x, config, stage)
    x = layers.Conv2D(1, 3, padding="same", use_bias=False, kernel_initializer=small_start(0.1))(x)
    # Softmax ignores a constant, so nothing would keep it from drifting into the bound.
    x = SoftBound(-6.0, 6.0)(x - ops.mean(x, axis=(1, 2), keepdims=True))
    residual = layers.Reshape((config.decoder_top, config.decoder_top))(x)
    image = join([raw, log_flux, enlarge(residual, data.stamp_size)])
    return keras.Model(inputs, [image, residual], name="painter")


def coarse_size(config: VAEConfig) -> int:
    """Return the side of the decoder's coarsest maps."""
    return config.decoder_top >> (len(config.decoder_widths) - 1)


def texture_stage(config: VAEConfig, data: DataConfig) -> int:
    """Return the decoder's stage at which the texture enters: the encoder's finest resolution.

    Raises
    ------
    ConfigError
        If there is texture and the decoder has no stage of that resolution.
    """
    coarse = coarse_size(config) if config.decoder_widths else 0
    sides = [coarse << stage for stage in range(len(config.decoder_widths))]
    grid = data.stamp_size // config.stem
    if config.texture and grid not in sides:
        raise ConfigError(
            f"vae.texture needs a decoder stage of {grid} pixels, the resolution of the encoder's "
            f"first stage, but the decoder's have {sides}: change vae.stem or vae.decoder_top."
        )
    return sides.index(grid) if grid in sides else len(sides) - 1


def residual_stage(x, config: VAEConfig, stage: int):
    """Return one of the decoder's stages; the finest one costs most and may have fewer blocks."""
    finest = stage == len(config.decoder_widths) - 1
    blocks = config.top_blocks if finest else config.blocks
    return residual_blocks(x, config.decoder_widths[stage], blocks)


def enlarge(x, size: int):
    """Resize a log image (n, s, s) to (n, size, size) by doublings."""
    x = layers.Reshape((*x.shape[1:], 1))(x)
    while x.shape[1] < size:
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return layers.Reshape((size, size))(x)

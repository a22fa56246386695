"""The PSF-aware variational auto-encoder: encoder, decoder and the loss that joins them."""

import math

import numpy as np
import tensorflow as tf

from .. import losses
from ..config import DataConfig, FitConfig, VAEConfig
from ..data.pipeline import dihedral, flux_of
from .base import base_light, tapered, turn_base
from .decoder import build_painter, build_trunk
from .double import call_in_double
from .encoder import build_encoder, build_texture_encoder
from .flow import ConditionalFlow


class VAE:
    """Encoder q(z | image, PSF, noise) and decoder g(z), as Keras models.

    A latent code (n, code_size) is a vector, which says what conditions can: brightness, size,
    shape; then, if the recipe has texture, maps on a coarse grid, flattened, which say where
    structure lies. The prior of the vector is a flow's, that of the maps standard normal.

    Source: Lanusse et al. 2021 (arXiv:2008.03833), section 3; the hybrid decoder and the texture
    are ours.
    """

    def __init__(self, config: VAEConfig, data: DataConfig):
        self.vector_size, self.components = config.latent_size, config.components
        self.stamp_size = data.stamp_size
        self.encoder = build_encoder(config, data)
        self.trunk = build_trunk(config, data)
        self.painter = build_painter(config, data)
        self.networks = [self.encoder, self.trunk, self.painter]
        self.texture_shape: tuple[int, ...] = (0,)
        if config.texture:
            self.texture_encoder = build_texture_encoder(config, self.trunk)
            self.networks.append(self.texture_encoder)
            self.texture_shape = self.painter.inputs[3].shape[1:]

    @property
    def code_size(self) -> int:
        """Length of a latent code."""
        return self.vector_size + math.prod(self.texture_shape)

    @property
    def trainable_variables(self) -> list:
        """Weights of all networks."""
        return [v for network in self.networks for v in network.trainable_variables]

    def posterior(
        self, stamps: dict[str, tf.Tensor], noise: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and log scale of the posterior, each (n, code_size).

        The texture's posterior is that at a sample of the vector, made with standard normal `noise`
        (n, vector_size), or at its mean.
        """
        inputs = [stamps["image"], stamps["psf"], stamps["noise_variance"]]
        mean, log_scale, seen = self.encoder(inputs)
        if not self._has_texture:
            return mean, log_scale
        vector = mean if noise is None else mean + tf.exp(log_scale) * noise
        maps = self.texture_encoder([seen, self.trunk(vector)[2]])
        flat = [tf.reshape(m, [-1, self.code_size - self.vector_size]) for m in maps]
        return tf.concat([mean, flat[0]], 1), tf.concat([log_scale, flat[1]], 1)

    def decode(self, codes: tf.Tensor) -> list[tf.Tensor]:
        """Return image (n, y, x) [count per pixel] and, if painted, its residual log image."""
        parts = self.trunk(codes[:, : self.vector_size])
        if self._has_texture:
            parts.append(tf.reshape(codes[:, self.vector_size :], [-1, *self.texture_shape]))
        return self._paint(parts)

    def decode_turned(
        self,
        codes: tf.Tensor,
        turn: tf.Tensor,
        clumps: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Return the image (n, y, x), flipped and turned as `dihedral` does, with `clumps` if any.

        Without paint there is no need to move pixels: the base is turned before it is drawn.
        """
        if len(self.painter.outputs) > 1:
            return dihedral(self.decode(codes)[0], turn)
        raw, log_flux = call_in_double(self.trunk, codes)
        light = base_light(
            turn_base(raw, turn, self.components), self.stamp_size, self.components, clumps
        )
        return tapered(light, tf.cast(log_flux, tf.float32))

    def _paint(self, parts: list[tf.Tensor]) -> list[tf.Tensor]:
        outputs = self.painter(parts)
        return outputs if isinstance(outputs, list) else [outputs]

    @property
    def _has_texture(self) -> bool:
        return self.code_size > self.vector_size


class VAELoss:
    """Negative evidence lower bound of a batch, in nats per galaxy beyond pure noise.

    The prior of the vector is standard normal, or the conditional flow `prior`. What a faint
    galaxy's image leaves open its posterior takes from the prior: under a standard normal that is
    the mean galaxy, under the flow the galaxies of its size, magnitude and redshift.
    """

    def __init__(
        self,
        vae: VAE,
        fit: FitConfig,
        noise_power: np.ndarray,
        mag_column: int,
        prior: ConditionalFlow | None = None,
    ):
        self.vae, self.fit, self.mag_column, self.prior = vae, fit, mag_column, prior
        self.noise_power = tf.constant(noise_power)

    def __call__(
        self, stamps: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the loss (key ``loss``) and its parts, means over the batch."""
        noise = tf.random.stateless_normal([tf.shape(stamps["image"])[0], self.vae.code_size], seed)
        mean, log_scale = self.vae.posterior(stamps, noise[:, : self.vae.vector_size])
        codes = mean + tf.exp(log_scale) * noise
        images, *residuals = self.vae.decode(codes)
        excess = self.excess_chi_square(images, stamps)
        kl = tf.reduce_mean(self.divergence(codes, mean, log_scale, stamps["conditions"]))
        rough = sum((tf.reduce_mean(losses.roughness(r)) for r in residuals), tf.constant(0.0))
        misfit = tf.reduce_mean(self.misfit(excess, stamps["conditions"]))
        total = misfit + self.kl_weight(step) * kl + self.fit.roughness * rough
        return {
            "loss": total,
            "misfit": misfit,
            "kl": kl,
            "excess_chi2": tf.reduce_mean(excess),
            "rough": rough,
        }

    def excess_chi_square(self, images: tf.Tensor, stamps: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return chi^2 of each stamp less its number of pixels, (n,)."""
        residuals = stamps["image"] - losses.convolve(images, stamps["psf"])
        power = tf.gather(self.noise_power, stamps["turn"])
        pixels = float(residuals.shape[-1] ** 2)
        return losses.chi_square(residuals, power, stamps["noise_variance"]) - pixels

    def misfit(self, excess: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Return what each galaxy's excess chi^2 counts, (n,) [nat]."""
        weight = losses.flux_weight(flux_of(conditions[:, self.mag_column]), self.fit.flux_cap)
        return losses.robust(0.5 * weight * excess, self.fit.misfit_scale)

    def divergence(
        self, codes: tf.Tensor, mean: tf.Tensor, log_scale: tf.Tensor, conditions: tf.Tensor
    ) -> tf.Tensor:
        """Return KL(posterior || prior), (n,) [nat]; against a flow, its estimate at `codes`."""
        if self.prior is None:
            return losses.kl_divergence(mean, log_scale)
        size = self.vae.vector_size
        entropy = tf.reduce_sum(log_scale[:, :size] + 0.5 * math.log(2.0 * math.pi * math.e), -1)
        texture = losses.kl_divergence(mean[:, size:], log_scale[:, size:])
        return texture - entropy - self.prior.log_prob(codes[:, :size], conditions)

    def kl_weight(self, step: tf.Tensor) -> tf.Tensor:
        """Return the weight of the KL term, rising linearly over the warm-up."""
        rise = tf.cast(step + 1, tf.float32) / self.fit.kl_warmup
        return self.fit.kl_weight * tf.clip_by_value(rise, 0.02, 1.0)

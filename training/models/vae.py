"""The PSF-aware variational auto-encoder: encoder, decoder and the loss that joins them."""

import numpy as np
import tensorflow as tf

from .. import losses
from ..config import DataConfig, FitConfig, VAEConfig
from ..data.pipeline import flux_of
from .decoder import build_decoder
from .encoder import build_encoder


class VAE:
    """Encoder q(z | image, PSF, noise) and decoder g(z), as two Keras models.

    Source: Lanusse et al. 2021 (arXiv:2008.03833), section 3; the hybrid decoder is ours.
    """

    def __init__(self, config: VAEConfig, data: DataConfig):
        self.encoder = build_encoder(config, data)
        self.decoder = build_decoder(config, data)

    @property
    def trainable_variables(self) -> list:
        """Weights of both networks."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def sample_posterior(
        self, stamps: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return a latent sample, mean and log scale of the posterior, each (n, latent_size)."""
        mean, log_scale = self.encoder([stamps["image"], stamps["psf"], stamps["noise_variance"]])
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        return mean + tf.exp(log_scale) * noise, mean, log_scale


class VAELoss:
    """Negative evidence lower bound of a batch, in nats per galaxy beyond pure noise."""

    def __init__(self, vae: VAE, fit: FitConfig, noise_power: np.ndarray, mag_column: int):
        self.vae, self.fit, self.mag_column = vae, fit, mag_column
        self.noise_power = tf.constant(noise_power)

    def __call__(
        self, stamps: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the loss (key ``loss``) and its parts, means over the batch."""
        latents, mean, log_scale = self.vae.sample_posterior(stamps, seed)
        images, residual = self.vae.decoder(latents)
        excess = self.excess_chi_square(images, stamps)
        weight = losses.flux_weight(
            flux_of(stamps["conditions"][:, self.mag_column]), self.fit.flux_cap
        )
        kl = tf.reduce_mean(losses.kl_divergence(mean, log_scale))
        rough = tf.reduce_mean(losses.roughness(residual))
        misfit = tf.reduce_mean(losses.robust(0.5 * weight * excess, self.fit.misfit_scale))
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

    def kl_weight(self, step: tf.Tensor) -> tf.Tensor:
        """Return the weight of the KL term, rising linearly over the warm-up."""
        rise = tf.cast(step + 1, tf.float32) / self.fit.kl_warmup
        return self.fit.kl_weight * tf.clip_by_value(rise, 0.02, 1.0)

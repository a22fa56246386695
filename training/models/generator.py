"""The exported program: flow and decoder joined into one generator, with the encoder beside it."""

import math
import statistics

import numpy as np
import tensorflow as tf

from .flow import ConditionalFlow
from .vae import VAE

# Compared with these, and not through the error function, every engine turns the same galaxies.
OCTILES = np.array([statistics.NormalDist().inv_cdf(k / 8) for k in range(1, 8)], np.float32)


class GalaxyModule(tf.Module):
    """What a galaxy module promises, as TensorFlow functions with fixed names (float32 all).

    The only randomness of ``generate`` is its input ``random_normal`` (n, code_size + 1): the
    noise of the flow, the texture, then one number whose quantile picks one of the eight flips and
    quarter turns of the stamp. No direction on the sky is special, so the population has none,
    whatever the networks learnt.
    """

    def __init__(self, vae: VAE, flow: ConditionalFlow, stamp_size: int, psf_size: int):
        super().__init__()
        self.vae, self.flow = vae, flow
        self.stamp_size, self.psf_size = stamp_size, psf_size
        self.kept = [*(v for n in vae.networks for v in n.variables), *flow.variables]
        self.masks = flow.masks

    @property
    def random_size(self) -> int:
        """Length of ``random_normal``."""
        return self.vae.code_size + 1

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the concrete functions to save, by name."""
        conditions = [
            tf.TensorSpec([None], tf.float32, name=n) for n in ("flux_radius", "mag_auto", "zphot")
        ]
        random_normal = tf.TensorSpec([None, self.random_size], tf.float32, name="random_normal")
        latents = tf.TensorSpec([None, self.vae.code_size], tf.float32, name="latents")
        image = tf.TensorSpec([None, self.stamp_size, self.stamp_size], tf.float32, name="image")
        psf = tf.TensorSpec([None, self.psf_size, self.psf_size], tf.float32, name="psf")
        noise = tf.TensorSpec([None], tf.float32, name="noise_variance")
        return {
            "generate": self.generate.get_concrete_function(*conditions, random_normal),
            "encode": self.encode.get_concrete_function(image, psf, noise),
            "decode": self.decode.get_concrete_function(latents),
            "latent_log_prob": self.latent_log_prob.get_concrete_function(latents, *conditions),
        }

    @tf.function
    def generate(self, flux_radius, mag_auto, zphot, random_normal):
        """Return new galaxies: image (n, y, x) [count per pixel], PSF-free and noiseless."""
        drawn = self.draw_latents(flux_radius, mag_auto, zphot, random_normal)
        return self.decode_turned(drawn["latents"], drawn["turn"])

    def draw_latents(self, flux_radius, mag_auto, zphot, random_normal):
        """Return the latent code of a new galaxy and which way its stamp is turned, 0 to 7."""
        conditions = tf.stack([flux_radius, mag_auto, zphot], axis=-1)
        turn = tf.reduce_sum(tf.cast(random_normal[:, -1:] > OCTILES, tf.int32), axis=-1)
        vectors = self.flow.sample(random_normal[:, : self.flow.size], conditions)
        latents = tf.concat([vectors, random_normal[:, self.flow.size : -1]], axis=1)
        return {"latents": latents, "turn": turn}

    def decode_turned(self, latents, turn):
        """Return the galaxy of a latent code, flipped and turned."""
        return {"image": self.vae.decode_turned(latents, turn)}

    def keep_upright(self, latents):
        """Return the turn that changes nothing, for each code: 0, by a way no compiler removes."""
        return {"turn": tf.cast(tf.math.is_nan(latents[:, 0]), tf.int32)}

    @tf.function
    def encode(self, image, psf, noise_variance):
        """Return the posterior's mean and scale, (n, code_size)."""
        stamps = {"image": image, "psf": psf, "noise_variance": noise_variance}
        mean, log_scale = self.vae.posterior(stamps)
        return {"mean": mean, "scale": tf.exp(log_scale)}

    @tf.function
    def decode(self, latents):
        """Return the galaxy of a latent code."""
        return {"image": self.vae.decode(latents)[0]}

    @tf.function
    def latent_log_prob(self, latents, flux_radius, mag_auto, zphot):
        """Return log p(z | conditions), (n,) [nat]."""
        conditions = tf.stack([flux_radius, mag_auto, zphot], axis=-1)
        vectors, texture = latents[:, : self.flow.size], latents[:, self.flow.size :]
        normal = -0.5 * tf.reduce_sum(texture**2 + math.log(2.0 * math.pi), axis=-1)
        return {"log_prob": self.flow.log_prob(vectors, conditions) + normal}

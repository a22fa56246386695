"""The exported program: flow and decoder joined into one generator, with the encoder beside it."""

import math
import statistics

import numpy as np
import tensorflow as tf

from ..config import CONDITIONS
from .clumps import Clumpiness, clump_features, noise_size
from .flow import ConditionalFlow
from .resampling import Resampling, code_features
from .resampling import noise_size as choice_size
from .vae import VAE

# Compared with these, and not through the error function, every engine turns the same galaxies.
OCTILES = np.array([statistics.NormalDist().inv_cdf(k / 8) for k in range(1, 8)], np.float32)


class GalaxyModule(tf.Module):
    """What a galaxy module promises, as TensorFlow functions with fixed names (float32 all).

    The only randomness of ``generate`` is its input ``random_normal`` (n, random_size): the noise
    of the flow, once for each code that is drawn, the choice among these codes, the texture, the
    clumps, then one number whose quantile picks one of the eight flips and quarter turns of the
    stamp. No direction on the sky is special, so the population has none, whatever the networks
    learnt. Clumps are no part of a latent code: ``decode`` gives the mean over where they lie.
    """

    def __init__(
        self,
        vae: VAE,
        flow: ConditionalFlow,
        psf_size: int,
        clumpiness: Clumpiness | None = None,
        resampling: Resampling | None = None,
    ):
        super().__init__()
        self.vae, self.flow, self.clumpiness = vae, flow, clumpiness
        self.resampling = resampling
        self.stamp_size, self.psf_size = vae.stamp_size, psf_size
        self.kept = [*(v for n in vae.networks for v in n.variables), *flow.variables]
        self.kept += clumpiness.variables if clumpiness else []
        self.kept += resampling.variables if resampling else []
        self.clump_noise_size = noise_size(vae.components) if clumpiness else 0
        self.masks = flow.masks

    @property
    def candidates(self) -> int:
        """How many codes are drawn for a galaxy."""
        return self.resampling.candidates if self.resampling else 1

    @property
    def random_size(self) -> int:
        """Length of ``random_normal``."""
        return sum(self._noise_sizes())

    def _noise_sizes(self) -> list[int]:
        vectors = self.candidates * self.flow.size
        texture = self.vae.code_size - self.flow.size
        return [vectors, choice_size(self.candidates), texture, self.clump_noise_size, 1]

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the concrete functions to save, by name."""
        conditions = [tf.TensorSpec([None], tf.float32, name=name) for name in CONDITIONS]
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
        return self.decode_turned(**drawn)

    def draw_latents(self, flux_radius, mag_auto, zphot, random_normal):
        """Return a new galaxy's code, which way its stamp is turned, 0 to 7, and its clumps."""
        conditions = tf.stack([flux_radius, mag_auto, zphot], axis=-1)
        turn = tf.reduce_sum(tf.cast(random_normal[:, -1:] > OCTILES, tf.int32), axis=-1)
        parts = tf.split(random_normal, self._noise_sizes(), axis=1)
        noise, choice, texture, clump_noise, _ = parts
        vectors = self.draw_vectors(noise, choice, conditions)
        drawn = {"latents": tf.concat([vectors, texture], axis=1), "turn": turn}
        if self.clumpiness:
            features = clump_features(vectors, conditions)
            drawn |= {"clump_share": self.clumpiness(features), "clump_noise": clump_noise}
        return drawn

    def draw_vectors(self, noise, choice, conditions):
        """Return a code's vector, one of those that the flow draws."""
        if self.resampling is None:
            return self.flow.sample(noise, conditions)
        conditions = tf.repeat(conditions, self.candidates, axis=0)
        drawn = self.flow.sample(tf.reshape(noise, [-1, self.flow.size]), conditions)
        log_weight = tf.reshape(self.log_weight(drawn, conditions), [-1, self.candidates])
        drawn = tf.reshape(drawn, [-1, self.candidates, self.flow.size])
        return self.resampling.choose(drawn, log_weight, choice)

    def code_features(self, vectors, conditions):
        """Return what the weight of a code depends on, (n, d)."""
        raw, log_flux = self.vae.trunk(vectors)[:2]
        return code_features(raw, log_flux, conditions, self.vae.components)

    def log_weight(self, vectors, conditions):
        """Return the log weight of codes, (n,)."""
        return self.resampling(self.code_features(vectors, conditions))

    def decode_turned(self, latents, turn, clump_share=None, clump_noise=None):
        """Return the galaxy of a latent code, flipped and turned, with its clumps."""
        clumps = None if clump_share is None else (clump_share, clump_noise)
        return {"image": self.vae.decode_turned(latents, turn, clumps)}

    def keep_upright(self, latents):
        """Return the turn that changes nothing and no clumps, by a way no compiler removes."""
        zero = tf.cast(tf.math.is_nan(latents[:, 0]), tf.float32)
        kept = {"turn": tf.cast(zero, tf.int32)}
        if self.clumpiness:
            none = tf.zeros([1, self.clump_noise_size])
            kept |= {"clump_share": zero, "clump_noise": zero[:, None] + none}
        return kept

    @tf.function
    def encode(self, image, psf, noise_variance):
        """Return the posterior's mean and scale, (n, code_size)."""
        stamps = {"image": image, "psf": psf, "noise_variance": noise_variance}
        mean, log_scale = self.vae.posterior(stamps)
        return {"mean": mean, "scale": tf.exp(log_scale)}

    @tf.function
    def decode(self, latents):
        """Return the galaxy of a latent code."""
        upright = tf.zeros(tf.shape(latents)[:1], tf.int32)
        return {"image": self.vae.decode_turned(latents, upright)}

    @tf.function
    def latent_log_prob(self, latents, flux_radius, mag_auto, zphot):
        """Return log p(z | conditions), (n,) [nat]."""
        conditions = tf.stack([flux_radius, mag_auto, zphot], axis=-1)
        vectors, texture = latents[:, : self.flow.size], latents[:, self.flow.size :]
        normal = -0.5 * tf.reduce_sum(texture**2 + math.log(2.0 * math.pi), axis=-1)
        log_prob = self.flow.log_prob(vectors, conditions) + normal
        if self.resampling:
            log_prob += self.resampling.log_gain(self.log_weight(vectors, conditions))
        return {"log_prob": log_prob}

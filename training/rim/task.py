"""What the training loop does for the learned search: fresh simulations in every step."""

import hashlib
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm
from galsim_hub.particle_mesh.learned import learned_steps

from ..mesh_config import RimConfig
from .network import RimNetwork

VALIDATION_SEED = 2**32  # above all seeds of training


class Survey:
    """Simulated observations of boxes, the same for everybody who knows their seeds."""

    def __init__(self, config: RimConfig):
        self.config = config
        self.box = pm.Box(config.cells, config.cells * config.cell)
        growth = pm.Growth(pm.Planck15())
        self.power = pm.EisensteinHu(growth.cosmology)
        stages = pm.scale_factors(config.first_scale_factor, 1.0, config.steps)
        forward = pm.simulation(self.box, growth, stages)
        self.posterior = pm.Posterior(
            np.zeros(self.box.shape), config.noise, self.box, self.power, forward
        )

    def observe(self, seeds: list[int]) -> dict[str, tf.Tensor]:
        """Return true linear fields and noisy densities, (batch, x, y, z) each."""
        truth = pm.linear_field(self.box, self.power, seeds)
        noise = [np.random.default_rng(seed).standard_normal(self.box.shape) for seed in seeds]
        observed = self.posterior.forward(truth) + self.config.noise * tf.constant(
            noise, tf.float32
        )
        return {"truth": truth, "observed": observed}


class RimTask:
    """Fit the network of a learned search to simulations."""

    def __init__(self, config: RimConfig):
        self.config, self.fit = config, config.fit_rim
        self.survey = Survey(config)
        self.model = RimNetwork(config)
        shape = (config.cells, config.cell, config.noise, config.steps, config.first_scale_factor)
        shape += (config.iterations, config.widths, config.hidden)
        self.identity = hashlib.sha256(repr(shape).encode()).hexdigest()
        seeds = [VALIDATION_SEED + i for i in range(config.validation_fields)]
        self.held_out = self.survey.observe(seeds)
        self._validation = tf.function(self.errors, autograph=False)

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield new simulations, a function of seed and step."""
        while True:
            first = (self.fit.seed * 10**6 + step) * self.fit.batch
            yield self.survey.observe([first + i for i in range(self.fit.batch)])
            step += 1

    def estimates(self, observed: tf.Tensor) -> list[tf.Tensor]:
        """Return the linear field after each step of the search."""
        posterior = self.survey.posterior.observing(observed)
        steps = learned_steps(posterior, self.model, self.config.iterations, self.config.hidden)
        return [posterior.linear(white) for white in steps]

    def errors(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the mean square error after each step, in variances of the linear field."""
        estimates = tf.stack(self.estimates(batch["observed"]))
        scale = self.survey.posterior.linear_std
        return tf.reduce_mean(((estimates - batch["truth"]) / scale) ** 2, axis=[1, 2, 3, 4])

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the errors of all steps, of which later ones count more."""
        errors = self.errors(batch)
        weights = np.arange(1.0, self.config.iterations + 1)
        loss = tf.reduce_sum(errors * tf.constant(weights / weights.sum(), tf.float32))
        return {"loss": loss, "last": errors[-1]}

    def validate(self) -> dict[str, float]:
        """Return the error after the last step, on boxes that training does not see."""
        errors = self._validation(self.held_out)
        return {"loss": float(errors[-1]), "first": float(errors[0])}

    def picture(self, path: pathlib.Path) -> None:
        """Save r(k) of the first held-out box after every step."""
        truth, box = self.held_out["truth"][:1], self.survey.box
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        k = pm.power_spectrum(truth, box).k
        for i, estimate in enumerate(self.estimates(self.held_out["observed"][:1])):
            axes.plot(k, pm.correlation(estimate, truth, box)[0], label=f"step {i + 1}")
        axes.set(xlabel="k [h/Mpc]", ylabel="r(k)", ylim=(0, 1))
        axes.legend(fontsize=6)
        figure.savefig(path, dpi=80)

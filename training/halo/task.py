"""What the training loop does for a halo field: boxes in, their haloes' mass out."""

import functools
import hashlib
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm

from ..config import fingerprint
from ..errors import ConfigError
from ..mesh_config import HaloConfig
from .data import box_of, load, mass_field
from .measure import compare
from .network import HaloNetwork
from .pictures import comparison_figure


class HaloTask:
    """Fit the network of a halo field to simulated haloes."""

    def __init__(self, config: HaloConfig):
        self.config, self.fit = config, config.fit_halo
        self.box = box_of(config.data)
        shape = (fingerprint(config.data), config.least_mass, config.smoothing, config.scales)
        shape += (config.widths, config.train, config.validation)
        self.identity = hashlib.sha256(repr(shape).encode()).hexdigest()
        self.samples = {split: load(config, split) for split in ("train", "validation")}
        self.masses = {
            split: [mass_field(sample, self.box, config.least_mass) for sample in samples]
            for split, samples in self.samples.items()
        }
        self.mean_mass = float(np.mean(self.masses["train"]))  # [Msun/h] of a cell
        if self.mean_mass == 0:
            raise ConfigError(
                f"No halo of the training boxes is above least_mass {config.least_mass:g} Msun/h: "
                "lower it, or make the boxes larger."
            )
        targets = [self._target(mass / self.mean_mass) for mass in self.masses["train"]]
        self.variance = float(np.mean([np.var(target) for target in targets]))
        self.model = HaloNetwork(2 * len(config.scales), config.widths)
        self.model.standardise(self.prepared("train", 0)["features"])
        self._predict = tf.function(self.model, autograph=False)

    def _target(self, truth: np.ndarray) -> np.ndarray:
        return pm.smooth(tf.constant(truth), self.box, self.config.smoothing).numpy()

    @functools.cache  # noqa: B019 - a fit has one set of boxes, and it lives as long as the process
    def prepared(self, split: str, i: int) -> dict[str, np.ndarray]:
        """Return features (cell, feature), the field of haloes and what is fitted of it."""
        density = self.samples[split][i].density
        features = pm.halo_features(tf.constant(density), self.box, self.config.scales).numpy()
        truth = self.masses[split][i] / self.mean_mass
        return {
            "features": features.reshape(self.box.n_cells, -1),
            "truth": truth,
            "target": self._target(truth),
            "density": density,
        }

    @property
    def held_out(self) -> list[dict[str, np.ndarray]]:
        """The validation boxes."""
        return [self.prepared("validation", i) for i in range(self.config.validation)]

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield boxes, each once in random order and then again."""
        while True:
            epoch, i = divmod(step, self.config.train)
            order = np.random.default_rng([self.fit.seed, epoch]).permutation(self.config.train)
            box = self.prepared("train", int(order[i]))
            yield {name: tf.constant(box[name]) for name in ("features", "target")}
            step += 1

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the mean square error of the smoothed field, in variances of the training set."""
        field = tf.reshape(self.model(batch["features"]), self.box.shape)
        error = pm.smooth(field, self.box, self.config.smoothing) - batch["target"]
        return {"loss": tf.reduce_mean(error**2) / self.variance}

    def predict(self, box: dict[str, np.ndarray]) -> np.ndarray:
        """Return the field of a prepared box, (x, y, z)."""
        return self._predict(tf.constant(box["features"])).numpy().reshape(self.box.shape)

    def validate(self) -> dict[str, float]:
        """Return the error, and the correlation of the largest scales, on validation boxes."""
        held_out = self.held_out
        fields = [self.predict(box) for box in held_out]
        scale = self.config.smoothing
        errors = [
            np.mean((pm.smooth(tf.constant(field), self.box, scale) - box["target"]) ** 2)
            for field, box in zip(fields, held_out, strict=True)
        ]
        found = compare(fields, [box["truth"] for box in held_out], self.box)
        return {
            "loss": float(np.mean(errors)) / self.variance,
            "correlation": float(found.correlation[0]),
        }

    def picture(self, path: pathlib.Path) -> None:
        """Save a slab of the first validation box, and how well scales are recovered in all."""
        held_out = self.held_out
        fields = [self.predict(box) for box in held_out]
        figure = comparison_figure(
            held_out[0]["density"],
            [box["truth"] for box in held_out],
            fields,
            self.box,
            self.config.smoothing,
        )
        figure.savefig(path, dpi=80)

"""What the training loop does for a halo field: boxes in, their haloes' mass out."""

import hashlib
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm

from ..config import HaloConfig, fingerprint
from ..errors import ConfigError
from .data import Sample, box_of, load, mass_field
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
        samples = {split: load(config, split) for split in ("train", "validation")}
        masses = [mass_field(s, self.box, config.least_mass) for s in samples["train"]]
        self.mean_mass = float(np.mean(masses))  # [Msun/h] of a cell
        if self.mean_mass == 0:
            raise ConfigError(
                f"No halo of the training boxes is above least_mass {config.least_mass:g} Msun/h: "
                "lower it, or make the boxes larger."
            )
        self.boxes = {split: [self._prepare(s) for s in rows] for split, rows in samples.items()}
        self.variance = float(np.mean([np.var(b["target"]) for b in self.boxes["train"]]))
        self.model = HaloNetwork(2 * len(config.scales), config.widths)
        self.model.standardise(np.concatenate([b["features"] for b in self.boxes["train"]]))
        self._predict = tf.function(self.model, autograph=False)

    def _prepare(self, sample: Sample) -> dict[str, np.ndarray]:
        """Return features (cell, feature), the field of haloes and what is fitted of it."""
        density = tf.constant(sample.density)
        features = pm.halo_features(density, self.box, self.config.scales).numpy()
        truth = mass_field(sample, self.box, self.config.least_mass) / self.mean_mass
        target = pm.smooth(tf.constant(truth), self.box, self.config.smoothing).numpy()
        rows = features.reshape(self.box.n_cells, -1)
        return {"features": rows, "truth": truth, "target": target, "density": sample.density}

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield boxes, each once in random order and then again."""
        boxes = self.boxes["train"]
        while True:
            epoch, i = divmod(step, len(boxes))
            order = np.random.default_rng([self.fit.seed, epoch]).permutation(len(boxes))
            yield {name: tf.constant(boxes[order[i]][name]) for name in ("features", "target")}
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
        held_out = self.boxes["validation"]
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
        held_out = self.boxes["validation"]
        fields = [self.predict(box) for box in held_out]
        figure = comparison_figure(
            held_out[0]["density"],
            [box["truth"] for box in held_out],
            fields,
            self.box,
            self.config.smoothing,
        )
        figure.savefig(path, dpi=80)

"""What the training loop does for a score prior: denoising score matching.

The loss is sigma^2 |score(y + sigma n, sigma) + n / sigma|^2 a value, with sigma even in its
logarithm (Vincent 2011; Song and Ermon 2019, arXiv:1907.05600). Beside a Gaussian part it is
divided by what the Gaussian score alone would have: 1 is the Wiener filter at every level. Without
this, high levels, where smooth fields lose little of the noise, would count for nothing.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ..config import ScoreConfig, fingerprint
from ..errors import ConfigError
from .data import measure_power, measure_std, open_source
from .network import ScoreNetwork, multiple_of
from .stamp_network import StampNetwork

VALIDATION_BATCHES = 8
_POWER_SAMPLES = 256
_PICTURE_LEVELS = (0.05, 0.2, 1.0)  # [standard deviations]


class ScoreTask:
    """Fit a score network."""

    def __init__(self, config: ScoreConfig):
        self.config, self.fit = config, config.fit_score
        self.source = open_source(config.data)
        side = config.data.crop
        if len(self.source.event_shape) == 2 and side % multiple_of(config.network):
            raise ConfigError(
                f"data.crop {side} must be a multiple of {multiple_of(config.network)}, because "
                f"the network has {len(config.network.widths)} resolutions."
            )
        self.identity = f"{self.source.identity}/{fingerprint(config.network)}"
        network = StampNetwork if config.data.source == "galaxies" else ScoreNetwork
        self.model = network(config.network, self.source.event_shape)
        self.std = measure_std(self.source, self.fit.seed)
        self.model.std.assign(self.std)
        self.power = self.measure_power() if len(self.source.event_shape) == 2 else None
        if self.model.gaussian is not None:
            self.model.gaussian.set_power(*self.power)
        self._scaled = tf.function(self.model.scaled, autograph=False)

    def measure_power(self) -> tuple[np.ndarray, np.ndarray]:
        """Return wavenumbers and power spectrum of the training set, of whole maps if any."""
        if self.config.data.source == "maps":
            maps = self.source.maps("train")
            rows = np.linspace(0, len(maps) - 1, min(len(maps), _POWER_SAMPLES)).astype(int)
            return measure_power(np.asarray(maps[rows]), is_periodic=False)
        fields = self.source.batch("train", _POWER_SAMPLES, self.fit.seed, 0)
        return measure_power(fields, is_periodic=True)

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels, in the data's units."""
        low, high = self.config.network.sigma
        return low * self.std, high * self.std

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield samples."""
        while True:
            rows = self.source.batch("train", self.fit.batch, self.fit.seed, step)
            yield {"x": tf.constant(rows)}
            step += 1

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the mean squared error of the noise that the network sees."""
        x = batch["x"]
        n = tf.shape(x)[0]
        low, high = np.log(self.sigma_range)
        # One draw a batch and even steps from it cover the range better than independent draws.
        first = tf.random.stateless_uniform([], seed)
        even = (tf.cast(tf.range(n), tf.float32) + first) / tf.cast(n, tf.float32)
        sigma = tf.exp(low + (high - low) * even)
        noise = tf.random.stateless_normal(tf.shape(x), seed + 1)
        return {"loss": tf.reduce_mean(self._errors(x, sigma, noise, training=True))}

    def validate(self) -> dict[str, float]:
        """Return the loss on the validation split with fixed noise, and that at some levels."""
        low, high = self.sigma_range
        errors = []
        for step in range(VALIDATION_BATCHES):
            x = self.source.batch("validation", self.fit.batch, self.fit.seed, step)
            sigma = np.geomspace(low, high, len(x)).astype(np.float32)
            noise = np.random.default_rng([self.fit.seed, step]).standard_normal(x.shape)
            noise = tf.constant(noise, tf.float32)
            errors.append(self._errors(tf.constant(x), tf.constant(sigma), noise, training=False))
        by_level = np.mean(errors, axis=(0, *range(2, np.ndim(errors))))
        thirds = [float(part.mean()) for part in np.array_split(by_level, 3)]
        names = ("small_sigma", "middle_sigma", "large_sigma")
        return {"loss": float(by_level.mean())} | dict(zip(names, thirds, strict=True))

    def picture(self, path: pathlib.Path) -> None:
        """Save samples, noisy at some levels, and denoised."""
        from .pictures import denoising_figure

        std = self.std
        x = self.source.batch("validation", 4 if self.model.is_image else 2000, 0, 0)
        noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
        rows = []
        for level in _PICTURE_LEVELS:
            sigma = np.full(len(x), level * std, np.float32)
            noisy = x + level * std * noise
            score = self._scaled(noisy, sigma).numpy()
            rows.append((f"{level:g} std", noisy, noisy + level * std * score))
        denoising_figure(x, rows).savefig(path, dpi=80)

    def _errors(self, x: tf.Tensor, sigma: tf.Tensor, noise: tf.Tensor, *, training: bool):
        """Return squared errors of the noise, without the margin of images.

        Beside a Gaussian part: in units of what that one leaves.
        """
        column = self.model._column(sigma)
        seen = self.model.scaled if training else self._scaled
        errors = (seen(x + column * noise, sigma, training=training) + noise) ** 2
        if self.model.gaussian is not None:
            size = (self.config.data.crop, self.config.data.crop)
            errors /= self.model.gaussian.expected_loss(sigma, size)[:, None, None]
        margin = self.config.data.margin
        if not margin:
            return errors
        return errors[:, margin:-margin, margin:-margin]

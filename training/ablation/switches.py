"""What a variant lacks that no recipe should be able to leave out.

``white_noise`` takes the noise's correlation from the likelihood; ``psf_modulus`` leaves encoder
and likelihood the modulus of the PSF's transform alone, ``no_psf`` nothing of the PSF; ``upright``
neither flips nor turns stamps; ``posterior_means`` fits the flow to means instead of samples.
"""

import numpy as np
import tensorflow as tf

from ..data.pipeline import StampSet

LOG_OF_NOTHING = -20.0  # as a posterior's log scale: its samples are its mean in float32


class SwitchedStamps(StampSet):
    """A stamp set as a model sees it from which `switch` takes something away."""

    def __init__(self, directory: str, half: int | None, switch: str | None):
        super().__init__(directory, half)
        self.switch = switch
        if switch == "white_noise":
            self.noise_power = np.ones_like(self.noise_power)

    @property
    def identity(self) -> str:
        """Hash of what every shard holds, and the switch."""
        return super().identity if self.switch is None else f"{super().identity}/{self.switch}"

    def _parse(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        stamps = super()._parse(records)
        if self.switch == "psf_modulus":
            stamps["psf"] = zero_phase(stamps["psf"])
        if self.switch == "no_psf":
            stamps["psf"] = zero_phase(stamps["psf"], power=0.0)
        return stamps

    def _augment(self, step: tf.Tensor, records: tf.Tensor, seed: int) -> dict[str, tf.Tensor]:
        if self.switch == "upright":
            return self._upright(records)
        return super()._augment(step, records, seed)


def zero_phase(psfs: tf.Tensor, power: float = 1.0) -> tf.Tensor:
    """Return the PSFs (n, p, p), p odd, whose transforms are the moduli of these to a power.

    They are even about their central pixel; of power zero, they are that pixel.
    """
    size = psfs.shape[-1]
    modulus = tf.abs(tf.signal.rfft2d(psfs)) ** power
    even = tf.signal.irfft2d(tf.cast(modulus, tf.complex64), [size, size])
    return tf.roll(even, [size // 2, size // 2], axis=[1, 2])


def without_spread(latents: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Return tables of posteriors (see `training.latents`) that are their means alone."""
    return {
        split: table | {"log_scale": np.full_like(table["log_scale"], LOG_OF_NOTHING)}
        for split, table in latents.items()
    }

"""Feed stamps to a fit: seeded order, exact resume, flips and quarter turns.

The order of the galaxies is a function of the seed and the epoch, and the augmentation of the seed
and the step, so a fit that is killed continues with the very batches that it would have seen.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ..config import DataConfig
from ..errors import ConfigError, DataError
from ..parsing import build
from .build import load_manifest
from .records import ident_of, parse
from .split import half_of

ZERO_POINT = 25.94  # AB, of F814W counts in 1 s


class StampSet:
    """A finished stamp set on disk; with `half`, its training split is that half only."""

    def __init__(self, directory: str, half: int | None = None):
        self.directory, self.half = pathlib.Path(directory), half
        self.manifest = load_manifest(directory)
        self._require_shards()
        self.noise_power = np.load(self.directory / "noise_power.npy")

    def require_made_by(self, config: DataConfig) -> None:
        """Raise `ConfigError` unless the stamps are those of this section, wherever files are."""
        mine, theirs = (
            dataclasses.asdict(each) | {"directory": "", "catalogue": "", "psfs": None}
            for each in (config, build(DataConfig, self.manifest["config"], str(self.directory)))
        )
        if other := [f"{k}={theirs[k]!r}, not {mine[k]!r}" for k in mine if mine[k] != theirs[k]]:
            raise ConfigError(
                f"The stamps in {self.directory} were made with {'; '.join(other)}: take back "
                "what was changed of the section data, or build them in another data.directory."
            )

    def _require_shards(self) -> None:
        """Raise `DataError` unless each shard is there, of its size."""
        for name, shard in self.manifest["shards"].items():
            path = self.directory / name
            # Manifests of before do not tell the size.
            if not path.is_file() or path.stat().st_size != shard.get("size", path.stat().st_size):
                raise DataError(
                    f"{path} is missing or damaged: run 'python -m training data CONFIG', which "
                    "draws it again."
                )

    @property
    def identity(self) -> str:
        """Hash of what every shard holds, wherever the set is."""
        shards = {name: shard["sha256"] for name, shard in self.manifest["shards"].items()}
        digest = hashlib.sha256(json.dumps(shards, sort_keys=True).encode()).hexdigest()
        return digest if self.half is None else f"{digest}/half {self.half}"

    def count(self, split: str) -> int:
        """Return the number of stamps of a split."""
        if split == "train" and self.half is not None:
            return self._half_count
        return self.manifest["counts"][split]

    @functools.cached_property
    def _half_count(self) -> int:
        # Read through once: the manifest does not know which stamps belong to which half.
        data = tf.data.TFRecordDataset(self.files("train")).filter(self._in_half).batch(64)
        return sum(int(tf.shape(records)[0]) for records in data)

    def _in_half(self, record: tf.Tensor) -> tf.Tensor:
        return tf.equal(half_of(ident_of(record)), self.half)

    def _records(self, data: tf.data.Dataset, split: str) -> tf.data.Dataset:
        """Leave out of the training split what belongs to the other half."""
        return data if split != "train" or self.half is None else data.filter(self._in_half)

    def files(self, split: str) -> list[str]:
        """Return a split's shards in order."""
        shards = self.manifest["shards"]
        return [str(self.directory / n) for n in sorted(shards) if shards[n]["split"] == split]

    def ordered(self, split: str, batch: int) -> tf.data.Dataset:
        """Return a split once, in file order, without augmentation."""
        data = self._records(tf.data.TFRecordDataset(self.files(split)), split).batch(batch)
        return data.map(self._upright, num_parallel_calls=2).prefetch(2)

    def training(
        self, split: str, batch: int, seed: int, step: int = 0
    ) -> Iterator[dict[str, tf.Tensor]]:
        """Yield augmented batches for ever, beginning as if `step` batches had been drawn.

        Raises
        ------
        DataError
            If there are fewer stamps than a batch takes, or than the manifest says.
        """
        steps_per_epoch = self.count(split) // batch
        if not steps_per_epoch:
            raise DataError(
                f"The {split} split has {self.count(split)} stamps, fewer than a batch of {batch}: "
                "lower the recipe's batch."
            )
        while True:
            epoch, done = divmod(step, steps_per_epoch)
            for stamps in self._epoch(split, batch, seed, epoch, done):
                yield stamps
                step += 1
            if step != (epoch + 1) * steps_per_epoch:
                raise DataError(
                    f"The {split} split ended after {step - epoch * steps_per_epoch} of "
                    f"{steps_per_epoch} batches: a shard in {self.directory} has lost stamps. Run "
                    "'python -m training data CONFIG', which draws it again."
                )

    def _epoch(self, split: str, batch: int, seed: int, epoch: int, done: int) -> tf.data.Dataset:
        rng = np.random.default_rng([seed, epoch])
        files = rng.permutation(self.files(split))
        data = tf.data.Dataset.from_tensor_slices(files)
        data = data.interleave(
            tf.data.TFRecordDataset, cycle_length=min(8, len(files)), block_length=4
        )
        data = self._records(data, split)
        data = data.shuffle(1024, seed=int(rng.integers(2**31)), reshuffle_each_iteration=False)
        data = data.batch(batch, drop_remainder=True).skip(done)
        numbered = data.enumerate(start=epoch * (self.count(split) // batch) + done)
        augment = functools.partial(self._augment, seed=seed)
        return numbered.map(augment, num_parallel_calls=2, deterministic=True).prefetch(2)

    def _parse(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        config = self.manifest["config"]
        return parse(
            records, config["stamp_size"], config["psf_size"], len(self.manifest["conditions"])
        )

    def _upright(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        stamps = self._parse(records)
        return stamps | {"turn": tf.zeros_like(stamps["ident"], tf.int32)}

    def _augment(self, step: tf.Tensor, records: tf.Tensor, seed: int) -> dict[str, tf.Tensor]:
        stamps = self._parse(records)
        seeds = tf.stack([tf.cast(seed, tf.int64), step])
        turn = tf.random.stateless_uniform(tf.shape(records), seeds, maxval=8, dtype=tf.int32)
        images, psfs = dihedral(stamps["image"], turn), dihedral(stamps["psf"], turn)
        return stamps | {"image": images, "psf": psfs, "turn": turn}


def dihedral(images: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Flip left to right if turn >= 4, then turn by ``turn % 4`` quarters, each of (n, s, s)."""
    flip, half, quarter = ((turn // 4) == 1, (turn // 2) % 2 == 1, turn % 2 == 1)
    images = tf.where(flip[:, None, None], images[:, :, ::-1], images)
    images = tf.where(half[:, None, None], images[:, ::-1, ::-1], images)
    return tf.where(quarter[:, None, None], tf.transpose(images, [0, 2, 1])[:, ::-1], images)


def flux_of(mag_auto: tf.Tensor) -> tf.Tensor:
    """Return the flux [count] of a magnitude."""
    return tf.pow(10.0, 0.4 * (ZERO_POINT - mag_auto))

"""TFRecord format of a stamp: float32 arrays as bytes, sizes in the manifest."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from .stamps import Stamp

ARRAYS = ("image", "psf", "noise_variance", "conditions")


def serialise(stamp: Stamp) -> bytes:
    """Return the record of a stamp."""
    features = {
        name: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[np.asarray(getattr(stamp, name), "<f4").tobytes()])
        )
        for name in ARRAYS
    }
    for name in ("ident", "psf_index"):
        features[name] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[getattr(stamp, name)])
        )
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(
        deterministic=True
    )


def parse(
    records: tf.Tensor, stamp_size: int, psf_size: int, n_conditions: int
) -> dict[str, tf.Tensor]:
    """Return the tensors of a batch of records (n,), each with the batch first."""
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in ARRAYS}
    spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in ("ident", "psf_index")}
    stamps = tf.io.parse_example(records, spec)
    shapes = ([stamp_size, stamp_size], [psf_size, psf_size], [], [n_conditions])
    for name, shape in zip(ARRAYS, shapes, strict=True):
        stamps[name] = tf.reshape(tf.io.decode_raw(stamps[name], tf.float32), [-1, *shape])
    return stamps


def ident_of(record: tf.Tensor) -> tf.Tensor:
    """Return the IDENT of one record."""
    return tf.io.parse_single_example(record, {"ident": tf.io.FixedLenFeature([], tf.int64)})[
        "ident"
    ]


def write(path: str, stamps: Iterable[Stamp]) -> int:
    """Write a shard and return how many stamps it holds."""
    count = 0
    with tf.io.TFRecordWriter(path) as writer:
        for stamp in stamps:
            writer.write(serialise(stamp))
            count += 1
    return count

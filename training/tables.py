"""Tables of arrays, a row a galaxy: kept on disk, and fed to a fit by random rows."""

import hashlib
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from .config import FitConfig

SPLITS = ("train", "validation")

Table = dict[str, np.ndarray]


def cached(
    path: pathlib.Path,
    networks: list[keras.Model],
    names: tuple[str, ...],
    make: Callable[[], dict[str, Table]],
) -> dict[str, Table]:
    """Return the tables of both splits with columns `names`, made once for these weights."""
    weights = b"".join(w.tobytes() for n in networks for w in n.get_weights())
    mine = hashlib.sha256(weights).hexdigest()
    if made_by(path) != mine:
        part = path.with_name("part." + path.name)
        arrays = {f"{s}/{k}": v for s, table in make().items() for k, v in table.items()}
        np.savez(part, made_by=mine, **arrays)
        part.replace(path)
    with np.load(path) as file:
        return {s: {k: file[f"{s}/{k}"] for k in names} for s in SPLITS}


def made_by(path: pathlib.Path) -> str | None:
    """Return the hash of the weights that a file's tables were made with, None if there is none."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        return str(file["made_by"]) if "made_by" in file else None


def random_rows(table: Table, fit: FitConfig, step: int) -> Iterator[dict[str, tf.Tensor]]:
    """Yield batches of random rows for ever, each a function of seed and step."""
    count = len(next(iter(table.values())))
    while True:
        rows = np.random.default_rng([fit.seed, step]).integers(count, size=fit.batch)
        yield {k: tf.constant(v[rows]) for k, v in table.items()}
        step += 1

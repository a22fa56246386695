"""Tables of arrays, a row a galaxy: kept on disk, and fed to a fit by random rows."""

import hashlib
import logging
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from .config import FitConfig

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation")

Table = dict[str, np.ndarray]


def cached(
    path: pathlib.Path,
    networks: list[keras.Model],
    names: tuple[str, ...],
    make: Callable[[], dict[str, Table]],
) -> dict[str, Table]:
    """Return the tables of both splits with columns `names`, made once for these weights."""
    mine = weights_hash(networks)
    tables = _read(path, mine, names)
    if tables is None:
        tables = make()
        part = path.with_name("part." + path.name)
        arrays = {f"{s}/{k}": v for s, table in tables.items() for k, v in table.items()}
        np.savez(part, made_by=mine, **arrays)
        part.replace(path)
    return {split: {name: tables[split][name] for name in names} for split in SPLITS}


def weights_hash(networks: list[keras.Model]) -> str:
    """Return the sha256 of all weights of networks."""
    weights = b"".join(w.tobytes() for n in networks for w in n.get_weights())
    return hashlib.sha256(weights).hexdigest()


def _read(path: pathlib.Path, mine: str, names: tuple[str, ...]) -> dict[str, Table] | None:
    """Return the tables of a file that was made with these weights, None if it was not."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            if "made_by" not in file or str(file["made_by"]) != mine:
                return None
            return {s: {k: file[f"{s}/{k}"] for k in names} for s in SPLITS}
    except FileNotFoundError:
        return None
    except (EOFError, KeyError, ValueError, OSError, zipfile.BadZipFile, zlib.error):
        logger.warning("%s is damaged: its tables are made again.", path)
        return None


def random_rows(table: Table, fit: FitConfig, step: int) -> Iterator[dict[str, tf.Tensor]]:
    """Yield batches of random rows for ever, each a function of seed and step."""
    count = len(next(iter(table.values())))
    while True:
        rows = np.random.default_rng([fit.seed, step]).integers(count, size=fit.batch)
        yield {k: tf.constant(v[rows]) for k, v in table.items()}
        step += 1

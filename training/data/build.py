"""Build a stamp set: shards by split, drawn in parallel, resumable, described by a manifest."""

import concurrent.futures
import dataclasses
import json
import logging
import multiprocessing
import os
import pathlib

import galsim
import numpy as np

from ..config import DataConfig, fingerprint
from ..errors import DataError
from .fetch import check_sha256, sha256_of
from .noise import dihedral_spectra, noise_covariance
from .split import SPLITS, split_of
from .stamps import StampSource

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """What one process draws in one go: (index, realisation) pairs of one split."""

    split: str
    number: int
    rows: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """File name of the shard."""
        return f"{self.split}-{self.number:05d}.tfrecord"


def build(config: DataConfig, processes: int | None = None) -> dict:
    """Draw every missing or damaged shard, then write and return the manifest.

    Shards that stand already are kept, if they belong to the same configuration and input files.

    Raises
    ------
    DataError
        If an input is missing or has another hash, or the folder holds another stamp set.
    """
    folder = pathlib.Path(config.directory)
    if config.catalogue_sha256 and pathlib.Path(config.catalogue).is_file():
        check_sha256(pathlib.Path(config.catalogue), config.catalogue_sha256)
    source = StampSource(config)
    tasks = plan(source, config)
    inputs = _hash_inputs(source)
    folder.mkdir(parents=True, exist_ok=True)
    _claim_folder(folder, config, inputs)
    missing = [task for task in tasks if not _is_whole(folder, task)]
    logger.info("%d of %d shards to draw", len(missing), len(tasks))
    _draw_all(config, missing, processes or os.cpu_count() or 1)
    return _write_manifest(folder, config, inputs, len(source), tasks)


def plan(source: StampSource, config: DataConfig) -> list[ShardTask]:
    """Split the galaxies over shards: validation and test first, each split in shuffled order."""
    usable = np.flatnonzero(source.usable())
    order = np.random.default_rng(config.seed).permutation(usable)[: config.limit]
    split = split_of(source.idents[order])
    tasks = []
    for number in (1, 2, 0):
        members = order[split == number]
        repeats = config.realisations if number == 0 else 1
        rows = [(int(i), r) for r in range(repeats) for i in members]
        chunks = [rows[k : k + config.shard_size] for k in range(0, len(rows), config.shard_size)]
        tasks += [ShardTask(SPLITS[number], n, tuple(chunk)) for n, chunk in enumerate(chunks)]
    return tasks


def load_manifest(directory: str) -> dict:
    """Read the manifest of a finished stamp set.

    Raises
    ------
    DataError
        If there is none, or it is damaged.
    """
    path = pathlib.Path(directory) / "manifest.json"
    if not path.is_file():
        raise DataError(
            f"No finished stamp set in {directory}: run 'python -m training data CONFIG' first."
        )
    if (manifest := _read_json(path)) is None:
        raise DataError(f"{path} is damaged: run 'python -m training data CONFIG' once more.")
    return manifest


def _draw_all(config: DataConfig, tasks: list[ShardTask], processes: int) -> None:
    from tqdm import tqdm

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes are the parallelism
    context = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ProcessPoolExecutor(
            processes, mp_context=context, initializer=_start, initargs=(config,)
        ) as pool,
        tqdm(total=sum(len(t.rows) for t in tasks), unit="galaxy", disable=None) as bar,
    ):
        futures = {pool.submit(_draw_shard, task): task for task in tasks}
        for future in concurrent.futures.as_completed(futures):
            future.result()
            bar.update(len(futures[future].rows))


_source: StampSource | None = None


def _start(config: DataConfig) -> None:
    global _source
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _source = StampSource(config)


def _draw_shard(task: ShardTask) -> None:
    """Draw one shard under a temporary name; its sidecar, written last, marks it as whole."""
    from . import records

    assert _source is not None
    source, failed = _source, []

    def stamps():
        for index, realisation in task.rows:
            try:
                stamp = source.make(index, realisation)
            except galsim.GalSimError as error:
                failed.append([int(source.idents[index]), str(error)[:200]])
                continue
            if np.all(np.isfinite(stamp.image)):
                yield stamp
            else:
                failed.append([int(source.idents[index]), "image not finite"])

    folder = pathlib.Path(source.config.directory)
    part = folder / (task.name + ".part")
    count = records.write(str(part), stamps())
    os.replace(part, folder / task.name)
    report = {
        "split": task.split,
        "count": count,
        "failed": failed,
        "sha256": sha256_of(folder / task.name),
    }
    _write_atomically(_sidecar(folder, task), report)


def _sidecar(folder: pathlib.Path, task: ShardTask) -> pathlib.Path:
    return folder / (task.name + ".json")


def _is_whole(folder: pathlib.Path, task: ShardTask) -> bool:
    """Whether a shard stands as it was drawn."""
    report, path = _read_json(_sidecar(folder, task)), folder / task.name
    if report is None or not path.is_file():
        return False
    if sha256_of(path) != report["sha256"]:
        logger.warning("%s is damaged: it is drawn again.", path)
        return False
    return True


def _read_json(path: pathlib.Path) -> dict | None:
    """Return what a file holds, None if it is missing or cut short."""
    try:
        return json.loads(path.read_text()) or None
    except (FileNotFoundError, ValueError):
        return None


def _hash_inputs(source: StampSource) -> dict[str, str]:
    """Return the sha256 of every file that the stamps are made from."""
    files = source.input_files()
    if lost := [str(path) for path in files if not path.is_file()]:
        raise DataError(
            f"No {', '.join(lost[:5])}{' and others' if len(lost) > 5 else ''}, which the stamps "
            f"are made from beside {source.config.catalogue}: put them there, or change "
            "data.catalogue or data.psfs."
        )
    return {path.name: sha256_of(path) for path in files}


def _write_atomically(path: pathlib.Path, tree: dict) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(tree, indent=1))
    os.replace(part, path)


def _claim_folder(folder: pathlib.Path, config: DataConfig, inputs: dict[str, str]) -> None:
    """Mark a folder as this stamp set's own; one without any shard is free.

    Raises
    ------
    DataError
        If it holds stamps of another configuration or of other input files.
    """
    mark, mine, made_from = folder / "config.sha256", fingerprint(config), folder / "inputs.json"
    if any(folder.glob("*.tfrecord")):
        if mark.is_file() and mark.read_text() != mine:
            raise DataError(
                f"{folder} holds a stamp set of another configuration: choose another "
                "data.directory or remove it."
            )
        # Sets from before there was this file have their inputs in the manifest.
        manifest = _read_json(folder / "manifest.json") or {}
        before = _read_json(made_from) or manifest.get("inputs", inputs)
        if other := sorted(n for n in {*before, *inputs} if before.get(n) != inputs.get(n)):
            raise DataError(
                f"{folder} holds stamps made from another {', '.join(other[:5])}: bring the file "
                "back, choose another data.directory or remove the folder."
            )
    mark.write_text(mine)
    _write_atomically(made_from, inputs)


def _write_manifest(
    folder: pathlib.Path,
    config: DataConfig,
    inputs: dict[str, str],
    catalogue_size: int,
    tasks: list[ShardTask],
) -> dict:
    shards = {
        task.name: json.loads(_sidecar(folder, task).read_text())
        | {"size": (folder / task.name).stat().st_size}
        for task in tasks
    }
    correlation = noise_covariance(galsim.getCOSMOSNoise(), config.stamp_size, config.pixel_scale)
    np.save(folder / "noise_power.npy", dihedral_spectra(correlation))
    manifest = {
        "config": dataclasses.asdict(config),
        "config_sha256": fingerprint(config),
        "units": {
            "image": "count (F814W, 1 s, zero point 25.94 AB)",
            "psf": "sum 1, effective (pixel included), its centroid where the galaxy has its own",
            "noise_variance": "count^2 per pixel",
            "flux_radius": "pixel of 0.03 arcsec",
            "mag_auto": "mag",
            "zphot": "",
            "noise_power": "expected periodogram at unit variance, by flip and quarter turn",
        },
        "conditions": list(config.columns),
        "inputs": inputs,
        "counts": {s: sum(r["count"] for r in shards.values() if r["split"] == s) for s in SPLITS},
        "failed": sum(len(r["failed"]) for r in shards.values()),
        "catalogue_size": catalogue_size,
        "shards": shards,
    }
    _write_atomically(folder / "manifest.json", manifest)
    return manifest

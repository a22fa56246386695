"""Measure one kind of scenes as they are drawn, in worker processes; no stamp is kept.

A table of measurements is a dict of columns (n,), NaN where a measurement failed, and `tried`, the
number of stamps whose morphology was asked for; it is kept on disk, so that the data's and the
Sersic fits' need not be measured again for the next module.
"""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel
from galsim_hub.recipe import Recipe

from ..config import DataConfig
from . import moments, morphology, scenes, sersic
from .scenes import Scene

if TYPE_CHECKING:  # TensorFlow comes with it, which the measuring processes do without
    from ..data.pipeline import StampSet

BORDER = 2  # [pixel]
CHUNK = 16  # scenes a process takes at a time
COLUMNS = (*moments.FIELDS, *morphology.FIELDS, "half_light_radius", "border")
Table = dict[str, np.ndarray]


class Measurer:
    """Observe and measure one scene after the other, in whichever process holds it."""

    def __init__(self, config: DataConfig, model: GenerativeGalaxyModel, morphology_count: int):
        self.config, self.model, self.morphology_count = config, model, morphology_count
        self.noise = galsim.getCOSMOSNoise()

    @functools.cached_property
    def fits(self) -> sersic.SersicFits:
        """The catalogue's fits, opened by the first scene that needs them."""
        return sersic.SersicFits(self.config)

    def measure(self, scene: Scene) -> dict[str, float]:
        """Return `COLUMNS` of a scene."""
        row = dict.fromkeys(COLUMNS, np.nan)
        image, noiseless = self.observe(scene)
        if image is None:
            return row
        if noiseless is not None:
            row["half_light_radius"] = half_light_radius(noiseless)
        if scene.kind == "generated":
            row["border"] = border_share(scene.stamp)
        row |= zip(moments.FIELDS, moments.measure(image), strict=True)
        if scene.number < self.morphology_count:
            row |= morphology.measure(image, scene.noise_variance)
        return row

    def observe(self, scene: Scene) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return a scene's stamp with noise and without, None for what there is not."""
        if scene.kind == "data":
            return scene.stamp, None
        galaxy = self.galaxy(scene)
        if galaxy is None:
            return None, None
        size, scale = self.config.stamp_size, self.config.pixel_scale
        try:
            noiseless = scenes.see(galaxy, scene.psf, size, scale)
        except galsim.GalSimError:
            return None, None  # a fit that GalSim cannot draw counts as a failure
        noise = self.noise.copy(rng=galsim.BaseDeviate(scene.noise_seed))
        return scenes.add_noise(noiseless, scene.noise_variance, noise, scale), noiseless

    def galaxy(self, scene: Scene) -> galsim.GSObject | None:
        """Return the galaxy of a generated or Sersic scene."""
        if scene.kind == "sersic":
            return self.fits.profile(scene.ident)
        recipe = Recipe(tuple(map(float, scene.conditions)), scene.seed)
        return GenerativeGalaxy.from_stamp(self.model, recipe, scene.stamp)


def measure_scenes(
    found: Iterator[Scene], measurer: Measurer, count: int, processes: int | None = None
) -> Table:
    """Measure scenes over processes, in order, with a few chunks of them in memory at a time."""
    from tqdm import tqdm

    processes = processes or os.cpu_count() or 1
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes are the parallelism
    rows: list[dict[str, float]] = []
    with (
        concurrent.futures.ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(measurer,),
        ) as pool,
        tqdm(total=count, unit="galaxy", disable=None) as bar,
    ):
        waiting: collections.deque = collections.deque()
        for chunk in itertools.chain(_chunks(found), [None] * 2 * processes):
            if len(waiting) == 2 * processes or (chunk is None and waiting):
                done = waiting.popleft().result()
                rows += done
                bar.update(len(done))
            if chunk is not None:
                waiting.append(pool.submit(_measure_chunk, chunk))
    names = rows[0] if rows else {}
    return {name: np.array([row[name] for row in rows]) for name in names}


def measure_kind(
    kind: str,
    measurer: Measurer,
    stamps: StampSet,
    split: str,
    count: int,
    folder: pathlib.Path,
    processes: int | None = None,
) -> Table:
    """Return the measurements of a kind, from disk where they stand already."""
    count = min(count, stamps.count(split))
    identity = {
        "kind": kind,
        "stamps": stamps.identity,
        "split": split,
        "count": count,
        "morphology": min(measurer.morphology_count, count),
        "module": measurer.model.sha256 if kind == "generated" else None,
        "code": code_version(),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    path = folder / f"{kind}-{digest[:16]}.npz"
    if not path.is_file():
        found = scenes.scenes(kind, stamps, split, count, measurer.model)
        table = measure_scenes(found, measurer, count, processes)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name("part." + path.name)
        np.savez(part, **table)
        part.replace(path)
    with np.load(path) as file:
        return dict(file) | {"tried": np.array([identity["morphology"]])}


def code_version() -> str:
    """Return the hash of the source that decides a measurement."""
    sources = [pathlib.Path(m.__file__) for m in (moments, morphology, scenes, sersic)]
    sources.append(pathlib.Path(__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def half_light_radius(image: np.ndarray) -> float:
    """Return the radius [pixel] about the centre of light that holds half of a noiseless stamp."""
    axis = np.arange(len(image), dtype=float)
    total = image.sum()
    x, y = image.sum(axis=0) @ axis / total, image.sum(axis=1) @ axis / total
    radius = np.hypot(axis[None, :] - x, axis[:, None] - y).ravel()
    order = np.argsort(radius)
    growth = np.cumsum(image.ravel()[order]) / total
    return float(np.interp(0.5, growth, radius[order]))


def border_share(image: np.ndarray) -> float:
    """Return the share of the flux within `BORDER` pixels of the stamp's edge."""
    inner = image[BORDER:-BORDER, BORDER:-BORDER]
    return float(1.0 - inner.sum(dtype=float) / image.sum(dtype=float))


def _chunks(found: Iterator[Scene]) -> Iterator[list[Scene]]:
    while chunk := list(itertools.islice(found, CHUNK)):
        yield chunk


_measurer: Measurer | None = None


def _start(measurer: Measurer) -> None:
    global _measurer
    _measurer = measurer


def _measure_chunk(chunk: list[Scene]) -> list[dict[str, float]]:
    assert _measurer is not None
    rows = []
    for scene in chunk:
        row = _measurer.measure(scene) | {"ident": scene.ident, "number": scene.number}
        names = _measurer.config.columns
        rows.append(row | dict(zip(names, map(float, scene.conditions), strict=True)))
    return rows

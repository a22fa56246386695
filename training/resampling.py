"""Learn how codes are weighed, until generated galaxies are observed as the data are.

What a flow makes of galaxies whose images leave much open depends on the encoder and on what the
decoder cannot say, so the observed population departs a little from the data's. Galaxies are
generated and observed, and weighed until their moments behind PSF and noise are distributed as the
data's are. A small network learns the mean weight of a code, by which codes are resampled (see
`training.models.resampling`); the next round generates with it, and its network is added. This is
the iterative unfolding of D'Agostini (1995), with codes instead of bins as in OmniFold (Andreassen
et al. 2020, arXiv:1911.09107).
"""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterator

import galsim
import keras
import numpy as np
import tensorflow as tf

from . import losses
from .config import CONDITIONS, Config
from .data.pipeline import StampSet
from .export import assemble, resampling_claim
from .models.generator import GalaxyModule
from .models.resampling import Resampling
from .run_folder import WEIGHTS, alone_in, write_done
from .tables import Table, cached
from .validation.distances import ks
from .validation.measure import Measurer, measure_kind, measure_scenes
from .validation.scenes import BATCH, Scene, add_noise

GALAXIES = 40_960  # observed in a round
GAIN = 2.0  # power of the mean weights: noise in them, and few candidates, keep a part from codes
NAMES = ("seen", "weight")
OBSERVED = ("sigma", "flux", "g", "rho4")
SEED = 20210423  # another than that of the galaxies that validation draws
SLICES, CLASSES = 20, 4  # quantiles of an observed quantity and of a condition
SWEEPS = 20
LARGEST = 4.0  # weight, and its inverse
TINY = 1e-9
HELD_OUT = 4  # every fourth galaxy tells when a network has learned enough


def fit_resampling(config: Config) -> dict[str, int]:
    """Fit the networks of a recipe's resampling, one a round, in its folder of the workdir.

    How far the observed galaxies of each round are from the data ``rounds.jsonl`` tells. What has
    been observed already, with the same networks, is not observed again.
    """
    rounds = Rounds(config)
    summary = {"rounds": len(rounds.resampling.networks)}
    with alone_in(rounds.folder):
        for number in range(summary["rounds"]):
            rounds.fit(number)
        rounds.resampling.save_weights(rounds.folder / WEIGHTS)
        claim = resampling_claim(config, rounds.stamps, rounds.networks())
        write_done(rounds.folder, summary, claim)
    return summary


class Rounds:
    """Generate galaxies as a module does, and weigh them by how the data are observed."""

    def __init__(self, config: Config):
        self.module, _ = assemble(dataclasses.replace(config, candidates=1))
        keras.utils.set_random_seed(SEED)  # of the weights that the fits start from
        self.resampling = Resampling(config.candidates, config.vae.components)
        self.module.resampling = self.resampling
        self.stamps = StampSet(config.data.directory, config.half)
        self.folder = pathlib.Path(config.workdir) / "resampling"
        self.measurer = Measurer(config.data, None, 0)  # type: ignore[arg-type]  # of data alone
        self.count = min(GALAXIES, self.stamps.count("train"))

    def networks(self, *more: keras.Model) -> list[keras.Model]:
        """Return the networks that were fitted before, and more."""
        clumpiness = [self.module.clumpiness] if self.module.clumpiness else []
        return [*self.module.vae.networks, self.module.flow, *more, *clumpiness]

    def fit(self, number: int) -> None:
        """Observe what the module draws and fit one more network."""
        networks = self.networks(self.resampling)
        path = self.folder / f"round-{number + 1}.npz"
        tables = cached(path, networks, NAMES, lambda: self._observed(SEED + number))
        if number == 0:
            self.resampling.standardise_by(tables["train"]["seen"])
        keras.utils.set_random_seed(SEED + number)
        fit_mean(self.resampling, number, tables)

    def _observed(self, seed: int) -> dict[str, Table]:
        """Return what codes' weights may depend on and the weights of galaxies drawn now."""
        folder = self.folder.parent / "measurements"
        table = measure_kind("data", self.measurer, self.stamps, "train", self.count, folder)
        data = features(table)
        seen: list[np.ndarray] = []
        found = generated_scenes(self.module, self.stamps, self.count, seed, seen)
        drawn = features(measure_scenes(found, self.measurer, self.count))
        columns = zip(OBSERVED, data.T, drawn.T, strict=False)
        distances = {name: round(ks(one, other), 4) for name, one, other in columns}
        with (self.folder / "rounds.jsonl").open("a") as file:
            file.write(json.dumps({"seed": seed, "ks_to_data": distances}) + "\n")
        rows = {"seen": np.concatenate(seen)[: len(drawn)], "weight": weights(data, drawn)}
        held_out = np.arange(len(drawn)) % HELD_OUT == 0
        splits = {"train": ~held_out, "validation": held_out}
        return {
            split: {name: column[kept].astype(np.float32) for name, column in rows.items()}
            for split, kept in splits.items()
        }


def fit_mean(resampling: Resampling, number: int, tables: dict[str, Table]) -> None:
    """Fit a network of the resampling to the logarithm of the mean weight, times `GAIN`."""
    network = resampling.networks[number]
    seen = {s: resampling.standardised(table["seen"]).numpy() for s, table in tables.items()}

    def loss(weight: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        # Of a positive number's logarithm; least where that is the mean.
        return tf.exp(found / GAIN) - weight * found / GAIN

    network.compile(keras.optimizers.Adam(1e-3), loss)
    network.fit(
        seen["train"],
        tables["train"]["weight"],
        validation_data=(seen["validation"], tables["validation"]["weight"]),
        callbacks=[keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)],
        batch_size=512,
        epochs=60,
        verbose=0,
    )


def features(table: Table) -> np.ndarray:
    """Return what galaxies are weighed by, (n, 7) float32; conditions are last."""
    size, magnitude, redshift = (table[name] for name in CONDITIONS)
    columns = [
        np.log(table["sigma"] / size),
        np.log(table["flux"]) + 0.4 * np.log(10.0) * magnitude,
        np.hypot(table["g1"], table["g2"]),
        table["rho4"],
        np.log(size),
        magnitude,
        np.log(redshift),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def weights(data: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return how often each drawn galaxy should be there to be observed as the data are, (n,).

    Both samples are features (n, d). Galaxies are counted in cells of each observed quantity and
    each condition, two at a time; the weights make all these tables those of the data, one after
    the other until they agree (raking: Deming & Stephan 1940). Rows with a NaN weigh one.
    """
    good = np.isfinite(drawn).all(axis=1)
    data, kept = data[np.isfinite(data).all(axis=1)], drawn[good]
    tables = []
    for quantity, condition in itertools.product(range(len(OBSERVED)), range(-len(CONDITIONS), 0)):
        edges = [
            np.quantile(data[:, column], np.linspace(0.0, 1.0, count + 1)[1:-1])
            for column, count in ((quantity, SLICES), (condition, CLASSES))
        ]

        def cell(rows: np.ndarray, columns=(quantity, condition), edges=edges) -> np.ndarray:
            first, second = (
                np.searchsorted(e, rows[:, c]) for e, c in zip(edges, columns, strict=True)
            )
            return first * CLASSES + second

        wanted = np.bincount(cell(data), minlength=SLICES * CLASSES) / len(data)
        tables.append((cell(kept), wanted))
    found = np.ones(len(kept))
    for _ in range(SWEEPS):
        for cells, wanted in tables:
            there = np.bincount(cells, found, minlength=SLICES * CLASSES) / found.sum()
            # Bounded, or a sample that shares no cell with the data would be left without weight.
            found *= np.clip(wanted / np.maximum(there, TINY), 1.0 / LARGEST, LARGEST)[cells]
    result = np.ones(len(drawn))
    result[good] = np.clip(found / found.mean(), 1.0 / LARGEST, LARGEST)
    return result


def generated_scenes(
    module: GalaxyModule, stamps: StampSet, count: int, seed: int, seen: list[np.ndarray]
) -> Iterator[Scene]:
    """Yield galaxies at the training split's conditions, behind its PSFs and noise.

    What their weights may depend on is appended to `seen`, a batch (n, d) at a time.
    """
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(seed))
    scale = stamps.manifest["config"]["pixel_scale"]

    @tf.function(autograph=False)
    def see(conditions: tf.Tensor, normal: tf.Tensor, psf: tf.Tensor) -> tuple:
        drawn = module.draw_latents(*tf.unstack(conditions, axis=-1), normal)
        of_weight = module.code_features(drawn["latents"][:, : module.flow.size], conditions)
        return of_weight, losses.convolve(module.decode_turned(**drawn)["image"], psf)

    done = 0
    for batch in stamps.ordered("train", BATCH):
        shape = [len(batch["ident"]), module.random_size]
        normal = tf.random.stateless_normal(shape, [seed, done])
        of_weight, images = see(batch["conditions"], normal, batch["psf"])
        seen.append(of_weight.numpy())
        images = images.numpy().astype(float)
        rows = {name: column.numpy() for name, column in batch.items()}
        for i in range(min(len(images), count - done)):
            variance = float(rows["noise_variance"][i])
            image = add_noise(images[i], variance, noise, scale)
            ident, conditions, psf = (rows[name][i] for name in ("ident", "conditions", "psf"))
            # Observed already, which is what measuring takes "data" to be.
            yield Scene("data", done + i, int(ident), conditions, psf, variance, image)
        done += len(images)
        if done >= count:
            return

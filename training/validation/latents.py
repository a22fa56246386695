"""Latents: posteriors against the prior, calibration of the encoder, what was learnt by heart."""

import itertools
from collections.abc import Iterator

import galsim
import numpy as np

from galsim_hub.network import GalaxyNetwork

from ..config import Config
from ..errors import ConfigError
from . import distances
from .measure import Measurer
from .part import Part, Quantity
from .scenes import BATCH, SEED, Scene, add_noise, see

ENCODED = ("mean", "log_scale", "conditions", "psf", "variance", "ident")

NEIGHBOUR_BLOCK = 512


def encode_scenes(
    network: GalaxyNetwork, measurer: Measurer, found: Iterator[Scene]
) -> dict[str, np.ndarray]:
    """Observe scenes and return what encode gives, with idents, conditions, PSFs and variances."""
    rows: dict[str, list] = {name: [] for name in ENCODED}
    while batch := list(itertools.islice(found, BATCH)):
        images = np.float32([measurer.observe(scene)[0] for scene in batch])
        psfs = np.float32([scene.psf for scene in batch])
        variances = np.float32([scene.noise_variance for scene in batch])
        mean, scale = network.encode(images, psfs, variances)
        conditions = np.array([scene.conditions for scene in batch])
        idents = np.array([scene.ident for scene in batch])
        columns = (mean, np.log(scale), conditions, psfs, variances, idents)
        for name, column in zip(ENCODED, columns, strict=True):
            rows[name].append(column)
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def prior_samples(
    config: Config, network: GalaxyNetwork, latents: np.ndarray, conditions: np.ndarray
) -> np.ndarray:
    """Return a latent code as the recipe's trained prior draws it at each row of conditions.

    Modules do not offer their latent codes, so they come from the training run, which must be the
    module's own: `latents` (n, latent_size) at those conditions must be as probable under both.

    Raises
    ------
    ConfigError
        If the recipe's workdir holds no trained models, or those of another module.
    """
    from ..export import assemble

    module, _ = assemble(config)
    columns = np.float32(conditions).T
    first = slice(0, BATCH)
    mine = module.latent_log_prob(np.float32(latents[first]), *columns[:, first])["log_prob"]
    theirs = network.log_prob(np.float32(latents[first]), conditions[first].astype(float))
    if not np.allclose(mine, theirs, rtol=1e-3, atol=1e-2):
        raise ConfigError(
            f"The flow in {config.workdir} is not that of module {network.spec.label}: give the "
            "recipe and the workdir that the module was made with."
        )
    shape = [len(latents), module.random_size]
    normal = np.float32(np.random.default_rng(SEED).standard_normal(shape))
    return module.draw_latents(*columns, normal)["latents"].numpy()


def posterior_samples(table: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return one sample of each row's posterior, (n, latent_size)."""
    noise = np.random.default_rng(seed).standard_normal(table["mean"].shape)
    return table["mean"] + np.exp(table["log_scale"]) * noise


def latent_quantities(
    truth: np.ndarray, drawn: np.ndarray, conditions: np.ndarray
) -> list[Quantity]:
    """Compare posterior samples with flow samples at the same conditions, all (n, ...)."""
    each = np.array([distances.ks(d, t) for d, t in zip(drawn.T, truth.T, strict=True)])
    accuracy, error = classifier_accuracy(truth, drawn, conditions)
    return [
        Quantity("latent_ks_worst", "KS distance of a latent, worst", float(each.max())),
        Quantity("latent_ks_mean", "KS distance of a latent, mean", float(each.mean())),
        Quantity(
            "latent_classifier",
            "accuracy of a classifier of posterior against flow samples (0.5 is best)",
            accuracy,
            error,
        ),
    ]


def classifier_accuracy(
    one: np.ndarray, other: np.ndarray, conditions: np.ndarray
) -> tuple[float, float]:
    """Return the held-out accuracy of a small network that tells two samples apart, and its error.

    Both samples are of the same galaxies, so the network sees the conditions too. It learns on the
    even rows and is asked about the odd ones. Source: Lopez-Paz and Oquab 2017 (arXiv:1610.06545).
    """
    import keras

    keras.utils.set_random_seed(SEED % 2**31)
    features = np.concatenate([np.hstack([one, conditions]), np.hstack([other, conditions])])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    labels = np.repeat([0.0, 1.0], [len(one), len(other)])
    # A galaxy's two rows stay on one side, or the network could know the other by its conditions.
    is_odd = np.concatenate([np.arange(len(one)), np.arange(len(other))]) % 2 == 1
    network = keras.Sequential(
        [
            keras.layers.Dense(64, activation="silu"),
            keras.layers.Dense(64, activation="silu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    network.fit(features[~is_odd], labels[~is_odd], batch_size=128, epochs=20, verbose=0)
    answers = network.predict(features[is_odd], batch_size=4096, verbose=0)[:, 0] > 0.5
    accuracy = float(np.mean(answers == labels[is_odd]))
    return accuracy, float(np.sqrt(accuracy * (1.0 - accuracy) / is_odd.sum()))


def observe_latents(
    network: GalaxyNetwork, latents: np.ndarray, psfs: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Decode latents, add PSF and noise, and return the mean and scale that encode gives."""
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(SEED))
    means, scales = [], []
    size, scale = network.spec.stamp_size, network.spec.pixel_size
    for rows in (slice(k, k + BATCH) for k in range(0, len(latents), BATCH)):
        seen = [
            add_noise(see(profile(image, scale), psf, size, scale), float(variance), noise, scale)
            for image, psf, variance in zip(
                network.decode(latents[rows].astype(np.float32)),
                psfs[rows],
                variances[rows],
                strict=True,
            )
        ]
        mean, width = network.encode(np.float32(seen), psfs[rows], variances[rows])
        means.append(mean)
        scales.append(width)
    return np.concatenate(means), np.concatenate(scales)


def profile(image: np.ndarray, scale: float) -> galsim.GSObject:
    """Return the profile of a PSF-free stamp."""
    return galsim.InterpolatedImage(galsim.Image(image.astype(float), scale=scale))


def coverage_quantities(truth: np.ndarray, mean: np.ndarray, width: np.ndarray) -> list[Quantity]:
    """Return how often central intervals of posteriors hold the truth, and how even ranks are."""
    pull = np.abs(truth - mean) / width
    quantities = [
        Quantity(
            f"coverage_{percent}",
            f"share of true latents within the central {percent}% of encode's posterior",
            float(np.mean(pull < limit)),
            # Latents of a galaxy are not independent: the error is that of the galaxies' shares.
            float(np.std(np.mean(pull < limit, axis=1)) / np.sqrt(len(pull))),
        )
        for percent, limit in ((68, 0.99446), (95, 1.95996))
    ]
    normal = np.random.default_rng(4).standard_normal(200_000)
    worst = max(distances.ks(p, normal) for p in ((truth - mean) / width).T)
    quantities.append(
        Quantity("coverage_ks", "KS distance of a latent's ranks from uniform, worst", worst)
    )
    return quantities


def memorisation_quantities(
    drawn: np.ndarray, held_out: np.ndarray, halves: list[np.ndarray]
) -> list[Quantity]:
    """Compare distances to the nearest training galaxy, in standardised latents of `encode`.

    `drawn` are encoded generated stamps, `held_out` encoded data stamps, `halves` the training
    set's two halves (by `training.data.split.half_of`).
    """
    train = np.concatenate(halves)
    spread = train.std(axis=0)
    drawn, held_out, train = drawn / spread, held_out / spread, train / spread
    quantities = [
        Quantity(
            "memorisation",
            "median distance to the nearest training galaxy, generated by held out, - 1",
            *median_excess(nearest(drawn, train), nearest(held_out, train)),
            style="+.3f",
        )
    ]
    if all(map(len, halves)):
        size = min(map(len, halves))
        one, other = (nearest(drawn, half[:size] / spread) for half in halves)
        quantities.append(
            Quantity(
                "memorisation_halves",
                "median distance to the nearest galaxy of training half 0, by that of half 1, - 1",
                *median_excess(one, other),
                style="+.3f",
            )
        )
    return quantities


def nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each point to the nearest of the others, (n,)."""
    squared = np.sum(others**2, axis=1)
    found = [
        np.min(np.sum(p**2, axis=1)[:, None] + squared - 2.0 * p @ others.T, axis=1)
        for p in (points[k : k + NEIGHBOUR_BLOCK] for k in range(0, len(points), NEIGHBOUR_BLOCK))
    ]
    return np.sqrt(np.maximum(np.concatenate(found), 0.0))


def median_excess(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return median(one) / median(other) - 1 and its bootstrap error."""
    rng = np.random.default_rng(8)
    ratios = [
        np.median(rng.choice(one, len(one))) / np.median(rng.choice(other, len(other)))
        for _ in range(100)
    ]
    return float(np.median(one) / np.median(other) - 1.0), float(np.std(ratios))


def latents_part(quantities: list[Quantity], count: int, train: int, split: str) -> Part:
    """Put the parts of the latents' report together."""
    protocol = (
        f"{count:,} galaxies of the {split} split. Samples of their posteriors against flow "
        "samples at their conditions, by KS distance and by a two-layer classifier on held-out "
        "rows; flow samples decoded, observed with their PSFs and noise and encoded again, for the "
        f"coverage; distances in encode's standardised means to {train:,} training galaxies."
    )
    return Part("latents", protocol, quantities)

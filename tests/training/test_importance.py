"""Weighted samples: a flow learns the population though the posteriors are too narrow."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.commands.train import fit
from training.config import FitConfig, FlowConfig
from training.errors import ConfigError
from training.loop import Fit
from training.tasks import FlowTask

NOISE, NARROW, COUNT = 1.0, 0.7, 32


def conjugate_table(n: int, seed: int) -> dict[str, np.ndarray]:
    """Return tables of z ~ N(0, 1) in two dimensions seen behind noise, posteriors too narrow."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n, 2))
    seen = truth + NOISE * rng.standard_normal((n, 2))
    mean = 0.8 * seen / (1 + NOISE**2)
    scale = np.full_like(mean, NARROW * NOISE / np.sqrt(1 + NOISE**2))
    normal = rng.standard_normal((n, COUNT, 2))
    samples = mean[:, None] + 1.6 * scale[:, None] * normal
    log_like = -0.5 * np.sum((samples - seen[:, None]) ** 2, axis=-1) / NOISE**2
    log_weight = log_like + np.sum(0.5 * normal**2 + np.log(scale[:, None]), axis=-1)
    columns = {"samples": samples, "log_weight": log_weight, "mean": mean}
    columns |= {"log_scale": np.log(scale), "conditions": np.full((n, 3), 5.0) + rng.random((n, 3))}
    return {name: column.astype(np.float32) for name, column in columns.items()}


def spread_of_fit(tables, make_recipe, folder) -> np.ndarray:
    recipe = FitConfig(
        steps=300, batch=256, learning_rate=1e-2, warmup=10, ema=0.95, validate_every=100,
        picture_every=10_000,
    )  # fmt: skip
    keras.utils.set_random_seed(1)
    config = make_recipe(flow=FlowConfig(layers=1, hidden=(8,)), fit_flow=recipe)
    small = dataclasses.replace(config, vae=dataclasses.replace(config.vae, latent_size=2))
    task = FlowTask(small, tables)
    Fit(task, recipe, folder).run()
    noise = np.random.default_rng(5).standard_normal((4000, 2)).astype(np.float32)
    conditions = np.full((4000, 3), 5.5, np.float32)
    return task.flow.sample(tf.constant(noise), tf.constant(conditions)).numpy().std(axis=0)


def test_weights_undo_what_narrow_posteriors_do_to_the_population(make_recipe, tmp_path):
    tables = {"train": conjugate_table(6000, 1), "validation": conjugate_table(1000, 2)}
    weighted = spread_of_fit(tables, make_recipe, tmp_path / "weighted")
    plain = {
        split: {k: v for k, v in table.items() if k not in ("samples", "log_weight")}
        for split, table in tables.items()
    }
    # Samples of posteriors as narrow as these spread by sqrt(0.8^2 / 2 + 0.7^2 / 2) = 0.75.
    assert np.all(spread_of_fit(plain, make_recipe, tmp_path / "plain") < 0.85)
    np.testing.assert_allclose(weighted, 1.0, atol=0.07)


def test_a_recipe_with_importance_is_fitted_to_weighted_samples(trained, make_recipe, monkeypatch):
    short = dataclasses.replace(trained.fit_vae, steps=2, validate_every=2, picture_every=2)
    recipe = make_recipe(fit_vae=short, fit_flow=short, importance=3)
    assert fit("vae", recipe)["steps"] == 2
    assert fit("flow", recipe)["steps"] == 2
    with np.load(f"{recipe.workdir}/samples-3.npz") as file:
        assert file["train/samples"].shape[1:] == (3, 4)
        assert np.all(np.isfinite(file["train/log_weight"]))
    monkeypatch.setattr("training.importance.Sampler.table", lambda *_: 1 / 0)
    assert fit("flow", recipe)["steps"] == 2  # the samples are made once


@pytest.mark.parametrize("split", ["train", "validation"])
def test_weights_are_likelihood_by_proposal(trained, split):
    from pathlib import Path

    from training.importance import WIDER, Sampler
    from training.tasks import VAETask, load_best

    task = VAETask(trained)
    load_best(task.model, Path(trained.workdir) / "vae")
    table = Sampler(task, 2).table(split)
    [stamps] = task.stamps.ordered(split, 4).take(1)
    code = table["samples"][:4, 1]
    excess = task.loss.excess_chi_square(task.vae.decode(code)[0], stamps)
    scale = np.exp(table["log_scale"][:4])
    normal = (code - table["mean"][:4]) / (WIDER * scale)
    proposal = -np.sum(0.5 * normal**2 + np.log(scale), axis=1)
    expected = -task.loss.misfit(excess, stamps["conditions"]).numpy() - proposal
    np.testing.assert_allclose(table["log_weight"][:4, 1], expected, rtol=1e-3, atol=1e-2)


def test_a_negative_count_of_samples_is_refused(make_recipe):
    with pytest.raises(ConfigError, match="0 for none, got -3"):
        make_recipe(importance=-3)

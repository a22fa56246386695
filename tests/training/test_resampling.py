"""Resampling: of several codes one is kept, so that galaxies are observed as the data are."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from training import resampling
from training.commands.train import fit
from training.errors import ConfigError
from training.export import assemble, export
from training.models.base import PARAMETERS, turn_base
from training.models.resampling import Resampling, code_features, noise_size
from training.resampling import CLASSES, GAIN, LARGEST, SLICES, fit_mean, weights
from training.validation import measure


def a_population(count: int, seed: int, shift: float) -> np.ndarray:
    """Return features of galaxies whose observed quantities follow the magnitude, and shift."""
    rng = np.random.default_rng(seed)
    conditions = rng.uniform(-1.0, 1.0, (count, 3))
    observed = rng.normal(shift, 1.0, (count, 4)) + conditions[:, 1:2]
    return np.hstack([observed, conditions]).astype(np.float32)


def test_weighed_galaxies_are_distributed_as_the_data_are():
    data, drawn = a_population(8000, 1, 0.3), a_population(12_000, 2, 0.0)
    data[:300, 0] = np.nan  # what could not be measured
    drawn[:100, 2] = np.nan
    found = weights(data, drawn)
    assert np.all(found[:100] == 1.0)
    assert np.all((found >= 1.0 / LARGEST) & (found <= LARGEST))
    data, drawn, found = data[300:], drawn[100:], found[100:]
    for column in range(4):
        for bright in (True, False):
            one, other = (rows[(rows[:, 5] < 0.0) == bright] for rows in (data, drawn))
            share = found[(drawn[:, 5] < 0.0) == bright]
            quantiles = np.quantile(one[:, column], [0.1, 0.3, 0.5, 0.7, 0.9])
            reached = [share[other[:, column] < q].sum() / share.sum() for q in quantiles]
            np.testing.assert_allclose(reached, [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.025)


def test_populations_that_are_alike_are_weighed_by_the_noise_of_counts_alone():
    count, cells = 20_000, 4 * 3 * SLICES * CLASSES
    found = weights(a_population(count, 1, 0.0), a_population(count, 2, 0.0))
    assert np.std(found) < 1.1 * np.sqrt(2.0 * cells / count)  # of two samples


def test_one_of_several_codes_is_kept_with_a_chance_as_its_weight():
    weight = np.array([0.5, 1.0, 2.0, 4.0], np.float32)
    n = 40_000
    codes = np.broadcast_to(np.arange(4.0, dtype=np.float32)[:, None], (n, 4, 1))
    noise = np.random.default_rng(1).standard_normal((n, noise_size(4))).astype(np.float32)
    log_weight = tf.constant(np.log(np.broadcast_to(weight, (n, 4))))
    kept = Resampling(4, 2).choose(tf.constant(codes), log_weight, tf.constant(noise)).numpy()
    share = np.bincount(kept[:, 0].astype(int), minlength=4) / n
    np.testing.assert_allclose(share, weight / weight.sum(), atol=4.0 * 0.5 / math.sqrt(n))


def test_a_code_is_kept_more_often_by_the_gain():
    """Of two kinds of codes, drawn equally often, with weights of mean one."""
    resampling, n = Resampling(16, 2), 20_000
    rng = np.random.default_rng(2)
    codes = rng.integers(2, size=(n, 16, 1)).astype(np.float32)
    log_weight = tf.constant(np.log(np.where(codes[..., 0] > 0, 1.4, 0.6)), tf.float32)
    noise = rng.standard_normal((n, noise_size(16))).astype(np.float32)
    kept = resampling.choose(tf.constant(codes), log_weight, tf.constant(noise)).numpy()
    gain = np.exp(resampling.log_gain(tf.math.log([0.6, 1.4])).numpy())
    shares = [np.mean(kept == 0), np.mean(kept == 1)]
    np.testing.assert_allclose(shares, 0.5 * gain, atol=0.02)
    assert shares[1] > 0.65


def test_a_single_code_takes_no_choice():
    assert noise_size(1) == 0
    assert Resampling(4, 2)(tf.zeros([3, 13])).numpy() == pytest.approx(0.0)  # before any round


def test_features_do_not_turn_with_the_galaxy():
    rng = np.random.default_rng(3)
    raw = tf.constant(rng.standard_normal((5, 2 * PARAMETERS)), tf.float32)
    log_flux = tf.constant(rng.standard_normal((5, 1)), tf.float32)
    conditions = tf.constant(rng.uniform(1.0, 2.0, (5, 3)), tf.float32)
    upright = code_features(raw, log_flux, conditions, 2).numpy()
    assert upright.shape == (5, Resampling(4, 2).width)
    for turn in range(1, 8):
        turned = turn_base(raw, tf.fill([5], turn), 2)
        found = code_features(turned, log_flux, conditions, 2).numpy()
        np.testing.assert_allclose(found, upright, rtol=1e-5, atol=1e-5)


def test_a_network_learns_the_mean_weight_of_a_code():
    """Weights that are exp(x) on average, and noisy."""
    model, rng = Resampling(4, 2), np.random.default_rng(4)

    def table(count: int) -> dict[str, np.ndarray]:
        seen = rng.uniform(-1.0, 1.0, (count, model.width)).astype(np.float32)
        weight = np.exp(0.5 * seen[:, 0]) * rng.gamma(4.0, 0.25, count)
        return {"seen": seen, "weight": weight.astype(np.float32)}

    tf.keras.utils.set_random_seed(5)
    fit_mean(model, 0, {"train": table(20_000), "validation": table(4000)})
    seen = np.zeros((3, model.width), np.float32)
    seen[:, 0] = -0.5, 0.0, 0.5
    np.testing.assert_allclose(model(seen), GAIN * 0.5 * seen[:, 0], atol=0.12)


@pytest.fixture
def recipe(trained, tmp_path, monkeypatch):
    """Give the trained recipe with candidates, in a workdir of its own, measured here."""
    workdir = tmp_path / "work"
    workdir.mkdir()
    for name in ("vae", "flow", "latents.npz"):
        (workdir / name).symlink_to(Path(trained.workdir, name).absolute())
    monkeypatch.setattr(resampling.Measurer, "measure", measure_by_hand)
    monkeypatch.setattr(resampling, "measure_scenes", in_this_process)
    monkeypatch.setattr(measure, "measure_scenes", in_this_process)
    exported = dataclasses.replace(trained.export, directory=str(tmp_path / "hub"))
    return dataclasses.replace(trained, workdir=str(workdir), candidates=3, export=exported)


def test_the_module_draws_as_the_rounds_have_learned(recipe, monkeypatch):
    with pytest.raises(ConfigError, match=r"No trained weights in .*resampling"):
        assemble(recipe)
    assert fit("resampling", recipe) == {"rounds": 3}
    folder = Path(recipe.workdir) / "resampling"
    before = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert [set(entry["ks_to_data"]) for entry in before] == [{"sigma", "flux", "g", "rho4"}] * 3

    module, conditions = assemble(recipe)
    plain, _ = assemble(dataclasses.replace(recipe, candidates=1))
    assert module.random_size == plain.random_size + 2 * 4 + noise_size(3)
    normal = np.random.default_rng(6).standard_normal((50, module.random_size)).astype("f4")
    columns = np.resize(conditions, (50, 3)).astype("f4")
    drawn = module.draw_latents(*columns.T, normal)["latents"].numpy()
    each = [
        plain.flow.sample(normal[:, 4 * k : 4 * k + 4], tf.constant(columns)).numpy()
        for k in range(3)
    ]
    same = np.array([np.isclose(drawn, codes, atol=1e-5).all(axis=1) for codes in each])
    assert np.all(same.sum(axis=0) == 1)
    assert np.all(same.any(axis=1))
    ours = module.latent_log_prob(drawn, *columns.T)["log_prob"]
    theirs = plain.latent_log_prob(drawn, *columns.T)["log_prob"]
    gain = module.resampling.log_gain(module.log_weight(tf.constant(drawn), columns))
    np.testing.assert_allclose(ours - theirs, gain, atol=1e-4)
    assert np.std(gain) > 0.0

    card = (export(recipe) / "card.md").read_text()  # with light files that draw the same
    assert "candidates: 3" in card
    assert "Of 3 codes" in card

    monkeypatch.setattr(resampling, "measure_scenes", lambda *_: 1 / 0)
    fit("resampling", recipe)  # what stands is not observed again
    again, _ = assemble(recipe)
    for one, other in zip(
        again.resampling.get_weights(), module.resampling.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def measure_by_hand(_, scene) -> dict[str, float]:
    """Return second moments: the tiny module's galaxies are nothing that HSM would take."""
    image = np.abs(np.asarray(scene.stamp, dtype=float))
    axis = np.arange(len(image)) - len(image) / 2
    xx, yy = ((image * square).sum() / image.sum() for square in (axis**2, axis[:, None] ** 2))
    shape = {"g1": (xx - yy) / (xx + yy), "g2": 0.0, "rho4": 2.0 + image.std() / image.max()}
    return {"flux": image.sum(), "sigma": np.sqrt((xx + yy) / 2), **shape}


def in_this_process(found, measurer, count, processes=None) -> dict[str, np.ndarray]:
    rows = [
        measurer.measure(scene)
        | dict(zip(("flux_radius", "mag_auto", "zphot"), scene.conditions, strict=True))
        for scene in found
    ]
    assert len(rows) == count
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}

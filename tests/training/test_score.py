"""Score priors: what networks promise by construction, data, and a recipe from training to use."""

import dataclasses
import json

import numpy as np
import pytest
import yaml

from training.__main__ import main
from training.config import (
    ExportConfig,
    FitConfig,
    ScoreConfig,
    ScoreDataConfig,
    ScoreNetworkConfig,
)
from training.errors import ConfigError, DataError

SIDE = 16


@pytest.fixture(scope="module")
def maps_folder(tmp_path_factory):
    """Give a folder of maps with more power on large scales."""
    from galsim_hub.score import GaussianPrior

    folder = tmp_path_factory.mktemp("maps")
    prior = GaussianPrior(lambda k: 1e-3 / (0.2 + k) ** 2, (24, 24))
    for number, split in enumerate(("train", "validation", "test")):
        np.save(folder / f"{split}.npy", prior.sample(8, seed=number))
    (folder / "manifest.json").write_text(json.dumps({"pixel_scale_arcmin": 0.5}))
    return folder


@pytest.fixture(scope="module")
def make_score_recipe(maps_folder, tmp_path_factory):
    """Give a function that returns a tiny recipe in a folder of its own."""

    def make(network=(), **data):
        folder = tmp_path_factory.mktemp("score")
        entries = {"source": "maps", "directory": str(maps_folder), "crop": SIDE, "margin": 2}
        return ScoreConfig(
            workdir=str(folder / "work"),
            data=ScoreDataConfig(**entries | data),
            network=ScoreNetworkConfig(
                **{"widths": (4, 8), "groups": 2, "embedding": 8, "gaussian": True} | dict(network)
            ),
            fit_score=FitConfig(
                steps=4, batch=4, warmup=1, clip_norm=1.0, validate_every=2, picture_every=4
            ),
            export=ExportConfig("tiny_score", 1, "For tests", directory=str(folder / "hub")),
        )

    return make


@pytest.fixture(scope="module")
def task(make_score_recipe):
    """Give the task of a recipe, its network still untrained."""
    from training.score.task import ScoreTask

    return ScoreTask(make_score_recipe())


@pytest.fixture(scope="module")
def shaken(make_score_recipe):
    """Give a network whose weights are all random, so that nothing in it is silent."""
    import keras

    from training.score.task import ScoreTask

    keras.utils.set_random_seed(1)  # where power iterations start
    model = ScoreTask(make_score_recipe({"spectral_norm": True, "stem": 2})).model
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(0.3 * rng.standard_normal(variable.shape))
    return model


def noisy(n, rng):
    return (0.05 * rng.standard_normal((n, SIDE, SIDE))).astype(np.float32)


def test_untrained_network_is_the_gaussian_score(task):
    from galsim_hub.score import GaussianPrior

    k, power = task.power
    prior = GaussianPrior(
        lambda q: np.exp(np.interp(np.log(np.maximum(q, 1e-9)), np.log(k), np.log(power))),
        (SIDE, SIDE),
    )
    x = noisy(2, np.random.default_rng(2))
    expected = prior.score(x, 0.03).numpy()
    got = task.model(x, np.full(2, 0.03, np.float32)).numpy()
    # The network keeps the spectrum at 64 knots, between those of the measured table.
    np.testing.assert_allclose(got, expected, atol=0.02 * np.abs(expected).max())


def test_score_moves_with_the_field_on_the_torus(shaken):
    x, sigma = noisy(1, np.random.default_rng(3)), np.full(1, 0.03, np.float32)
    moved = np.roll(x, (4, 8), (1, 2))  # whole pixels of the coarsest resolution, 4 a side
    expected = np.roll(shaken(x, sigma), (4, 8), (1, 2))
    np.testing.assert_allclose(shaken(moved, sigma), expected, rtol=1e-3, atol=1e-3)


def test_score_does_not_depend_on_the_fields_beside_it(shaken):
    x, sigma = noisy(3, np.random.default_rng(4)), np.array([0.01, 0.1, 1.0], np.float32)
    alone = [shaken(x[i : i + 1], sigma[i : i + 1]).numpy()[0] for i in range(3)]
    np.testing.assert_allclose(shaken(x, sigma), alone, rtol=1e-3, atol=1e-3)


def test_pixels_taken_together_come_apart_where_they_were():
    from training.score.network import Blocks

    x = np.random.default_rng(5).standard_normal((2, 6, 4, 3)).astype(np.float32)
    together = Blocks(2)(x)
    assert together.shape == (2, 3, 2, 12)
    assert sorted(together[0, 0, 0].numpy()) == sorted(x[0, :2, :2].ravel())
    np.testing.assert_array_equal(Blocks(2, is_apart=True)(together), x)


@pytest.fixture(scope="module")
def gaussian_part():
    """Give a Gaussian part of steep power, and the same as numbers of all modes."""
    from galsim_hub.score.fourier import wavenumbers
    from training.score.network import GaussianPart

    def power(k):
        return 1.0 / (0.3 + k) ** 6

    part = GaussianPart(knots=400)
    k = np.geomspace(0.05, 4.5, 400)
    part.set_power(k, power(k))
    return part, power(np.maximum(wavenumbers((SIDE, SIDE)), k[0]))


def test_network_adds_nothing_where_maps_have_no_power(gaussian_part):
    part, power = gaussian_part
    x = np.random.default_rng(6).standard_normal((3, SIDE, SIDE)).astype(np.float32)
    expected = np.fft.rfft2(x) * power / (power + 0.2**2)
    np.testing.assert_allclose(np.fft.rfft2(part.smooth(x, 0.2)), expected, atol=0.05)
    assert power.min() < 0.01 * 0.2**2


def test_loss_that_a_gaussian_leaves_is_that_of_its_denoiser(gaussian_part):
    from galsim_hub.score import GaussianPrior

    part, power = gaussian_part
    prior, sigma = GaussianPrior(power, (SIDE, SIDE)), np.array([0.3, 1.0], np.float32)
    fields = prior.sample(2000, seed=7)
    noise = np.random.default_rng(8).standard_normal(fields.shape)
    left = [np.mean((prior.denoise(fields + s * noise, s) - fields) ** 2) / s**2 for s in sigma]
    # 2,000 fields of a dozen modes with power: 0.9%.
    np.testing.assert_allclose(part.expected_loss(sigma, (SIDE, SIDE)), left, rtol=0.03)


def test_levels_count_alike_by_what_the_gaussian_score_leaves(task):
    # The untrained network is that score, but maps are no torus: the loss is about one.
    losses = task.validate()
    assert all(0.5 < loss < 2.0 for loss in losses.values()), losses


def test_spectral_norm_bounds_convolutions(shaken):
    import keras

    from training.score.network import WrappedConvolution

    inner = [
        layer.inner
        for layer in shaken.residual.layers
        if isinstance(layer, WrappedConvolution)
        and isinstance(layer.inner, keras.layers.SpectralNormalization)
    ]
    assert inner
    x = noisy(1, np.random.default_rng(5))
    for _ in range(100):  # power iterations, slow where singular values are close
        shaken.scaled(x, np.ones(1, np.float32), training=True)
    for layer in inner:
        kernel = layer.layer.kernel.numpy()
        assert np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) == pytest.approx(1, abs=0.05)


def test_two_moons_score_is_the_gradient_of_the_log_density():
    from training.score import two_moons

    x = two_moons.sample(5, np.random.default_rng(6)) + 0.1
    step = 1e-5 * np.eye(2)
    slope = [
        (two_moons.exact_log_prob(x + s, 0.2) - two_moons.exact_log_prob(x - s, 0.2)) / 2e-5
        for s in step
    ]
    np.testing.assert_allclose(two_moons.exact_score(x, 0.2), np.transpose(slope), rtol=1e-5)


def test_power_spectrum_of_periodic_fields_is_found():
    from training.score.data import GaussianField, measure_power

    source = GaussianField(ScoreDataConfig("gaussian_field", crop=32))
    k, power = measure_power(source.batch("train", 200, 1, 0), is_periodic=True)
    is_populated = k > 0.4  # below, a bin is a few modes
    # 200 fields of 20 modes a bin and more: 2%, and the spectrum bends within a bin.
    np.testing.assert_allclose(power[is_populated] / source.power(k[is_populated]), 1, atol=0.12)


def test_posterior_of_an_exact_prior_measures_as_right_and_of_a_wrong_one_does_not():
    from galsim_hub.score import GaussianPrior
    from training.score.validation import posterior_rows

    def power(k):
        return 20.0 / (1.0 + (k / 0.25) ** 2) ** 2

    exact, faint = (GaussianPrior(lambda k, f=f: f * power(k), (32, 32)) for f in (1.0, 0.3))
    fields = exact.sample(64, seed=9)
    right, wrong = (posterior_rows(prior, exact, fields) for prior in (exact, faint))
    assert float(right[0].value) < 1e-3
    low, high = (float(value) for value in right[1].value.split("-"))
    # 64 fields of a dozen modes in the lowest band: 5%.
    assert 0.85 < low <= high < 1.15
    assert float(right[2].value) < 0.15
    assert float(wrong[0].value) > 0.05
    assert float(wrong[1].value.split("-")[0]) < 0.85


def test_batches_are_a_function_of_seed_and_step(task):
    first, again = (next(task.batches(3))["x"].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != next(task.batches(4))["x"].numpy()).any()
    assert first.shape == (4, SIDE, SIDE)


def test_recipe_goes_from_training_to_samples(make_score_recipe, capsys):
    import galsim_hub
    from galsim_hub.golden import replay
    from galsim_hub.score import ScorePrior

    recipe = make_score_recipe({"stem": 2})
    path = f"{recipe.workdir}.yaml"
    with open(path, "w") as stream:
        yaml.safe_dump({"kind": "score_prior"} | dataclasses.asdict(recipe), stream)
    assert main(["export", path]) == 2
    assert "has not ended" in capsys.readouterr().err
    assert main(["train", path]) == 0
    assert main(["export", path]) == 0
    folder = f"{recipe.export.directory}/tiny_score/1"
    with open(f"{folder}/card.md") as stream:
        assert "what the Gaussian score alone would leave" in stream.read()
    prior = galsim_hub.load(folder)
    assert isinstance(prior, ScorePrior)
    assert prior.pixel_scale == 30.0
    assert prior.event_shape == (None, None)
    assert max(replay(prior._folder, prior.spec).values()) <= 1
    drawn = prior.sample(2, seed=1, shape=(16, 20), n_steps=3)
    assert drawn.shape == (2, 16, 20)
    assert np.isfinite(drawn).all()
    low = prior.sigma_range[0]
    # Four steps of training leave the Gaussian score, whose density is known.
    gap = prior.log_prob(drawn, n_steps=30) - prior.gaussian((16, 20)).log_prob(drawn, sigma=low)
    assert np.abs(gap / (16 * 20)).max() < 0.1
    assert main(["export", path]) == 2
    assert "raise export.version" in capsys.readouterr().err
    assert main(["data", path]) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"source": "mops"}, ConfigError),
        ({"directory": "nowhere"}, DataError),
        ({"crop": 15}, ConfigError),
        ({"crop": 32}, DataError),
        ({"margin": 8}, ConfigError),
    ],
)
def test_data_that_do_not_fit_are_refused(make_score_recipe, changes, error):
    from training.score.task import ScoreTask

    with pytest.raises(error):
        ScoreTask(make_score_recipe(**changes))


def test_stem_of_no_pixels_is_refused(make_score_recipe):
    with pytest.raises(ConfigError, match="network.stem must be 1 or more"):
        make_score_recipe({"stem": 0})


def test_density_behind_noise_that_the_network_does_not_know_is_refused(make_score_recipe):
    low, high = make_score_recipe().network.sigma
    for level in (0.9 * low, 1.1 * high):
        with pytest.raises(ConfigError, match="density_level must be within"):
            dataclasses.replace(make_score_recipe(), density_level=level)


def test_maps_that_are_not_finite_are_refused(make_score_recipe, tmp_path):
    from training.score.task import ScoreTask

    for split in ("train", "validation", "test"):
        np.save(tmp_path / f"{split}.npy", np.full((2, 24, 24), np.nan, np.float32))
    (tmp_path / "manifest.json").write_text('{"pixel_scale_arcmin": 0.5}')
    with pytest.raises(DataError, match="not finite"):
        ScoreTask(make_score_recipe(directory=str(tmp_path)))


def test_unknown_kind_of_recipe_is_refused(tmp_path):
    from training.recipe_file import load_config

    path = tmp_path / "recipe.yaml"
    path.write_text("kind: scores\n")
    with pytest.raises(ConfigError, match="score_prior"):
        load_config(path)

"""Stamps of galaxies for a score prior: what GalSim would draw, and no galaxy in two splits."""

import dataclasses
import json

import galsim
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
from training.data.galaxies import GalaxyDrawer, build
from training.errors import ConfigError, DataError
from training.galaxies_config import GalaxyMapsConfig, KnotsConfig
from training.score.blends import auc, blend, moved

SIDE = 16


@pytest.fixture(scope="module")
def make_galaxies(catalogue_file, tmp_path_factory):
    """Give a function that returns a tiny recipe of stamps."""

    def make(**changes) -> GalaxyMapsConfig:
        entries = {"catalogue": str(catalogue_file), "generated": 0.25, "size": SIDE}
        entries |= {"pixel_scale": 0.2, "smoothing": 0.2, "least_inside": 0.9}
        entries |= {"train": 12, "validation": 3, "test": 3} | changes
        return GalaxyMapsConfig(str(tmp_path_factory.mktemp("galaxies") / "set"), **entries)

    return make


@pytest.fixture(scope="module")
def built(make_galaxies):
    """Give a recipe whose stamps are drawn, and their manifest."""
    config = make_galaxies()
    return config, build(config)


@pytest.mark.parametrize("knots", [None, KnotsConfig(max_fraction=0.9)])
def test_fitted_stamp_is_what_galsim_draws(make_galaxies, knots):
    config, offset = make_galaxies(knots=knots), np.array([0.4, -0.7])
    drawer = GalaxyDrawer(config)
    row = int(drawer.rows("train")[0])
    galaxy = drawer.fitted(row)
    assert (knots is not None) == bool(len(galaxy.knots))
    points = [galsim.DeltaFunction(flux=galaxy.knot_flux).shift(*p) for p in galaxy.knots]
    whole = galsim.Sum([galaxy.smooth, *points])
    seen = galsim.Convolve(whole, galsim.Gaussian(fwhm=config.smoothing))
    expected = seen.drawImage(
        nx=SIDE, ny=SIDE, scale=config.pixel_scale, offset=tuple(offset), dtype=float
    ).array
    stamp, inside = drawer.draw_fitted(row, offset)
    np.testing.assert_allclose(stamp, expected, atol=2e-3 * expected.max())
    assert inside == pytest.approx(expected.sum() / whole.flux, abs=2e-3)


def test_generated_stamp_is_what_galsim_draws(make_galaxies):
    config, offset = make_galaxies(), np.array([-0.2, 0.9])
    drawer = GalaxyDrawer(config)
    (stamp,) = drawer.generated(drawer.rows("train")[:1])
    profile = galsim.InterpolatedImage(
        galsim.Image(stamp.astype(float), scale=drawer._generator.pixel_size),
        x_interpolant="lanczos7",
    )
    seen = galsim.Convolve(profile, galsim.Gaussian(fwhm=config.smoothing))
    expected = seen.drawImage(
        nx=SIDE, ny=SIDE, scale=config.pixel_scale, offset=tuple(offset)
    ).array
    drawn, inside = drawer.draw_generated(stamp, offset)
    np.testing.assert_allclose(drawn, expected, atol=2e-3 * expected.max())
    assert inside == pytest.approx(expected.sum() / stamp.sum(), abs=2e-3)


def test_stamps_have_about_unit_flux_and_lie_in_the_middle(built):
    config, manifest = built
    stamps = np.load(f"{config.directory}/train.npy")
    assert stamps.shape == (12, SIDE, SIDE)
    totals = stamps.sum(axis=(1, 2))
    assert np.all((totals > 1 / 3.001) & (totals < 3.001))
    assert np.ptp(totals) > 0.5
    place = np.arange(SIDE) - 0.5 * (SIDE - 1)
    centroid = np.stack([stamps.sum(axis=axis) @ place for axis in (1, 2)]) / totals
    assert np.abs(centroid).max() < config.dither + 0.5
    assert manifest["smoothing"] == 0.2
    assert manifest["pixel_scale_arcmin"] == pytest.approx(0.2 / 60)


def test_no_galaxy_is_in_two_splits(built):
    config, manifest = built
    idents = {
        split: set(np.load(f"{config.directory}/{split}_ident.npy"))
        for split in ("train", "validation", "test")
    }
    assert [len(some) for some in idents.values()] == [12, 3, 3]
    assert not idents["train"] & idents["test"]
    assert not idents["train"] & idents["validation"]
    assert not idents["validation"] & idents["test"]
    assert manifest["counts"] == {"train": 12, "validation": 3, "test": 3}


def test_the_same_recipe_draws_the_same_stamps(make_galaxies):
    config = make_galaxies(train=2, validation=1, test=1)
    again = dataclasses.replace(config, directory=f"{config.directory}_again")
    assert build(config)["maps"] == build(again)["maps"]


def test_galaxies_wider_than_the_stamp_are_left_out(make_galaxies):
    with pytest.raises(DataError, match="lower `train`"):
        build(make_galaxies(size=4, least_inside=0.999))


def test_recipe_of_stamps_prints_its_counts(make_galaxies, tmp_path, capsys):
    path = tmp_path / "galaxies.yaml"
    config = make_galaxies(train=2, validation=1, test=1)
    path.write_text(yaml.safe_dump(dataclasses.asdict(config)))
    assert main(["data", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"train": 2, "validation": 1, "test": 1}


@pytest.fixture(scope="module")
def make_recipe(built, tmp_path_factory):
    """Give a function that returns a tiny recipe of a score prior of those stamps."""

    def make(crop=SIDE, **network) -> ScoreConfig:
        folder = tmp_path_factory.mktemp("score")
        entries = {"widths": (4, 8), "groups": 2, "embedding": 8, "sigma": (0.1, 300.0)} | network
        return ScoreConfig(
            workdir=str(folder / "work"),
            data=ScoreDataConfig("galaxies", built[0].directory, crop=crop),
            network=ScoreNetworkConfig(**entries),
            fit_score=FitConfig(steps=4, batch=4, warmup=1, validate_every=2, picture_every=4),
            export=ExportConfig("tiny_galaxies", 1, "For tests", directory=str(folder / "hub")),
            density_level=0.5,
        )

    return make


def test_prior_of_stamps_goes_from_training_to_use(make_recipe):
    import galsim_hub

    recipe = make_recipe()
    path = f"{recipe.workdir}.yaml"
    with open(path, "w") as stream:
        yaml.safe_dump({"kind": "score_prior"} | dataclasses.asdict(recipe), stream)
    assert main(["train", path]) == 0
    assert main(["export", path]) == 0
    prior = galsim_hub.load(f"{recipe.export.directory}/tiny_galaxies/1")
    assert prior.event_shape == (SIDE, SIDE)
    assert prior.smoothing == 0.2
    assert prior.pixel_scale == pytest.approx(12.0 / 60)
    assert prior.density_sigma == pytest.approx(0.5 * prior.std, rel=1e-3)
    stamps, asked = np.zeros((2, SIDE, SIDE)), {"n_steps": 2, "n_probes": 1}
    behind_noise = prior.log_prob(stamps, sigma=prior.density_sigma, **asked)
    np.testing.assert_array_equal(prior.log_prob(stamps, **asked), behind_noise)
    lowest = prior.log_prob(stamps, sigma=prior.sigma_range[0], **asked)
    assert not np.allclose(behind_noise, lowest)
    assert np.isfinite(prior.sample(2, seed=1, n_steps=3)).all()


def test_score_of_a_stamp_knows_where_the_middle_is(make_recipe):
    from training.score.task import ScoreTask

    model = ScoreTask(make_recipe()).model
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(0.3 * rng.standard_normal(variable.shape))
    x, sigma = np.zeros((1, SIDE, SIDE), np.float32), np.ones(1, np.float32)
    x[0, 7:9, 7:9] = 1.0
    middle, aside = model(x, sigma).numpy(), model(np.roll(x, 4, axis=2), sigma).numpy()
    assert np.abs(np.roll(middle, 4, axis=2) - aside).max() > 0.05 * np.abs(middle).max()


def test_untrained_network_of_stamps_is_linear_in_the_noise(make_recipe):
    from training.score.task import ScoreTask

    model = ScoreTask(make_recipe()).model
    x = np.random.default_rng(2).standard_normal((2, SIDE, SIDE)).astype(np.float32)
    sigma = np.array([0.5, 2.0], np.float32)
    np.testing.assert_allclose(model(x, sigma), -0.5 * x / sigma[:, None, None] ** 2, rtol=1e-5)


def test_stamps_of_another_size_than_the_recipes_are_refused(make_recipe):
    from training.score.task import ScoreTask

    with pytest.raises(DataError, match=r"data\.crop"):
        ScoreTask(make_recipe(crop=8))


def test_gaussian_part_of_a_prior_of_stamps_is_refused(make_recipe):
    from training.score.task import ScoreTask

    with pytest.raises(ConfigError, match=r"network\.gaussian"):
        ScoreTask(make_recipe(gaussian=True))


def test_blends_have_the_flux_of_the_galaxy_and_light_beside_it():
    galaxies = np.zeros((3, 32, 32), np.float32)
    galaxies[:, 15:17, 15:17] = np.reshape([1.0, 2.0, 3.0], (3, 1, 1))
    both = blend(galaxies, np.random.default_rng(1))
    np.testing.assert_allclose(both.sum(axis=(1, 2)), galaxies.sum(axis=(1, 2)), rtol=1e-5)
    beside = 1.0 - both[:, 14:18, 14:18].sum(axis=(1, 2)) / both.sum(axis=(1, 2))
    assert np.all((beside > 0.3) & (beside < 0.7))  # half to twice the galaxy's flux


def test_what_leaves_a_stamp_does_not_come_back():
    image = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(moved(image, 1, -1), [[0, 0, 0], [1, 2, 0], [4, 5, 0]])


def test_auc_is_the_share_of_pairs_in_order():
    area, _ = auc(np.array([3.0, 2.0]), np.array([1.0, 2.0]))
    assert area == pytest.approx(0.875)
    rng = np.random.default_rng(3)
    draws = [auc(rng.normal(1, 1, 100), rng.normal(0, 1, 100)) for _ in range(200)]
    spread = np.std([area for area, _ in draws])
    assert np.mean([error for _, error in draws]) == pytest.approx(spread, rel=0.2)

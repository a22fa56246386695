"""A model turns a catalogue and a GalSim rng into galaxies, bit for bit the same."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import subprocess
import sys

import galsim
import numpy as np
import pytest
from astropy.table import Table

import galsim_hub
from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel
from galsim_hub.errors import (
    CardError,
    ConditionError,
    CorruptedModuleError,
    EngineError,
    ExtrapolationWarning,
    LatentError,
    RandomDeviateError,
    SeedError,
    UnknownModuleError,
    UnsupportedModuleError,
)

SEEDS = [11, 22, 33, 44, 55, 66, 77]


def test_a_model_tells_what_its_card_promises(model, module_folder):
    assert model.name == "analytic"
    assert model.quantities == ("flux_radius", "mag_auto", "zphot")
    assert (model.stamp_size, model.pixel_size) == (128, 0.03)
    assert model.sha256 == model.spec.sha256
    assert model.file_name == str(module_folder)


def test_the_name_of_2020_for_the_argument_still_works(module_folder, model):
    assert GenerativeGalaxyModel(file_name=str(module_folder)) == model


def test_load_gives_the_class_of_the_kind(module_folder, model):
    assert galsim_hub.load(module_folder) == model


def test_load_refuses_a_kind_it_does_not_know(make_card):
    with pytest.raises(UnsupportedModuleError, match="kind 'kappa'.*can load galaxy"):
        galsim_hub.load(make_card(kind="kappa"))


def test_a_model_refuses_a_module_of_another_kind(make_card):
    with pytest.raises(UnsupportedModuleError, match=r"expected 'galaxy'.*galsim_hub\.load"):
        GenerativeGalaxyModel(make_card(kind="kappa"))


@pytest.mark.parametrize("load", [GenerativeGalaxyModel, galsim_hub.load])
def test_bad_addresses_fail_when_the_model_is_made(load, tmp_path):
    with pytest.raises(UnknownModuleError):
        load("hub:no_such_module")
    with pytest.raises(CardError):
        load(tmp_path)


def test_a_model_with_truncated_files_fails_when_it_first_draws(module_folder, tmp_path, catalog):
    folder = shutil.copytree(module_folder, tmp_path / "copy")
    (folder / "saved_model.pb").write_bytes(b"\n")
    # Another identity, so that the intact module's engine is not in the way.
    card = folder / "card.md"
    card.write_text(card.read_text().replace("variables/variables.index: ", "fingerprint.pb: ", 1))
    model = GenerativeGalaxyModel(folder)
    with pytest.raises(CorruptedModuleError, match="Fetch the module again"):
        model.sample_images(catalog, seeds=SEEDS)


def test_sampling_gives_one_galaxy_a_row(model, catalog, rng):
    galaxies = model.sample(Table(catalog), rng=rng)
    assert len(galaxies) == 7
    assert all(type(galaxy) is GenerativeGalaxy for galaxy in galaxies)
    assert galaxies[2].conditions == {name: column[2] for name, column in catalog.items()}


def test_images_are_those_of_the_galaxies(model, catalog, rng):
    images = model.sample_images(catalog, rng=rng.duplicate())
    assert images.shape == (7, 128, 128)
    assert images.dtype == np.float32
    for image, galaxy in zip(images, model.sample(catalog, rng=rng), strict=True):
        assert (image == galaxy.stamp).all()


def test_bulk_and_single_galaxies_have_the_same_bits(model, catalog):
    images = model.sample_images(catalog, seeds=SEEDS)
    for row, seed in enumerate(SEEDS):
        conditions = {name: column[row] for name, column in catalog.items()}
        alone = GenerativeGalaxy(model, seed=seed, **conditions)
        assert alone.stamp.tobytes() == images[row].tobytes()


def test_order_does_not_matter(model, catalog):
    images = model.sample_images(catalog, seeds=SEEDS)
    backwards = {name: column[::-1] for name, column in catalog.items()}
    reverse = model.sample_images(backwards, seeds=SEEDS[::-1])
    assert reverse[::-1].tobytes() == images.tobytes()


def test_the_rng_gives_one_seed_a_galaxy_in_order(model, catalog, rng):
    twin = rng.duplicate()
    galaxies = model.sample(catalog, rng=rng)
    assert [galaxy.seed for galaxy in galaxies] == [
        galsim_hub.latents.draw_seed(twin) for _ in range(7)
    ]
    assert rng == twin


def test_seeds_and_ids_leave_the_rng_alone(model, catalog, rng):
    twin = rng.duplicate()
    model.sample_images(catalog, rng, seeds=SEEDS)
    model.sample_images(catalog, rng, obj_ids=SEEDS)
    assert rng == twin


def test_without_rng_galaxies_differ_from_call_to_call(model, conditions):
    first, second = (model.sample(conditions)[0] for _ in range(2))
    assert first.seed != second.seed


def test_an_id_is_the_same_galaxy_in_any_catalogue(model, conditions):
    alone = model.sample(conditions, obj_ids=[("tract", 7)])[0]
    among = model.sample({name: np.full(3, v) for name, v in conditions.items()}, obj_ids="ab7")
    assert alone == GenerativeGalaxy(model, obj_id=("tract", 7), **conditions)
    assert among[2] == GenerativeGalaxy(model, obj_id="7", **conditions)


@pytest.mark.parametrize("empty", [Table(names=["flux_radius", "mag_auto", "zphot"]), {}, []])
def test_an_empty_catalogue_gives_an_empty_list(model, empty, rng):
    twin = rng.duplicate()
    assert model.sample(empty, rng=rng) == []
    assert model.sample_images(empty, rng=rng).shape == (0, 128, 128)
    assert rng == twin


@pytest.mark.parametrize("wrong", [np.random.default_rng(1), 1234])
def test_an_rng_that_is_not_galsims_is_refused(model, catalog, wrong):
    with pytest.raises(RandomDeviateError, match=r"must be a galsim\.BaseDeviate"):
        model.sample(catalog, rng=wrong)


def test_seeds_must_be_one_a_row(model, catalog):
    with pytest.raises(SeedError, match="Got 3 seeds or obj_ids for 7 galaxies"):
        model.sample(catalog, seeds=[1, 2, 3])


def test_seeds_and_ids_exclude_each_other(model, catalog):
    with pytest.raises(SeedError, match="not both"):
        model.sample(catalog, seeds=SEEDS, obj_ids=SEEDS)


def test_extrapolation_warns_once_a_condition_by_default(model, catalog):
    catalog["flux_radius"] = np.full(7, 40.0)
    with pytest.warns(ExtrapolationWarning, match="7 of 7 rows") as warned:
        model.sample(catalog, seeds=SEEDS)
    assert len(warned) == 1
    assert warned[0].filename == __file__


def test_extrapolation_is_what_the_model_was_told(module_folder, conditions):
    conditions["flux_radius"] = 99.0
    with pytest.raises(ConditionError, match="outside the range"):
        GenerativeGalaxyModel(module_folder, on_extrapolate="error").sample(conditions)
    ignoring = GenerativeGalaxyModel(module_folder, on_extrapolate="ignore").sample(conditions)
    assert ignoring[0].conditions["flux_radius"] == 99.0
    clipping = GenerativeGalaxyModel(module_folder, on_extrapolate="clip").sample(conditions)
    assert clipping[0].conditions["flux_radius"] == 35.0


def test_pixels_that_are_not_finite_are_an_error(module_folder, conditions):
    model = GenerativeGalaxyModel(module_folder, on_extrapolate="ignore")
    with pytest.raises(EngineError, match="not finite from flux_radius = 1e-30, .*Keep to"):
        model.sample({**conditions, "flux_radius": 1e-30})


def test_the_interpolants_of_2020_still_work(model, conditions):
    (galaxy,) = model.sample(
        conditions, seeds=[1], x_interpolant="lanczos5", k_interpolant="quintic", pad_factor=2
    )
    assert "Lanczos(5" in repr(galaxy)
    assert galaxy != model.sample(conditions, seeds=[1])[0]
    galsim.utilities.check_pickle(galaxy)


def test_a_single_image_is_encoded_without_a_batch_axis(model):
    image = (
        galsim.Gaussian(sigma=0.2, flux=50).shift(0.03, -0.06).drawImage(nx=64, ny=64, scale=0.03)
    )
    posterior = model.encode(image, psf=galsim.Gaussian(sigma=0.05), noise_variance=0.25)
    assert posterior.mean.shape == (4,)
    # The test module's code: centroid x and y [pixels], log flux, peak of the PSF.
    np.testing.assert_allclose(posterior.mean[:3], [1, -2, np.log(50)], atol=1e-3)
    np.testing.assert_allclose(posterior.scale, 0.5)


def test_a_list_of_images_is_encoded_with_one_row_each(model):
    images = [
        galsim.Gaussian(sigma=0.2, flux=f).drawImage(nx=64, ny=64, scale=0.03) for f in (1, 9)
    ]
    psfs = [galsim.Gaussian(sigma=sigma) for sigma in (0.05, 0.1)]
    together = model.encode(images, psf=psfs, noise_variance=[1.0, 4.0])
    assert together.mean.shape == (2, 4)
    alone = model.encode(images[1], psf=psfs[1], noise_variance=4.0)
    assert (together.mean[1] == alone.mean).all()
    assert (together.scale[1] == alone.scale).all()


def test_a_refined_code_is_that_of_the_galaxy_in_the_image(model):
    truth = np.array([0.4, -0.3, 0.5, -0.2], np.float32)
    psf, size = galsim.Gaussian(fwhm=0.1), model.stamp_size
    seen = galsim.Convolve(model.decode(truth), psf)
    seen = seen.shift(0.03 * 1.5, -0.03 * 0.5)
    image = seen.drawImage(nx=size, ny=size, scale=0.03, method="no_pixel")
    neighbour = galsim.Gaussian(sigma=0.06, flux=0.3).shift(1.6, 1.6)
    neighbour.drawImage(image, add_to_image=True, method="no_pixel")
    mask = np.ones(image.array.shape, bool)
    mask[-20:, -20:] = False
    found = model.encode(image, psf, 1e-8, refine=True, mask=mask)
    np.testing.assert_allclose(found.mean, truth, atol=0.02)
    np.testing.assert_allclose(found.offset, [1.5, -0.5], atol=0.02)
    assert np.all(found.scale < 0.01)


def test_a_code_is_decoded_to_its_galaxy(model):
    code = np.array([0.5, -0.5, 0.1, 0.2], np.float32)
    galaxy = model.decode(code)
    assert (galaxy.latents == code).all()
    assert galaxy == GenerativeGalaxy(model, latents=code)
    several = model.decode(np.stack([code, 0 * code]))
    assert several[0] == galaxy
    assert several[1] != galaxy


def test_the_probability_of_codes_is_one_number_a_row(model, catalog):
    codes = np.eye(4, dtype=np.float32)[:2] * 2
    rows = {name: column[:2] for name, column in catalog.items()}
    np.testing.assert_allclose(model.log_prob(codes, rows), [-2, -2])
    with pytest.raises(LatentError, match="2 latent codes and 7 rows"):
        model.log_prob(codes, catalog)


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((2, 3)), np.zeros((1, 1, 4)), [np.nan] * 4])
def test_codes_of_wrong_shape_are_refused(model, bad):
    with pytest.raises(LatentError, match=r"finite, of shape \(4,\) or \(n, 4\)"):
        model.decode(bad)


def test_a_module_without_encoder_says_so(make_card):
    model = GenerativeGalaxyModel(make_card(signatures=["generate"], latent_size=None))
    with pytest.raises(UnsupportedModuleError, match="no signature 'encode'; it has generate"):
        model.encode(galsim.Image(8, 8, scale=0.03), galsim.Gaussian(sigma=1), 1.0)
    with pytest.raises(UnsupportedModuleError, match="no signature 'decode'"):
        model.decode(np.zeros(4))


@pytest.mark.parametrize("refine", [False, True])
def test_of_no_images_there_are_no_codes(model, refine):
    posterior = model.encode([], galsim.Gaussian(sigma=0.1), 1.0, refine=refine)
    assert posterior.mean.shape == posterior.scale.shape == (0, model.spec.latent_size)
    assert posterior.offset.shape == (0, 2)


def test_of_no_codes_there_are_no_densities(model):
    none = {name: np.zeros(0) for name in model.quantities}
    assert model.log_prob(np.zeros((0, model.spec.latent_size)), none).shape == (0,)


def test_models_follow_galsims_contract(model, module_folder):
    galsim.utilities.check_pickle(model)
    other = GenerativeGalaxyModel(module_folder, on_extrapolate="clip")
    galsim.utilities.check_pickle(other)
    galsim.utilities.check_all_diff([model, other])


def test_a_pickled_model_is_small_and_knows_its_identity(module_folder, make_card):
    model = GenerativeGalaxyModel(make_card())
    stored = pickle.dumps(model)
    assert len(stored) < 500
    make_card(files={"saved_model.pb": "0" * 64})
    with pytest.raises(CorruptedModuleError, match="not the one that was pickled"):
        pickle.loads(stored)


FRESH = """
import hashlib, sys
sys.modules["tensorflow"] = None  # as if it were not installed
import galsim_hub, numpy as np
model = galsim_hub.GenerativeGalaxyModel({folder!r})
catalog = {{"flux_radius": np.linspace(4, 16, 7), "mag_auto": 23.0, "zphot": 0.5}}
images = model.sample_images(catalog, obj_ids=range({first}, {first} + 7))
print(hashlib.sha256(images.tobytes()).hexdigest())
"""


def test_fresh_processes_without_tensorflow_draw_the_same_bits(model, module_folder):
    catalog = {"flux_radius": np.linspace(4, 16, 7), "mag_auto": 23.0, "zphot": 0.5}
    images = model.sample_images(catalog, obj_ids=range(5, 12))
    code = FRESH.format(folder=str(module_folder), first=5)
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert run.stdout.strip() == hashlib.sha256(images.tobytes()).hexdigest()


@pytest.mark.parametrize("engine", ["light", "tensorflow"])
def test_the_engine_is_part_of_the_model(module_folder, model, engine):
    chosen = GenerativeGalaxyModel(module_folder, engine=engine)
    galsim.utilities.check_pickle(chosen)
    assert chosen != model
    assert f"engine={engine!r}" in repr(chosen)


def test_an_unknown_engine_is_refused(module_folder):
    with pytest.raises(EngineError, match="Did you mean 'light'"):
        GenerativeGalaxyModel(module_folder, engine="lihgt")


def test_engines_draw_the_same_galaxies(module_folder, catalog):
    images = [
        GenerativeGalaxyModel(module_folder, engine=engine).sample_images(catalog, seeds=SEEDS)
        for engine in ("light", "tensorflow")
    ]
    peaks = images[1].max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images[0] / peaks, images[1] / peaks, rtol=0, atol=1e-5)


def test_the_light_engine_does_not_encode(module_folder):
    model = GenerativeGalaxyModel(module_folder, engine="light")
    image = galsim.Gaussian(fwhm=0.3).drawImage(nx=128, ny=128, scale=0.03)
    with pytest.raises(EngineError, match=r"galsim-hub\[tensorflow\]"):
        model.encode(image, galsim.Gaussian(fwhm=0.1), 1e-5)

"""Three kinds of stamps are observed alike, measured as they are drawn, and measured once."""

import dataclasses

import galsim
import numpy as np
import pytest

import galsim_hub
from training.data.pipeline import StampSet
from training.errors import DataError
from training.validation import measure
from training.validation.measure import COLUMNS, Measurer, measure_kind
from training.validation.run import require_fits
from training.validation.scenes import KINDS, add_noise, check_agreement, scenes, see


@pytest.fixture(scope="module")
def setting(trained, module_folder):
    model = galsim_hub.GenerativeGalaxyModel(module_folder, on_extrapolate="ignore")
    return model, StampSet(trained.data.directory), Measurer(trained.data, model, 0)


@pytest.fixture(scope="module")
def found(setting):
    model, stamps, _ = setting
    return {kind: list(scenes(kind, stamps, "validation", 100, model)) for kind in KINDS}


def test_scenes_of_every_kind_share_conditions_psf_and_noise_level(setting, found):
    stamps = setting[1]
    batch = next(iter(stamps.ordered("validation", 64)))
    for scenes_of_kind in found.values():
        assert len(scenes_of_kind) == stamps.count("validation")
        for i, scene in enumerate(scenes_of_kind):
            assert scene.ident == int(batch["ident"][i])
            np.testing.assert_array_equal(scene.conditions, batch["conditions"][i])
            np.testing.assert_array_equal(scene.psf, batch["psf"][i])
            assert scene.noise_variance == float(batch["noise_variance"][i])


def test_data_scene_is_the_stamp_itself(setting, found):
    batch = next(iter(setting[1].ordered("validation", 64)))
    for scene, image in zip(found["data"], batch["image"].numpy(), strict=True):
        np.testing.assert_array_equal(setting[2].observe(scene)[0], image)


@pytest.mark.parametrize("kind", ["generated", "sersic"])
def test_scene_is_observed_the_same_every_time(setting, found, kind):
    one, again = (setting[2].observe(found[kind][0])[0] for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_noise_of_no_two_scenes_is_the_same(found):
    seeds = [scene.noise_seed for scenes_of_kind in found.values() for scene in scenes_of_kind]
    assert len(set(seeds)) == len(seeds)


def test_sersic_scene_has_the_flux_of_the_catalogue_fit(setting, found, catalogue_table):
    scene = found["sersic"][0]
    row = catalogue_table[catalogue_table["IDENT"] == scene.ident][0]
    profile = setting[2].galaxy(scene)
    assert profile.flux == pytest.approx(row["flux"][0], rel=1e-6)
    noiseless = setting[2].observe(scene)[1]
    assert 0.5 < noiseless.sum() / row["flux"][0] < 1.01  # a stamp of 32 pixels holds most of it


def test_observed_galaxy_is_the_convolved_one_and_noise_of_the_stated_variance(found):
    scene = found["data"][0]
    galaxy = galsim.Exponential(half_light_radius=0.2, flux=3.0)
    noiseless = see(galaxy, scene.psf, 32, 0.03)
    psf = galsim.InterpolatedImage(galsim.Image(scene.psf.astype(float), scale=0.03), flux=1)
    exact = galsim.Convolve(galaxy, psf).drawImage(nx=32, ny=32, scale=0.03, method="no_pixel")
    np.testing.assert_allclose(noiseless, exact.array, atol=1e-6)
    draws = np.array(
        [
            add_noise(noiseless, 1e-4, galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(k + 1)), 0.03)
            for k in range(40)
        ]
    )
    # 40 draws of noise 0.01: their mean is good to 0.0016 a pixel; 5 sigma of 1024 pixels.
    np.testing.assert_allclose(draws.mean(axis=0), exact.array, atol=0.0085)
    assert draws.var(axis=0).mean() == pytest.approx(1e-4, rel=0.1)


@pytest.fixture
def measure_here(monkeypatch):
    """Measure in this process, since starting others costs 10 s each, and count how often."""
    calls = []

    def run(found, measurer, count, processes=None):
        calls.append(count)
        rows = [measurer.measure(scene) | {"ident": scene.ident} for scene in found]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    monkeypatch.setattr(measure, "measure_scenes", run)
    return calls


def test_measurements_are_made_once_a_stamp_set_split_count_and_code(
    setting, tmp_path, measure_here, monkeypatch
):
    _, stamps, measurer = setting

    def run(count: int) -> dict:
        return measure_kind("sersic", measurer, stamps, "validation", count, tmp_path)

    first = run(3)
    assert set(COLUMNS) < set(first)
    assert len(first["flux"]) == 3
    np.testing.assert_array_equal(run(3)["flux"], first["flux"])
    assert measure_here == [3]
    run(2)
    monkeypatch.setattr(measure, "code_version", lambda: "another")
    run(3)
    assert measure_here == [3, 2, 3]


def test_generated_galaxies_are_measured_anew_for_another_module(setting, tmp_path, measure_here):
    model, stamps, measurer = setting
    other = dataclasses.replace(model.spec, files={"saved_model.pb": "0" * 64})
    table = measure_kind("generated", measurer, stamps, "validation", 2, tmp_path)
    assert np.isfinite(table["half_light_radius"]).all()
    assert other.sha256 != model.sha256
    measure_kind("generated", measurer, stamps, "validation", 2, tmp_path)
    assert measure_here == [2]


def test_set_of_another_pixel_scale_is_refused(setting, monkeypatch):
    model, stamps, _ = setting
    config = stamps.manifest["config"] | {"pixel_scale": 0.05}
    monkeypatch.setitem(stamps.manifest, "config", config)
    with pytest.raises(DataError, match=r"pixel_scale 0.03.*0.05"):
        check_agreement(model, stamps, "validation")


def test_empty_split_is_refused(setting, monkeypatch):
    model, stamps, _ = setting
    monkeypatch.setitem(stamps.manifest, "counts", stamps.manifest["counts"] | {"test": 0})
    with pytest.raises(DataError, match="test split .* is empty"):
        check_agreement(model, stamps, "test")


def test_set_of_other_conditions_is_refused(setting, monkeypatch):
    model, stamps, _ = setting
    monkeypatch.setitem(stamps.manifest, "conditions", ["flux_radius", "mag_auto"])
    with pytest.raises(DataError, match="zphot"):
        check_agreement(model, stamps, "validation")


def test_catalogue_without_fits_is_told_before_anything_is_measured(
    catalogue_table, make_data_config, tmp_path
):
    table = catalogue_table.copy()
    table.remove_columns(["hlr", "flux"])
    table.write(tmp_path / "foreign.fits")
    foreign = make_data_config(catalogue=str(tmp_path / "foreign.fits"), exclusion_level="none")
    with pytest.raises(DataError, match=r"foreign\.fits, which has no columns flux, hlr"):
        require_fits(foreign)
    require_fits(make_data_config())

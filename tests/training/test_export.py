"""The module folder: what one reader needs, made whole or not at all."""

import dataclasses
import shutil
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml

import galsim_hub
from galsim_hub import registries
from galsim_hub.spec import read_spec
from training.config import ExportConfig
from training.errors import ConfigError
from training.export import assemble, export
from training.release import new_version


@pytest.fixture(scope="module")
def program(module_folder):
    import tensorflow as tf

    return tf.saved_model.load(str(module_folder))


@pytest.fixture(scope="module")
def arguments():
    conditions = {"flux_radius": [4.0, 8.0], "mag_auto": [24.0, 22.0], "zphot": [0.3, 1.0]}
    return {k: np.array(v, np.float32) for k, v in conditions.items()}


def by_numpy(image: np.ndarray, turn: int) -> np.ndarray:
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)


def test_module_has_the_four_signatures_of_the_contract(program):
    signatures = {"generate", "encode", "decode", "latent_log_prob"}
    assert set(program.signatures) == signatures
    inputs = program.signatures["generate"].structured_input_signature[1]
    assert set(inputs) == {"flux_radius", "mag_auto", "zphot", "random_normal"}


def test_golden_sample_replays(program, module_folder):
    with np.load(module_folder / "golden.npz") as golden:
        arrays = dict(golden)
    tolerance = read_spec(module_folder).golden["relative_tolerance"]
    for name in ("generate", "encode", "decode", "latent_log_prob"):
        inputs = {k.split("/")[-1]: v for k, v in arrays.items() if k.startswith(f"{name}/in/")}
        expected = {k.split("/")[-1]: v for k, v in arrays.items() if k.startswith(f"{name}/out/")}
        outputs = program.signatures[name](**inputs)
        assert set(outputs) == set(expected)
        for key, want in expected.items():
            np.testing.assert_allclose(
                outputs[key], want, rtol=0, atol=tolerance * np.abs(want).max()
            )


def test_card_promises_what_the_recipe_made(module_folder, trained):
    spec = read_spec(module_folder)
    spec.verify(module_folder)
    assert spec.label == "tiny@1"
    assert spec.quantities == ("flux_radius", "mag_auto", "zphot")
    assert (spec.stamp_size, spec.pixel_size, spec.psf_size) == (32, 0.03, 17)
    assert (spec.latent_size, spec.random_size) == (4, 5)
    assert spec.training["vae"]["steps"] == 12


def test_trained_ranges_are_those_of_the_training_set(module_folder, catalogue_table):
    for condition in read_spec(module_folder).inputs:
        column = np.array(catalogue_table[condition.name], float)
        column = np.delete(column, [3, 5, 8])
        assert column.min() - 0.01 <= condition.minimum < condition.maximum <= column.max() + 0.01


@pytest.mark.parametrize(
    ("source", "inputs", "sentences"),
    [
        ("parametric", ["fits.fits"], ["Catalogue fits", "a model of the ACS PSF"]),
        ("parametric", ["fits.fits", "acs_psfs.fits"], ["a real HST/ACS F814W PSF of acs_psfs"]),
        ("real", ["catalog.fits"], ["Real stamps"]),
    ],
)
def test_card_says_what_the_weights_were_trained_on(
    module_folder, tmp_path, source, inputs, sentences
):
    from training.card import save_card

    front = yaml.safe_load((module_folder / "card.md").read_text().split("---")[1])
    front["training"] |= {"source": source, "inputs": dict.fromkeys(inputs, "0" * 64)}
    save_card(tmp_path, front)
    text = (tmp_path / "card.md").read_text()
    assert all(sentence in text for sentence in sentences)
    assert ("Catalogue fits" in text) == (source == "parametric")


def test_card_names_every_file_that_decides_pixels(module_folder):
    files = {
        p.relative_to(module_folder).as_posix() for p in module_folder.rglob("*") if p.is_file()
    }
    assert set(read_spec(module_folder).files) == files - {"card.md", "golden.npz", "cover.png"}
    assert {"card.md", "golden.npz", "cover.png", "saved_model.pb"} <= files


def test_runtime_draws_the_module(module_folder, rng):
    model = galsim_hub.GenerativeGalaxyModel(module_folder)
    catalog = {"flux_radius": [5.0, 6.0], "mag_auto": [23.5, 24.5], "zphot": [0.5, 0.6]}
    for galaxy in model.sample(catalog, rng=rng):
        image = galsim.Convolve(galaxy, galsim.Gaussian(fwhm=0.1)).drawImage(
            nx=64, ny=64, scale=0.03
        )
        assert image.array.sum() == pytest.approx(
            galaxy.flux, rel=0.02
        )  # the PSF's tail leaves 64 px


def test_last_random_number_picks_one_of_eight_orientations(program, arguments):
    one = {k: np.repeat(v[:1], 8) for k, v in arguments.items()}
    normal = np.zeros((8, 5), np.float32)
    normal[:, :4] = np.random.default_rng(1).normal(size=4)
    # Middles of the eight equal-probability slices of a standard normal.
    normal[:, 4] = [-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534]
    images = program.signatures["generate"](**one, random_normal=normal)["image"].numpy()
    for turn in range(8):
        np.testing.assert_allclose(images[turn], by_numpy(images[0], turn), rtol=1e-5)
    assert len({image.tobytes() for image in images}) == 8


def test_population_has_no_preferred_direction(program, arguments):
    normal = np.random.default_rng(2).normal(size=(16, 5)).astype(np.float32)
    normal = np.repeat(normal, 8, axis=0)
    normal[:, 4] = np.tile([-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534], 16)
    conditions = {k: np.repeat(v[:1], 128) for k, v in arguments.items()}
    images = program.signatures["generate"](**conditions, random_normal=normal)["image"].numpy()
    axis = np.arange(32) - 15.5
    x, y = np.meshgrid(axis, axis)
    q = [(images * m).sum(axis=(1, 2)) for m in (x * x + y * y, x * x - y * y, 2 * x * y)]
    e1, e2 = q[1] / q[0], q[2] / q[0]
    assert np.hypot(e1, e2).mean() > 1e-4
    assert abs(e1.mean()) < 1e-6  # by symmetry exactly zero, to single precision
    assert abs(e2.mean()) < 1e-6


@pytest.mark.parametrize("extreme", [-30.0, 30.0, 0.0])
def test_any_random_number_is_an_orientation(program, arguments, extreme):
    normal = np.full((2, 5), extreme, np.float32)
    normal[:, :4] = 0
    images = program.signatures["generate"](**arguments, random_normal=normal)["image"].numpy()
    assert np.all(np.isfinite(images))


def test_light_files_replay_the_golden_sample(module_folder):
    from training.light import check_light

    check_light(module_folder, module_folder / "golden.npz")
    spec = read_spec(module_folder)
    assert set(spec.light) == {"generate", "decode"}
    assert {name for chain in spec.light.values() for name in chain} <= set(spec.files)


def test_light_files_with_other_weights_are_refused(module_folder, tmp_path):
    from training.errors import ExportError
    from training.light import check_light

    with np.load(module_folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["decode/out/image"] = 1.001 * arrays["decode/out/image"]
    np.savez(tmp_path / "golden.npz", **arrays)
    with pytest.raises(ExportError, match="'decode' differ"):
        check_light(module_folder, tmp_path / "golden.npz")


def test_existing_version_is_refused_and_stays(module_folder, trained):
    before = (module_folder / "card.md").read_bytes()
    with pytest.raises(ConfigError, match="released version never changes"):
        export(trained)
    assert (module_folder / "card.md").read_bytes() == before


def test_released_version_is_not_replaced(tmp_path, monkeypatch):
    shutil.copy(registries.bundled_root() / "index.json", tmp_path)
    (tmp_path / "cosmos" / "2").mkdir(parents=True)
    monkeypatch.setattr(registries, "bundled_root", lambda: tmp_path)
    released = ExportConfig("cosmos", 2, "Another", directory=str(tmp_path))
    with (
        pytest.raises(ConfigError, match="released version never changes"),
        new_version(released, replace=True) as folder,
    ):
        folder.mkdir()
    with new_version(dataclasses.replace(released, version=99), replace=True) as folder:
        folder.mkdir()


def test_export_that_fails_leaves_no_empty_folder(tmp_path):
    first = ExportConfig("new", 1, "x", directory=str(tmp_path / "hub"))
    with pytest.raises(ZeroDivisionError), new_version(first, replace=False):
        _ = 1 / 0
    assert not (tmp_path / "hub").exists()


def test_export_that_fails_leaves_the_standing_version_alone(module_folder, trained, monkeypatch):
    before = sorted(p.name for p in module_folder.parent.iterdir())
    monkeypatch.setattr("training.export.write_program", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(trained, replace=True)
    assert sorted(p.name for p in module_folder.parent.iterdir()) == before
    read_spec(module_folder).verify(module_folder)


def test_export_of_an_unfinished_training_is_refused(trained, tmp_path):
    for name in ("vae", "flow"):
        shutil.copytree(Path(trained.workdir) / name, tmp_path / "work" / name)
    (tmp_path / "work" / "flow" / "done.json").unlink()
    target = dataclasses.replace(trained.export, directory=str(tmp_path / "hub"))
    unfinished = dataclasses.replace(trained, workdir=str(tmp_path / "work"), export=target)
    with pytest.raises(ConfigError, match="train"):
        export(unfinished)


def test_export_without_training_says_what_to_run(make_recipe):
    with pytest.raises(ConfigError, match="python -m training train"):
        assemble(make_recipe())


def test_fidelity_goes_into_the_card_and_its_table(module_folder, tmp_path):
    from training.card import add_fidelity

    folder = tmp_path / "1"
    shutil.copytree(module_folder, folder)
    rows = [{"quantity": "flux bias", "value": "1.2%", "bar": "3%"}]
    add_fidelity(folder, {"protocol": "Measured in a test.", "rows": rows})
    spec = read_spec(folder)
    assert spec.fidelity["rows"] == rows
    assert spec.sha256 == read_spec(module_folder).sha256
    text = (folder / "card.md").read_text()
    assert "| flux bias | 1.2% |  | 3% |" in text
    assert "Not measured yet" not in text

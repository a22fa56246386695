"""Convergence maps: planes become what they should, and splits share no part of a plane."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits

from galsim_hub.flat_sky import ARCMIN
from training.config import ConvergenceConfig
from training.data.convergence import (
    CELLS,
    build,
    convergence,
    draw,
    lensing_efficiency,
    read_planes,
    share_cells,
)
from training.errors import ConfigError, DataError
from training.recipe_file import load_config

ANGLE = 3.5  # [deg]
SIDE = 32
COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.26, Tcmb0=0)
REDSHIFTS = (0.3, 0.9)


def wave(n: int, along_y: int, along_x: int) -> np.ndarray:
    """Return a cosine at the centres of n x n pixels, with whole periods along both sides."""
    x = (np.arange(n) + 0.5) / n
    return np.cos(2 * np.pi * (along_y * x[:, None] + along_x * x[None, :]))


@pytest.fixture
def make_config(tmp_path):
    def make(potentials, **changes) -> ConvergenceConfig:
        hdus = [fits.PrimaryHDU(potentials[0].astype(np.float32))]
        hdus += [fits.ImageHDU(p.astype(np.float32)) for p in potentials[1:]]
        for hdu, z in zip(hdus, REDSHIFTS, strict=False):
            hdu.header["Z"] = z
            hdu.header["CHI"] = 0.7 * COSMOLOGY.comoving_distance(z).value
            hdu.header["ANGLE"], hdu.header["OMEGA_M"] = ANGLE, 0.26
        path = tmp_path / "planes.fits"
        fits.HDUList(hdus).writeto(path, overwrite=True)
        settings = {"train": 3, "validation": 2, "test": 2, "size": 8, "pixel_scale": 5.0}
        return ConvergenceConfig(str(tmp_path / "maps"), str(path), **{**settings, **changes})

    return make


def test_convergence_is_half_the_laplacian_of_the_potential():
    wavenumber = 2 * np.pi * np.hypot(2, 3) / (ANGLE * 60 * ARCMIN)
    found = convergence(wave(SIDE, 2, 3), ANGLE * 60)
    np.testing.assert_allclose(found, -0.5 * wavenumber**2 * wave(SIDE, 2, 3), rtol=1e-9, atol=1e-6)


def test_planes_on_the_finer_grid_of_the_maps_are_those_of_the_file(make_config):
    planes = read_planes(make_config([wave(SIDE, 2, 3)]))
    wavenumber = 2 * np.pi * np.hypot(2, 3) / (ANGLE * 60 * ARCMIN)
    expected = -0.5 * wavenumber**2 * wave(42, 2, 3)
    assert planes.pixel_scale == 5.0
    np.testing.assert_allclose(planes.maps[0], expected, atol=1e-5 * np.abs(expected).max())


def test_lenses_weigh_by_the_distances_of_the_sources(make_config):
    config = make_config([wave(SIDE, 1, 1)] * 2)
    rng = np.random.default_rng(4)
    # z^2 exp(-(z / z0)^1.5) is that of a Gamma deviate of shape 2, to the power 2 / 3.
    z = rng.gamma(2.0, size=200_000) ** (2 / 3)
    z *= config.median_redshift / np.median(z)
    behind = np.interp(
        z, (grid := np.linspace(0, 20, 500)), COSMOLOGY.comoving_distance(grid).value
    )
    lens = COSMOLOGY.comoving_distance(REDSHIFTS).value[:, None]
    expected = np.maximum(1 - lens / behind, 0).mean(axis=1)
    found = lensing_efficiency(read_planes(config), config)
    np.testing.assert_allclose(found, expected, atol=3e-3)  # 3 sigma of the draws


def test_held_out_maps_see_no_part_of_a_plane_that_training_maps_see(make_config):
    rng = np.random.default_rng(5)
    config = make_config([rng.standard_normal((SIDE, SIDE))])
    planes = read_planes(config)
    held_out, train = share_cells(planes, np.ones(1))
    assert sorted([*held_out, *train]) == list(range(CELLS**2))
    assert len(train) == len(held_out)
    side = planes.maps.shape[-1] // CELLS
    marked = np.zeros_like(planes.maps)
    for row, column in (divmod(cell, CELLS) for cell in train):
        marked[:, row * side : (row + 1) * side, column * side : (column + 1) * side] = 1.0
    planes = planes._replace(maps=marked)
    assert np.all(draw(planes, np.ones(1), train, config, "train") == 1.0)
    for split in ("validation", "test"):
        assert np.all(draw(planes, np.ones(1), held_out, config, split) == 0.0)


@pytest.mark.parametrize(
    "change", [lambda cell: 3.0 * cell, lambda cell: cell + 3.0 * cell.std()], ids=["power", "mean"]
)
def test_the_halves_are_as_alike_as_can_be(make_config, change):
    """Cells of which every two are the same but for one pair, which must be parted."""
    planes = read_planes(make_config([wave(SIDE, 1, 1)]))
    side = planes.maps.shape[-1] // CELLS
    rng = np.random.default_rng(6)
    cells = np.repeat(rng.gamma(1.0, size=(8, side, side)), 2, axis=0) ** 2
    cells[[2, 3]] = change(cells[[2, 3]])
    maps = np.zeros_like(planes.maps)
    for k, cell in enumerate(cells):
        row, column = divmod(k, CELLS)
        maps[0, row * side : (row + 1) * side, column * side : (column + 1) * side] = cell
    held_out, _ = share_cells(planes._replace(maps=maps), np.ones(1))
    assert (2 in held_out) != (3 in held_out)


def test_maps_of_one_split_differ_and_come_back_with_their_seed(make_config):
    config = make_config([wave(SIDE, 1, 2), wave(SIDE, 3, 1)])
    planes = read_planes(config)
    maps = draw(planes, np.ones(2), [0, 5], config, "train")
    assert not np.array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps, draw(planes, np.ones(2), [0, 5], config, "train"))
    held_out = [draw(planes, np.ones(2), [0, 5], config, split) for split in ("validation", "test")]
    assert not np.array_equal(*held_out)


def test_folder_holds_the_splits_and_a_manifest_that_describes_them(make_config, tmp_path):
    config = make_config([wave(SIDE, 1, 2), wave(SIDE, 3, 1)])
    build(config)
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 3, "validation": 2, "test": 2}
    maps = np.load(tmp_path / "maps" / "train.npy")
    assert maps.shape == (3, 8, 8)
    assert maps.dtype == np.float32
    spectrum = manifest["power_spectrum"]
    assert len(spectrum["ell"]) == len(spectrum["train"])
    assert not list((tmp_path / "maps").glob("*.part*"))


def test_maps_wider_than_a_cell_are_refused(make_config):
    with pytest.raises(ConfigError, match="10 pixels"):
        build(make_config([wave(SIDE, 1, 1)], size=11))


def test_missing_or_other_planes_are_refused(make_config):
    with pytest.raises(DataError, match="No potential planes"):
        build(ConvergenceConfig("maps", "nowhere.fits"))
    with pytest.raises(DataError, match="sha256"):
        build(make_config([wave(SIDE, 1, 1)], planes_sha256="0" * 64))


def test_recipe_of_the_repository_loads():
    path = Path(__file__).parents[2] / "training" / "configs" / "convergence_maps.yaml"
    assert load_config(path, ["train=5"]).count("train") == 5

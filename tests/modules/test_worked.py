"""The format is not only for our networks: modules with other inputs, stamps and bands are drawn.

One is what `galsim-hub new` scaffolds: no random input, its own conditions, stamp and pixel. The
other gives an image (n, y, x, band).
"""

from __future__ import annotations

import galsim
import numpy as np
import pytest

import galsim_hub
from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel
from galsim_hub.errors import BandError, EngineError, UnsupportedModuleError

DISC = {"half_light_radius": 0.6, "magnitude": 22.0, "axis_ratio": 0.5}
STAR_FORMING = {"sersic_radius": 5.0, "colour": 0.8}


@pytest.fixture(scope="module")
def discs(discs_folder):
    return GenerativeGalaxyModel(discs_folder)


@pytest.fixture(scope="module")
def galaxies_by_band(bands_folder):
    """Give the same galaxy in each band."""
    return {
        band: GenerativeGalaxy(
            GenerativeGalaxyModel(bands_folder, band=band), obj_id=7, **STAR_FORMING
        )
        for band in "gri"
    }


def test_a_module_has_its_own_conditions_stamp_and_pixel(discs):
    assert discs.quantities == ("half_light_radius", "magnitude", "axis_ratio")
    images = discs.sample_images(DISC)
    assert images.shape == (1, 48, 48)
    assert images.sum(dtype=float) == pytest.approx(10 ** (-0.4 * (22.0 - 27.0)), rel=1e-5)


def test_its_galaxies_are_as_large_on_the_sky_as_they_were_asked_for(discs):
    galaxy = GenerativeGalaxy(discs, seed=1, **{**DISC, "axis_ratio": 1.0})
    drawn = galaxy.drawImage(nx=96, ny=96, scale=0.1, method="no_pixel")
    # The stamp ends at 8 half-light radii, and a pixel is a third of one.
    assert drawn.calculateHLR() == pytest.approx(0.6, rel=0.05)


def test_without_random_input_the_seed_does_not_change_the_pixels(discs):
    first, second = (GenerativeGalaxy(discs, seed=seed, **DISC) for seed in (1, 2))
    assert (first.stamp == second.stamp).all()


def test_a_module_without_random_input_takes_as_much_of_the_rng_as_any_other(discs, rng):
    twin = rng.duplicate()
    discs.sample({"half_light_radius": [0.5, 0.9], "magnitude": 22.0, "axis_ratio": 0.7}, rng=rng)
    twin.discard(4)
    assert rng == twin


def test_yaml_takes_the_modules_own_fields(discs_folder):
    config = {
        "modules": ["galsim_hub"],
        "input": {"generative_model": {"file_name": str(discs_folder)}},
        "gal": {"type": "GenerativeModelGalaxy", **DISC},
        "psf": {"type": "Moffat", "beta": 3.5, "fwhm": 0.7},
        "image": {"pixel_scale": 0.2, "size": 48, "random_seed": 5},
    }
    image = galsim.config.BuildImage(config)
    assert image.array.sum() == pytest.approx(100.0, rel=0.05)  # the wings lie outside


def test_a_seed_is_the_same_galaxy_in_every_band(galaxies_by_band):
    g, i = (galaxies_by_band[band].stamp for band in "gi")
    # The worked module's bands differ by one number a galaxy, its colour.
    assert g.shape == (32, 32)
    np.testing.assert_allclose(g / g.sum(), i / i.sum(), rtol=1e-4)
    assert -2.5 * np.log10(g.sum() / i.sum()) == pytest.approx(0.8, abs=1e-3)


def test_galaxies_of_two_bands_follow_galsims_contract(galaxies_by_band):
    for galaxy in galaxies_by_band.values():
        galsim.utilities.check_pickle(galaxy)
        galsim.utilities.check_pickle(galaxy.model)
    galsim.utilities.check_all_diff(list(galaxies_by_band.values()))


def test_yaml_draws_the_same_galaxy_in_a_file_a_band(bands_folder, galaxies_by_band, tmp_path):
    band = {"type": "List", "items": list("gri"), "index_key": "file_num"}
    names = {"type": "FormattedStr", "format": "%d.fits", "items": ["$file_num"]}
    config = {
        "modules": ["galsim_hub"],
        "input": {"generative_model": {"file_name": str(bands_folder), "band": band}},
        "gal": {"type": "GenerativeModelGalaxy", "obj_id": 7, **STAR_FORMING},
        "image": {"pixel_scale": 0.1, "size": 32, "draw_method": "no_pixel"},
        "output": {"nfiles": 3, "dir": str(tmp_path), "file_name": names},
    }
    galsim.config.Process(config)
    for number, galaxy in enumerate(galaxies_by_band.values()):
        expected = galaxy.drawImage(nx=32, ny=32, scale=0.1, method="no_pixel")
        drawn = galsim.fits.read(str(tmp_path / f"{number}.fits"))
        np.testing.assert_array_equal(drawn.array, expected.array)


@pytest.mark.parametrize("load", [GenerativeGalaxyModel, galsim_hub.load])
def test_a_module_of_several_bands_asks_which(load, bands_folder):
    with pytest.raises(BandError, match=r"has the bands g, r, i.*Choose one, such as band='g'"):
        load(bands_folder)
    with pytest.raises(BandError, match="has the bands g, r, i, got band='z'"):
        load(bands_folder, band="z")
    assert load(bands_folder, band="r").band == "r"


def test_a_module_without_bands_refuses_one(module_folder):
    with pytest.raises(BandError, match="knows of no bands.*Leave band out"):
        GenerativeGalaxyModel(module_folder, band="r")


def test_a_single_band_need_not_be_chosen(make_card):
    assert GenerativeGalaxyModel(make_card(bands=["r"], signatures=["generate"])).band == "r"


def test_latent_codes_are_decoded_in_the_chosen_band(bands_folder):
    bright, faint = (
        GenerativeGalaxyModel(bands_folder, band=band).decode([0.0, 0.0]).stamp.sum()
        for band in "ig"
    )
    assert bright > faint


def test_a_module_of_several_bands_cannot_encode(bands_folder):
    with pytest.raises(UnsupportedModuleError, match="no signature 'encode'"):
        GenerativeGalaxyModel(bands_folder, band="r").encode([], [], 1.0)


def test_images_that_are_not_of_the_cards_shape_are_refused(discs_folder, copy_module):
    folder = copy_module(discs_folder, stamp_size=64)
    with pytest.raises(EngineError, match=r"images of shape \(1, 48, 48\).*promises \(1, 64, 64\)"):
        GenerativeGalaxyModel(folder).sample_images(DISC)

"""One stamp: a function of recipe, galaxy and realisation, whoever asks for it and when."""

import dataclasses
import shutil

import galsim
import numpy as np
import pytest

from training.data.parametric import Galaxy
from training.data.psfs import centroid, shift_psf
from training.data.stamps import StampSource, place_in_noise
from training.errors import DataError

REAL_COLUMNS = {"flux_radius": "flux_radius", "mag_auto": "MAG", "zphot": "ZPHOT"}


@pytest.fixture(scope="module")
def source(make_data_config):
    return StampSource(make_data_config())


@pytest.fixture(scope="module")
def real_source(make_data_config, shared_data):
    catalogue = shared_data / "real_stamps" / "real_galaxy_catalog_dev.fits"
    return StampSource(
        make_data_config(
            source="real",
            catalogue=str(catalogue),
            exclusion_level="none",
            stamp_size=64,
            psf_size=33,
            columns=REAL_COLUMNS,
            knots=None,
        )
    )


def assert_same_stamp(one, other):
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.psf, other.psf)
    assert one.noise_variance == other.noise_variance
    assert np.array_equal(one.conditions, other.conditions)
    assert (one.ident, one.psf_index) == (other.ident, other.psf_index)


def test_stamp_does_not_depend_on_what_was_drawn_before(source, make_data_config):
    fresh = StampSource(make_data_config())
    in_order = [source.make(i) for i in (0, 1, 2)]
    backwards = [fresh.make(i) for i in (2, 1, 0)][::-1]
    for one, other in zip(in_order, backwards, strict=True):
        assert_same_stamp(one, other)


def test_realisations_of_a_galaxy_differ_but_in_their_conditions(source):
    one, other = source.make(4, 0), source.make(4, 1)
    assert not np.array_equal(one.image, other.image)
    assert one.noise_variance != other.noise_variance
    assert np.array_equal(one.conditions, other.conditions)


def test_seed_of_the_recipe_changes_every_stamp(source, make_data_config):
    other = StampSource(make_data_config(seed=2021))
    assert not np.array_equal(source.make(0).image, other.make(0).image)


def test_stamp_has_the_sizes_and_types_of_its_recipe(source):
    stamp = source.make(0)
    assert (stamp.image.shape, stamp.image.dtype) == ((32, 32), np.float32)
    assert (stamp.psf.shape, stamp.psf.dtype) == ((17, 17), np.float32)
    low, high = source.config.noise_variance
    assert low <= stamp.noise_variance <= high


def test_image_without_noise_is_galsims_own(make_data_config, catalogue_file):
    source = StampSource(make_data_config(knots=None, psf_dither=0.0))
    catalogue = galsim.COSMOSCatalog(
        str(catalogue_file), use_real=False, exclusion_level="bad_fits"
    )
    plain = catalogue.makeGalaxy(1)
    drawn = source.draw_noiseless(Galaxy(plain, np.zeros((0, 2)), 0.0), 0)
    psf = galsim.InterpolatedImage(galsim.Image(source.make(0).psf.astype(float), scale=0.03))
    seen = galsim.Convolve(plain, psf.withFlux(1.0)).drawImage(
        nx=32, ny=32, scale=0.03, method="no_pixel"
    )
    # What stamps.DRAWING states of its folding threshold: 2e-3 of the peak.
    np.testing.assert_allclose(drawn.array, seen.array, atol=2e-3 * seen.array.max())


def test_galaxy_falls_where_its_psf_does(make_data_config):
    source = StampSource(make_data_config(knots=None))
    offset = 0.7, -0.4
    galaxy = Galaxy(galsim.Gaussian(half_light_radius=0.1), np.zeros((0, 2)), 0.0)
    expected = centroid(shift_psf(source.make(0).psf, *offset))
    first = centroid(source.make(0).psf)
    plain = centroid(source.draw_noiseless(galaxy, 0).array)
    moved = centroid(source.draw_noiseless(galaxy, 0, offset).array)
    np.testing.assert_allclose(np.subtract(moved, plain), offset, atol=1e-3)
    np.testing.assert_allclose(np.subtract(expected, first), offset, atol=1e-2)


def test_psfs_of_stamps_fall_anywhere_in_the_dither(make_data_config):
    source = StampSource(make_data_config(knots=None))
    offsets = np.array([centroid(source.make(i).psf) for i in range(20)])
    assert np.abs(offsets).max() < 1.05
    assert offsets.std(axis=0).min() > 0.3  # 0.58 for a uniform law between -1 and 1


def test_noise_has_the_variance_that_the_stamp_states(make_data_config):
    source = StampSource(make_data_config(noise_variance=(1.0, 1.0)))
    images = np.array([source.make(i).image for i in range(20)]) - np.array(
        [source.make(i, 1).image for i in range(20)]
    )
    outer = images[
        :, [0, 1, -2, -1]
    ]  # a noise of 1 drowns every galaxy's edge (fluxes are below 32)
    # 20 stamps of 128 correlated pixels: some 600 independent ones, so 6% for the variance.
    assert outer.var() == pytest.approx(2.0, rel=0.2)


def test_conditions_are_the_catalogues_columns(source, catalogue_table):
    rows = {int(row["IDENT"]): row for row in catalogue_table}
    stamp = source.make(7)
    row = rows[stamp.ident]
    expected = [row["flux_radius"], row["mag_auto"], row["zphot"]]
    np.testing.assert_allclose(stamp.conditions, expected, rtol=1e-7)


def test_galaxies_without_size_redshift_or_fit_are_left_out(source, catalogue_table):
    usable = set(source.idents[source.usable()])
    without = {int(catalogue_table["IDENT"][row]) for row in (3, 5, 8)}
    assert usable == set(map(int, catalogue_table["IDENT"])) - without


def test_unknown_column_error_lists_those_that_exist(make_data_config):
    columns = {"flux_radius": "flux_radius", "mag_auto": "magnitude", "zphot": "zphot"}
    with pytest.raises(DataError, match=r"'magnitude'.*mag_auto.*data.columns"):
        _ = StampSource(make_data_config(columns=columns)).conditions


def test_unknown_source_error_lists_both(make_data_config):
    with pytest.raises(DataError, match=r"'reel'.*'real' or 'parametric'"):
        StampSource(make_data_config(source="reel"))


def test_missing_catalogue_error_says_where_to_get_one(make_data_config):
    with pytest.raises(DataError, match=r"make data.*galsim_download_cosmos"):
        StampSource(make_data_config(catalogue="nowhere.fits"))


def test_small_real_stamp_is_centred_in_noise_of_its_own_variance():
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(8), variance=4.0)
    stamp = np.full((10, 12), 1000.0)
    placed = place_in_noise(stamp, noise, 64, 0.03)
    assert np.array_equal(placed[27:37, 26:38], stamp)
    around = placed[placed != 1000.0]
    assert around.size == 64**2 - 120
    assert around.var() == pytest.approx(
        4.0, rel=0.3
    )  # some 1000 independent pixels, 4 sigma is 20%


def test_large_real_stamp_is_cut_about_its_centre():
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(8), variance=4.0)
    stamp = np.arange(40.0**2).reshape(40, 40)
    assert np.array_equal(place_in_noise(stamp, noise, 32, 0.03), stamp[4:36, 4:36])


def test_every_real_galaxy_becomes_a_stamp(real_source):
    assert len(real_source) == 60
    stamps = [real_source.make(i) for i in np.flatnonzero(real_source.usable())]
    assert len(stamps) > 50
    for stamp in stamps:
        assert np.all(np.isfinite(stamp.image))
        assert stamp.psf.sum(dtype=float) == pytest.approx(1.0, abs=1e-6)


def test_real_stamp_keeps_the_light_of_hubble(real_source):
    raw = real_source.catalogue.getRealParams(1)[0].array  # 36 pixels a side
    image = real_source.make(1).image
    assert np.array_equal(image[14:50, 14:50], raw.astype(np.float32))
    assert image[:14].std() == pytest.approx(np.sqrt(real_source.make(1).noise_variance), rel=0.5)


def test_real_stamp_of_another_pixel_scale_is_refused(real_source, make_data_config):
    other = StampSource(dataclasses.replace(real_source.config, pixel_scale=0.05))
    with pytest.raises(DataError, match="arcsec/pixel"):
        other.make(0)


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_real_stamps_cut_short_are_named(real_source, make_data_config, shared_data, tmp_path):
    folder = shutil.copytree(shared_data / "real_stamps", tmp_path / "stamps")
    images = folder / "real_galaxy_images_dev.fits"
    images.chmod(0o644)
    images.write_bytes(images.read_bytes()[: images.stat().st_size // 2])
    catalogue = str(folder / "real_galaxy_catalog_dev.fits")
    source = StampSource(dataclasses.replace(real_source.config, catalogue=catalogue))
    with pytest.raises(DataError, match=r"IDENT \d+ cannot be read"):
        list(map(source.make, range(len(source))))


def test_files_that_real_stamps_are_made_from_are_all_named(real_source, shared_data):
    folder = shared_data / "real_stamps"
    assert set(real_source.input_files()) == set(folder.glob("*.fits"))

"""A generated galaxy is a GalSim profile in everything."""

from __future__ import annotations

import copy
import pickle

import galsim
import numpy as np
import pytest

from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel
from galsim_hub.errors import (
    ConditionError,
    LatentError,
    PinError,
    RandomDeviateError,
    SeedError,
    UnknownModuleError,
)
from galsim_hub.recipe import Recipe

FINER = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=5e-4)
PSF = galsim.Kolmogorov(fwhm=0.7)
# stepk is read in steps of a pixel, maxk in steps of the transform.
NUMBERS = {
    "flux": 1e-12,
    "stepk": 0.1,
    "maxk": 0.1,
    "nyquist_scale": 0.1,
    "positive_flux": 1e-3,
    "max_sb": 1e-3,
}
KINDS = ("has_hard_edges", "is_axisymmetric", "is_analytic_x", "is_analytic_k")
SURVEYS = [(galsim.Kolmogorov(fwhm=0.7), 48, 0.2), (galsim.Gaussian(fwhm=0.09), 128, 0.03)]
CHANGES = {
    "flux": lambda p: p.withFlux(7.0),
    "shear": lambda p: p.shear(g1=0.2, g2=-0.1),
    "dilate, rotate, shift": lambda p: p.dilate(1.5).rotate(20 * galsim.degrees).shift(0.1, -0.2),
    "lens, magnify, scale": lambda p: p.lens(0.02, 0.03, 1.1).magnify(1.2) * 3,
    "convolve": lambda p: galsim.Convolve(p, PSF),
    "convolve more finely": lambda p: galsim.Convolve(p, PSF, gsparams=FINER),
    "convolve in real space": lambda p: galsim.Convolve(p, galsim.Pixel(0.2), real_space=True),
    "add": lambda p: 0.5 * p + PSF,
    "autoconvolve": galsim.AutoConvolve,
}


@pytest.fixture
def galaxy(model, conditions):
    """Give a galaxy."""
    return GenerativeGalaxy(model, seed=1234, **conditions)


@pytest.fixture
def reference(model, galaxy):
    """Give the same galaxy as GalSim's own interpolated image of the whole stamp."""
    return galsim.InterpolatedImage(galsim.Image(galaxy.stamp.astype(float), scale=0.03))


def _varieties(model, conditions):
    codes = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    return [
        GenerativeGalaxy(model, seed=1234, **conditions),
        GenerativeGalaxy(model, seed=1235, **conditions),
        GenerativeGalaxy(model, obj_id="1234", **conditions),
        GenerativeGalaxy(model, obj_id=1234, **conditions),
        GenerativeGalaxy(model, seed=1234, **{**conditions, "zphot": 0.71}),
        GenerativeGalaxy(model, seed=1234, flux=17.5, **conditions),
        GenerativeGalaxy(model, seed=1234, half_light_radius=0.3, **conditions),
        GenerativeGalaxy(model, seed=1234, mag=22.0, zeropoint=27.0, **conditions),
        GenerativeGalaxy(model, seed=1234, gsparams=FINER, **conditions),
        GenerativeGalaxy(model, seed=1234, x_interpolant="lanczos5", **conditions),
        GenerativeGalaxy(model, seed=1234, k_interpolant="linear", **conditions),
        GenerativeGalaxy(model, seed=1234, pad_factor=2, **conditions),
        GenerativeGalaxy(model, latents=codes),
        GenerativeGalaxy(model, latents=codes, flux=3.0),
        GenerativeGalaxy(model, latents=-codes),
    ]


def test_every_variety_pickles_copies_and_evaluates_from_its_repr(model, conditions):
    for galaxy in _varieties(model, conditions):
        galsim.utilities.check_pickle(galaxy)
        galsim.utilities.check_pickle(
            galaxy, lambda g: g.drawImage(nx=32, ny=32, method="no_pixel")
        )


def test_every_variety_differs_from_the_others(model, conditions):
    galsim.utilities.check_all_diff(_varieties(model, conditions))


def test_derived_profiles_pickle_too(galaxy):
    for derived in (galaxy.shear(g1=0.1), galaxy * 2, galsim.Convolve(galaxy), galaxy + PSF):
        galsim.utilities.check_pickle(derived)


def test_pixels_are_not_pickled(galaxy):
    fresh = len(pickle.dumps(galaxy))
    _ = galaxy.stamp, galaxy.flux
    assert len(pickle.dumps(galaxy)) == fresh < 2000


def test_the_flux_is_the_sum_of_the_pixels(galaxy):
    np.testing.assert_allclose(galaxy.flux, galaxy.stamp.sum(dtype=float), rtol=1e-12)


def test_a_given_flux_is_exact(model, conditions):
    galaxy = GenerativeGalaxy(model, seed=1234, flux=1000.0, **conditions)
    assert galaxy.flux == 1000.0
    np.testing.assert_allclose(galaxy.kValue(0, 0), 1000.0, rtol=1e-12)


def test_a_galaxy_of_no_flux_draws_nothing(model, conditions):
    dark = GenerativeGalaxy(model, seed=1234, flux=0.0, **conditions)
    for profile in (dark, dark.shear(g2=0.1)):
        assert not galsim.Convolve(profile, PSF).drawImage(nx=16, ny=16, scale=0.2).array.any()


@pytest.mark.parametrize("flux_radius", [3.0, 8.0, 30.0])
@pytest.mark.parametrize("radius", [0.1, 0.9])
def test_a_given_half_light_radius_is_held(model, conditions, flux_radius, radius):
    conditions["flux_radius"] = flux_radius
    galaxy = GenerativeGalaxy(model, seed=1234, half_light_radius=radius, **conditions)
    # Pixels of another size than those the radius was found on.
    image = galaxy.drawImage(nx=440, ny=440, scale=radius / 130, method="sb", dtype=float)
    measured = image.calculateHLR(flux=galaxy.flux / image.scale**2)
    assert measured == pytest.approx(radius, rel=1e-3)


def test_a_galaxy_without_flux_may_have_a_size(model, conditions):
    none = GenerativeGalaxy(model, seed=1, flux=0.0, half_light_radius=0.4, **conditions)
    assert not none.drawImage(nx=16, ny=16, scale=0.2).array.any()


def test_a_given_half_light_radius_changes_neither_flux_nor_shape(galaxy, model, conditions):
    pinned = GenerativeGalaxy(model, seed=1234, half_light_radius=0.5, **conditions)
    dilated = galaxy.dilate(0.5 / galaxy.calculateHLR(size=512, scale=0.005))
    assert pinned.flux == pytest.approx(galaxy.flux, rel=1e-12)
    _assert_close(*(p.drawImage(nx=48, ny=48, scale=0.05) for p in (pinned, dilated)), 5e-3)


def test_a_condition_of_a_pins_name_is_a_condition(module_folder, copy_module, conditions):
    names = ("half_light_radius", "mag", "zphot")
    inputs = [{"name": name, "unit": "", "minimum": 0.0, "maximum": 50.0} for name in names]
    model = GenerativeGalaxyModel(copy_module(module_folder, inputs=inputs))
    given = dict(zip(names, conditions.values(), strict=True))
    galaxy = GenerativeGalaxy(model, seed=1, flux=10.0, **given)
    assert galaxy.conditions == given
    galsim.utilities.check_pickle(galaxy)


def test_a_given_magnitude_is_the_flux_above_its_zero_point(model, conditions):
    galaxy = GenerativeGalaxy(model, seed=1234, mag=22.0, zeropoint=27.0, **conditions)
    assert galaxy.flux == pytest.approx(100.0, rel=1e-12)
    assert galaxy == GenerativeGalaxy(model, seed=1234, flux=galaxy.flux, **conditions)


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ({"flux": 1.0, "mag": 22.0, "zeropoint": 27.0}, "flux or mag with zeropoint, not both"),
        ({"mag": 22.0}, "zeropoint is missing"),
        ({"zeropoint": 27.0}, "mag is missing"),
        ({"half_light_radius": 0.0}, "must be positive"),
        ({"half_light_radius": "large"}, "must be a finite number"),
        ({"mag": float("nan"), "zeropoint": 27.0}, "must be a finite number"),
    ],
)
def test_pins_that_make_no_sense_are_refused(model, conditions, pins, said):
    with pytest.raises(PinError, match=said):
        GenerativeGalaxy(model, seed=1234, **pins, **conditions)


def test_the_transform_at_the_origin_is_the_flux(galaxy):
    np.testing.assert_allclose(galaxy.kValue(0, 0), galaxy.flux, rtol=1e-12)


def test_every_number_is_the_interpolated_images(galaxy, reference):
    for name in KINDS:
        assert getattr(galaxy, name) == getattr(reference, name), name
    for name, tolerance in NUMBERS.items():
        assert getattr(galaxy, name) == pytest.approx(getattr(reference, name), rel=tolerance), name
    # Trimming leaves out up to 5e-4 of the flux, far from the centre.
    assert galaxy.xValue(0.1, 0.2) == pytest.approx(reference.xValue(0.1, 0.2), rel=5e-4)
    assert galaxy.kValue(1.1, 2.2) == pytest.approx(reference.kValue(1.1, 2.2), rel=5e-4)
    # On pixels of one size, for GalSim's choice follows maxk and quantises the sizes.
    # What was trimmed, the outermost 5e-4 of the light, counts in a moment by its radius squared.
    sizes = {"calculateHLR": 1e-3, "calculateFWHM": 1e-3, "calculateMomentRadius": 2e-2}
    for name, tolerance in sizes.items():
        ours, theirs = (getattr(p, name)(size=256, scale=0.01) for p in (galaxy, reference))
        assert ours == pytest.approx(theirs, rel=tolerance), name


@pytest.mark.parametrize("flux_radius", [3.0, 8.0, 16.0, 30.0])
@pytest.mark.parametrize(("psf", "side", "scale"), SURVEYS)
def test_flux_and_shape_are_those_of_generous_padding(model, flux_radius, psf, side, scale):
    galaxy = GenerativeGalaxy(model, flux_radius=flux_radius, mag_auto=22.0, zphot=0.7, seed=5)
    whole = galsim.InterpolatedImage(galsim.Image(galaxy.stamp.astype(float), scale=0.03))
    ours, theirs = (
        galsim.Convolve(profile.shear(g1=0.1, g2=0.05), psf).drawImage(
            nx=side, ny=side, scale=scale, dtype=float
        )
        for profile in (galaxy, whole)
    )
    assert ours.array.sum() == pytest.approx(theirs.array.sum(), rel=1e-4)
    shapes = [galsim.hsm.FindAdaptiveMom(image).observed_shape for image in (ours, theirs)]
    assert abs(shapes[0].g1 - shapes[1].g1) < 1e-4
    assert abs(shapes[0].g2 - shapes[1].g2) < 1e-4


def test_a_small_galaxy_is_interpolated_on_a_small_stamp(model):
    galaxy = GenerativeGalaxy(model, flux_radius=4.0, mag_auto=22.0, zphot=0.7, seed=5)
    assert galaxy.stamp.shape == (128, 128)
    assert galaxy._interpolated.image.array.shape[0] <= 64


def test_a_stamp_without_light_is_galsims_error(model):
    dark = GenerativeGalaxy.from_stamp(
        model, Recipe((8.0, 23.0, 0.7), 1), np.zeros((128, 128), np.float32)
    )
    with pytest.raises(galsim.GalSimValueError, match="zero total flux"):
        _ = dark.flux


def test_positive_less_negative_flux_is_the_flux(galaxy):
    np.testing.assert_allclose(galaxy.positive_flux - galaxy.negative_flux, galaxy.flux, rtol=1e-9)


def test_the_galaxy_is_centred_with_the_size_it_was_asked_for(galaxy):
    # The test module draws point-symmetric galaxies, of a size that scatters by 10%.
    np.testing.assert_allclose([galaxy.centroid.x, galaxy.centroid.y], 0, atol=1e-7)
    assert galaxy.calculateHLR() == pytest.approx(8 * 0.03, rel=0.4)


@pytest.mark.parametrize("method", ["auto", "fft", "real_space", "phot", "no_pixel", "sb"])
def test_every_way_of_drawing_gives_what_an_interpolated_image_gives(galaxy, reference, method):
    arguments = {"nx": 48, "ny": 48, "scale": 0.06, "method": method}
    tolerance = 1e-3  # of the peak: what trimming leaves out, twice
    if method == "phot":
        arguments |= {"n_photons": 1_000_000, "rng": galsim.BaseDeviate(5)}
        tolerance = 0.06  # five times the noise of a peak of some 13,000 photons
    ours, theirs = (p.drawImage(dtype=float, **arguments) for p in (galaxy, reference))
    _assert_close(ours, theirs, tolerance)


def _assert_close(ours, theirs, tolerance=1e-3):
    np.testing.assert_allclose(
        ours.array, theirs.array, rtol=0, atol=tolerance * np.abs(theirs.array).max()
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_galaxy_is_a_changed_interpolated_image(galaxy, reference, change):
    ours, theirs = (
        change(p).drawImage(nx=32, ny=32, scale=0.2, method="no_pixel") for p in (galaxy, reference)
    )
    _assert_close(ours, theirs)


def test_a_galaxy_takes_a_spectrum(galaxy, reference):
    band = galsim.Bandpass(galsim.LookupTable([500, 600], [1, 1], interpolant="linear"), "nm")
    sed = galsim.SED("wave", "nm", "fphotons").withFlux(1.0, band)
    ours, theirs = ((p * sed).drawImage(band, nx=32, scale=0.2, ny=32) for p in (galaxy, reference))
    _assert_close(ours, theirs)


@pytest.mark.parametrize(
    "wcs",
    [
        galsim.PixelScale(0.2),
        galsim.JacobianWCS(0.2, 0.05, -0.03, 0.18),
        galsim.UVFunction("0.2*x + 0.001*x**2", "0.2*y"),
        galsim.TanWCS(
            galsim.AffineTransform(0.2, 0, 0, 0.2),
            galsim.CelestialCoord(0.1 * galsim.radians, 0.2 * galsim.radians),
        ),
    ],
    ids=lambda wcs: type(wcs).__name__,
)
def test_a_galaxy_is_drawn_on_any_wcs(galaxy, wcs):
    image = galsim.Convolve(galaxy).drawImage(nx=64, ny=64, wcs=wcs)
    np.testing.assert_allclose(image.array.sum(), galaxy.flux, rtol=0.02)


def test_a_transform_image_is_drawn(galaxy, reference):
    images = [p.drawKImage(nx=32, ny=32, scale=1.0) for p in (galaxy, reference)]
    _assert_close(*images)


def test_photons_are_shot(galaxy, reference):
    ours, theirs = (p.shoot(100_000, galsim.BaseDeviate(3)) for p in (galaxy, reference))
    np.testing.assert_allclose(ours.flux.sum(), galaxy.flux, rtol=0.02)
    np.testing.assert_allclose(np.std(ours.x), np.std(theirs.x), rtol=0.02)


def test_other_gsparams_keep_the_pixels(galaxy):
    stamp = galaxy.stamp
    finer = galaxy.withGSParams(FINER)
    assert finer.gsparams == FINER
    assert finer._stamp is galaxy._stamp
    assert finer.stepk < galaxy.stepk
    assert (finer.stamp == stamp).all()
    assert galaxy.withGSParams(galaxy.gsparams) is galaxy


def test_a_copy_generates_the_same_pixels(galaxy):
    assert copy.copy(galaxy).stamp.tobytes() == galaxy.stamp.tobytes()


def test_the_stamp_cannot_be_changed(galaxy):
    with pytest.raises(ValueError, match="read-only"):
        galaxy.stamp[0, 0] = 1


def test_the_seed_is_drawn_from_the_rng(model, conditions, rng):
    twin = rng.duplicate()
    galaxy = GenerativeGalaxy(model, rng=rng, **conditions)
    assert galaxy.seed == twin.raw() * 2**32 + twin.raw()
    assert rng == twin


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": -1}, SeedError, "integer from 0"),
        ({"seed": 1, "obj_id": 2}, SeedError, "got seed and obj_id"),
        ({"obj_id": 1j}, SeedError, "obj_id must be"),
        ({"rng": np.random.default_rng(1)}, RandomDeviateError, "BaseDeviate"),
        ({"magnitude": 22.0}, ConditionError, "'magnitude' is no condition"),
        ({"zphot": np.nan}, ConditionError, "finite"),
        ({"zphot": "high"}, ConditionError, "must be a number"),
        ({"zphot": [0.1, 0.2]}, ConditionError, "One galaxy takes one value"),
        ({"zphot": []}, ConditionError, "One galaxy takes one value"),
        ({"latents": np.zeros(4)}, ConditionError, "no conditions beside latents"),
    ],
)
def test_a_bad_argument_has_its_error(model, conditions, arguments, error, message):
    with pytest.raises(error, match=message):
        GenerativeGalaxy(model, **{**conditions, **arguments})


def test_a_missing_condition_is_named(model, conditions):
    del conditions["zphot"]
    with pytest.raises(ConditionError, match="'zphot' is missing"):
        GenerativeGalaxy(model, seed=1, **conditions)
    with pytest.raises(ConditionError, match="'flux_radius' is missing"):
        GenerativeGalaxy(model, seed=1)


def test_codes_of_several_galaxies_are_refused(model):
    with pytest.raises(LatentError, match="model.decode"):
        GenerativeGalaxy(model, latents=np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("given", "said"),
    [("hub:cosmos", r"Give GenerativeGalaxyModel\('hub:cosmos'\)"), (None, "got None. Give one")],
)
def test_what_is_no_model_is_refused(given, said, conditions):
    with pytest.raises(UnknownModuleError, match=said):
        GenerativeGalaxy(given, seed=1, **conditions)

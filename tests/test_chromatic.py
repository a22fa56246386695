"""A generated galaxy takes a redshifted spectrum, with its flux in a bandpass."""

from __future__ import annotations

import galsim
import numpy as np
import pytest

import galsim_hub
from galsim_hub import GenerativeGalaxy, apply_sed
from galsim_hub.chromatic import find_generated
from galsim_hub.errors import CatalogError, ConditionError, PinError

DRAW = {"nx": 48, "ny": 48, "scale": 0.1}
PSF = galsim.Gaussian(fwhm=0.3)


@pytest.fixture
def galaxy(model, conditions):
    """Give a galaxy of redshift 0.7."""
    return GenerativeGalaxy(model, seed=12, **conditions)


@pytest.fixture(scope="module")
def bands():
    """Give two bandpasses, on both sides of a break at redshift 0.7."""
    return [
        galsim.Bandpass(galsim.LookupTable([start, start + 50], [1, 1], "linear"), "nm")
        for start in (500, 900)
    ]


@pytest.fixture(scope="module")
def sed():
    """Give a spectrum with a break at 400 nm, three times as bright above it."""
    table = galsim.LookupTable([10, 399, 401, 3000], [1, 1, 3, 3], "linear")
    return galsim.SED(table, "nm", "fphotons")


def test_the_flux_in_the_bandpass_is_the_galaxys(galaxy, sed, bands):
    coloured = apply_sed(galaxy, sed, bands[0])
    assert coloured.calculateFlux(bands[0]) == pytest.approx(galaxy.flux, rel=1e-6)
    given = apply_sed(galaxy, sed, bands[0], flux=7.0)
    assert given.calculateFlux(bands[0]) == pytest.approx(7.0, rel=1e-6)


def test_the_spectrum_is_redshifted_to_the_galaxys_condition(galaxy, sed, bands):
    def colour(coloured):
        below, above = (coloured.calculateFlux(band) for band in bands)
        return above / below

    assert colour(apply_sed(galaxy, sed, bands[0])) == pytest.approx(3.0, rel=1e-3)
    # The break is at 400 nm (1 + z): 680 nm for its own redshift, below or above both for others.
    assert colour(apply_sed(galaxy, sed, bands[0], redshift=0.1)) == pytest.approx(1.0, rel=1e-3)
    assert colour(apply_sed(galaxy, sed, bands[0], redshift=1.6)) == pytest.approx(1.0, rel=1e-3)


def test_it_is_drawn_through_a_bandpass_as_the_grey_galaxy_is(galaxy, sed, bands):
    grey = galsim.Convolve(galaxy.shear(g1=0.1), PSF).drawImage(**DRAW, dtype=float)
    coloured = galsim.Convolve(apply_sed(galaxy, sed, bands[0]).shear(g1=0.1), PSF)
    image = coloured.drawImage(bands[0], **DRAW, dtype=float)
    peak = grey.array.max()
    np.testing.assert_allclose(image.array, grey.array, rtol=0, atol=1e-4 * peak)


def test_there_is_no_gradient_of_colour(galaxy, sed, bands):
    coloured = galsim.Convolve(apply_sed(galaxy, sed, bands[0]), PSF)
    below, above = (coloured.drawImage(band, **DRAW, dtype=float).array for band in bands)
    np.testing.assert_allclose(
        above / above.sum(), below / below.sum(), rtol=0, atol=1e-6 * (below / below.sum()).max()
    )


def test_a_transformed_galaxy_keeps_its_redshift(galaxy, sed, bands):
    changed = (galaxy * 2).shear(g1=0.1)
    coloured = apply_sed(changed, sed, bands[0])
    assert coloured.calculateFlux(bands[0]) == pytest.approx(2 * galaxy.flux, rel=1e-6)
    assert coloured.sed.redshift == pytest.approx(0.7)


def test_a_galaxy_without_a_redshift_wants_one(model, sed, bands):
    codes = np.zeros(4, np.float32)
    galaxy = GenerativeGalaxy(model, latents=codes)
    with pytest.raises(ConditionError, match="no redshift.*Give redshift="):
        apply_sed(galaxy, sed, bands[0])
    assert apply_sed(galaxy, sed, bands[0], redshift=0.3).sed.redshift == pytest.approx(0.3)


@pytest.mark.parametrize("redshift", [np.nan, np.inf, -1, "high"])
def test_a_redshift_that_makes_no_sense_is_refused(galaxy, sed, bands, redshift):
    with pytest.raises(ConditionError, match="redshift must be a finite number above -1"):
        apply_sed(galaxy, sed, bands[0], redshift=redshift)


@pytest.mark.parametrize(("factor", "flux"), [(0, None), (0, 3.0), (1, np.nan), (1, "bright")])
def test_a_flux_that_no_spectrum_can_have_is_refused(galaxy, sed, bands, factor, flux):
    with pytest.raises(PinError, match="A spectrum cannot scale a galaxy of flux"):
        apply_sed(galaxy * factor, sed, bands[0], flux=flux)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sed": "CWW_Sbc_ext.sed"}, "sed must be a galsim.SED, got 'CWW_Sbc_ext.sed'"),
        ({"bandpass": "r"}, "bandpass must be a galsim.Bandpass, got 'r'"),
        ({"galaxy": None}, "galaxy must be a galsim.GSObject, got None"),
    ],
)
def test_an_argument_of_another_type_is_refused(galaxy, sed, bands, wrong, said):
    with pytest.raises(CatalogError, match=said):
        apply_sed(**{"galaxy": galaxy, "sed": sed, "bandpass": bands[0], **wrong})


def test_a_galaxy_takes_one_spectrum_only(galaxy, sed, bands):
    with pytest.raises(CatalogError, match="has a spectrum already"):
        apply_sed(apply_sed(galaxy, sed, bands[0]), sed, bands[0])


def test_the_generated_galaxy_is_found_in_what_was_made_of_it(galaxy, sed, bands):
    for made in (
        galaxy,
        galaxy.shear(g1=0.1) * 3,
        galsim.Convolve(galaxy.rotate(1 * galsim.radians), PSF),
        galsim.Gaussian(fwhm=1) + galaxy,
        apply_sed(galaxy, sed, bands[0]),
        galsim.Convolve(apply_sed(galaxy, sed, bands[0]).shear(g1=0.1) * 2, PSF),
        galsim.AutoConvolve(galaxy),
    ):
        found = find_generated(made)
        assert found is not None
        assert found.recipe == galaxy.recipe
    assert find_generated(PSF) is None


def test_a_catalogue_gives_galaxies_with_a_spectrum():
    galaxies = galsim_hub.GenerativeCatalog(n_objects=3, exptime=10)
    band = galsim.Bandpass("ACS_wfc_F814W.dat", wave_type="nm")
    grey, coloured = (galaxies.makeGalaxy(1, chromatic=chromatic) for chromatic in (False, True))
    assert isinstance(coloured, galsim.ChromaticObject)
    assert coloured.calculateFlux(band) == pytest.approx(grey.flux, rel=1e-5)
    assert coloured.sed.redshift == pytest.approx(grey.original.conditions["zphot"])
    assert coloured.index == coloured.original.index == 1

"""The background, the growth and the linear power are those of CCL, and distances those of CAMB.

Both are independent codes, and optional: `pip install 'galsim-hub[oracles]'`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from galsim_hub import particle_mesh as pm

UNIVERSES = [
    {},
    {"w0": -0.9},
    {"w0": -0.9, "wa": 0.3},
    {"Omega_k": 0.05},
    {"Omega_k": -0.05, "w0": -1.1, "wa": -0.2},
]
ENDS = [  # of the ranges of particle_mesh/1
    {"Omega_c": 0.08, "Omega_b": 0.02, "h": 0.5, "n_s": 0.8, "sigma8": 0.5, "w0": -1.5, "wa": -0.5},
    {"Omega_c": 0.52, "Omega_b": 0.08, "h": 0.9, "n_s": 1.1, "sigma8": 1.2, "w0": -0.5, "wa": 0.5},
    {"Omega_c": 0.08, "Omega_b": 0.02, "h": 0.9, "n_s": 1.1, "w0": -0.5, "wa": 0.5},
    {"Omega_c": 0.52, "Omega_b": 0.08, "h": 0.5, "n_s": 0.8, "w0": -0.5, "wa": -0.5},
]
A = np.array([1e-3, 0.01, 0.1, 0.3, 0.5, 0.8, 0.9, 1.0])


@pytest.fixture(params=UNIVERSES, ids=str)
def universe(request):
    """Give a cosmology of ours."""
    return pm.Planck15(**request.param)


@pytest.fixture
def ccl_universe(universe):
    """Give the same one in CCL."""
    return in_ccl(universe)


def in_ccl(universe):
    """Return a cosmology of ours in CCL, without radiation."""
    pyccl = pytest.importorskip("pyccl", reason="CCL is not installed: the extra oracles")
    names = ("Omega_c", "Omega_b", "h", "n_s", "sigma8", "Omega_k", "w0", "wa")
    values = {name: float(getattr(universe, name)) for name in names}
    return pyccl.Cosmology(
        **values, Omega_g=0.0, Neff=0.0, T_CMB=2.7255, transfer_function="eisenstein_hu"
    )


def test_growth_is_that_of_ccl(universe, ccl_universe):
    growth = pm.Growth(universe)
    np.testing.assert_allclose(growth.first(A), ccl_universe.growth_factor(A), rtol=1e-4)
    np.testing.assert_allclose(growth.first_rate(A), ccl_universe.growth_rate(A), rtol=1e-4)


def test_distances_are_those_of_ccl(universe, ccl_universe):
    a, h = A[2:-1], float(universe.h)
    np.testing.assert_allclose(universe.expansion(A), ccl_universe.h_over_h0(A), rtol=1e-4)
    expected = h * ccl_universe.comoving_radial_distance(a)
    np.testing.assert_allclose(universe.comoving_distance(a), expected, rtol=1e-4)
    expected = h * ccl_universe.comoving_angular_distance(a)
    np.testing.assert_allclose(universe.transverse_distance(a), expected, rtol=1e-4)


def test_the_power_of_eisenstein_and_hu_is_that_of_ccl(universe, ccl_universe):
    k, h = np.geomspace(1e-4, 20.0, 500), float(universe.h)
    expected = ccl_universe.linear_matter_power(k * h, 1.0) * h**3
    np.testing.assert_allclose(pm.EisensteinHu(universe)(k), expected, rtol=5e-4)


@pytest.mark.parametrize("ends", ENDS, ids=str)
def test_the_ranges_of_the_published_module_end_where_ccl_still_agrees(ends):
    """From its first scale factor on; spectra with a fifth of baryons differ by a tenth percent."""
    ours, theirs = pm.Planck15(**ends), in_ccl(pm.Planck15(**ends))
    growth, k, h = pm.Growth(ours), np.geomspace(1e-4, 20.0, 500), ends["h"]
    np.testing.assert_allclose(growth.first(A[2:]), theirs.growth_factor(A[2:]), rtol=1e-4)
    np.testing.assert_allclose(growth.first_rate(A[2:]), theirs.growth_rate(A[2:]), rtol=1e-4)
    expected = theirs.linear_matter_power(k * h, 1.0) * h**3
    np.testing.assert_allclose(pm.EisensteinHu(ours)(k), expected, rtol=1.5e-3)


def test_the_power_of_camb_goes_in_as_a_table_and_gives_its_sigma8():
    camb = pytest.importorskip("camb", reason="CAMB is not installed: the extra oracles")
    parameters = camb.CAMBparams()
    parameters.set_cosmology(H0=67.74, ombh2=0.0223, omch2=0.1188, mnu=0.0)
    parameters.InitPower.set_params(As=2.142e-9, ns=0.9667)
    parameters.set_matter_power(redshifts=[0.0], kmax=100.0)
    results = camb.get_results(parameters)
    k, _, power = results.get_matter_power_spectrum(minkh=1.2e-4, maxkh=60.0, npoints=600)
    table = pm.TabulatedPower(k, power[0])

    between = np.sqrt(k[1:] * k[:-1])
    interpolator = results.get_matter_power_interpolator(nonlinear=False)
    np.testing.assert_allclose(table(between), interpolator.P(0.0, between), rtol=5e-4)
    # The integral needs k beyond the table only where it adds nothing.
    wide = pm.TabulatedPower(
        np.concatenate([[1e-5], k, [2e3]]), np.concatenate([[1e1], power[0], [1e-7]])
    )
    assert float(pm.sigma(wide, 8.0)) == pytest.approx(float(results.get_sigma8_0()), rel=1e-3)


def test_distances_are_those_of_camb_where_radiation_does_not_matter():
    camb = pytest.importorskip("camb", reason="CAMB is not installed: the extra oracles")
    universe = pm.Planck15()
    h = float(universe.h)
    # With almost no photons and no neutrinos, as here.
    parameters = camb.set_params(
        H0=100 * h,
        ombh2=float(universe.Omega_b) * h**2,
        omch2=float(universe.Omega_c) * h**2,
        omk=0.0,
        TCMB=0.3,
        YHe=0.25,
        num_nu_massless=0.0,
        num_nu_massive=0,
        mnu=0.0,
    )
    background = camb.get_background(parameters, no_thermo=True)
    a = A[2:-1]
    expected = h * background.comoving_radial_distance(1 / a - 1)
    np.testing.assert_allclose(universe.comoving_distance(a), expected, rtol=1e-4)
    expected = background.hubble_parameter(1 / a - 1) / (100 * h)
    np.testing.assert_allclose(universe.expansion(a), expected, rtol=1e-4)

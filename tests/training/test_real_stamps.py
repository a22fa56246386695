"""Parametric fits of a stamp find the galaxy that was put there, and chi^2 is one a pixel."""

import galsim
import numpy as np
import pytest

from training.data.stamps import Stamp
from training.validation.morphology import segmentation
from training.validation.real_stamps import Fit, RealResult, real_part
from training.validation.scenes import add_noise, see

VARIANCE = 7e-6


@pytest.fixture(scope="module")
def stamp():
    psf = galsim.Gaussian(fwhm=0.1).drawImage(nx=33, ny=33, scale=0.03).array
    galaxy = galsim.Exponential(half_light_radius=0.25, flux=15.0).shear(g1=0.2, g2=0.1)
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(3))
    image = add_noise(see(galaxy.shift(0.02, -0.01), psf, 64, 0.03), VARIANCE, noise, 0.03)
    return Stamp(np.float32(image), np.float32(psf), VARIANCE, np.zeros(3), 7, 0)


@pytest.mark.parametrize("name", ["sersic", "bulge+disk"])
def test_fit_of_a_galaxy_of_its_family_leaves_the_noise_alone(stamp, name):
    pytest.importorskip("scipy")
    aperture = segmentation(stamp.image.astype(float), VARIANCE)
    model = Fit(stamp, aperture, 0.03).run(name)
    chi2 = np.mean((stamp.image - model)[aperture] ** 2) / VARIANCE
    # About 900 pixels of correlated noise, 100 independent ones or more: good to 15%.
    assert chi2 == pytest.approx(1.0, abs=0.4)
    assert model[aperture].sum() == pytest.approx(stamp.image[aperture].sum(), rel=0.03)


def test_quick_drawing_is_galsims(stamp):
    profile = galsim.Exponential(half_light_radius=0.2, flux=10.0).shear(g1=0.3).shift(0.05, 0.02)
    drawn = Fit(stamp, np.ones((64, 64), bool), 0.03).draw(profile)
    expected = see(profile, stamp.psf, 64, 0.03)
    np.testing.assert_allclose(drawn, expected, atol=2e-3 * expected.max())


def test_excess_is_against_the_better_fit_of_each_stamp():
    rows = [{"module": 4.0, "refined": 2.0, "sersic": 1.0, "bulge+disk": 3.0}]
    rows += [{"module": 4.0, "refined": 2.0, "sersic": 5.0, "bulge+disk": 1.5}] * 2
    results = [RealResult(i, np.zeros((8, 8)), {}, chi2) for i, chi2 in enumerate(rows)]
    values = {q.key: q.value for q in real_part(results, 60).quantities}
    assert values["real_chi2_module"] == 4.0
    assert values["real_chi2_refined"] == 2.0
    assert values["real_chi2_excess"] == pytest.approx(0.5)

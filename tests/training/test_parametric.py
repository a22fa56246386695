"""Star-forming knots: light moves from the disk into points, none is made or lost."""

import galsim
import numpy as np
import pytest

from training.config import KnotsConfig
from training.data.parametric import Galaxy, build_galaxy, disk_geometry, draw_share, lateness
from training.data.psfs import optical_psf
from training.data.stamps import draw_points

KNOTS = KnotsConfig(max_fraction=0.9, min_knots=20, max_knots=40)


@pytest.fixture(scope="module")
def catalogue(catalogue_file):
    return galsim.COSMOSCatalog(str(catalogue_file), use_real=False, exclusion_level="bad_fits")


@pytest.mark.parametrize("index", range(8))
def test_knots_conserve_the_flux(catalogue, index, rng):
    plain = catalogue.makeGalaxy(index, gal_type="parametric")
    galaxy = build_galaxy(catalogue, index, KNOTS, rng)
    total = galaxy.smooth.flux + len(galaxy.knots) * galaxy.knot_flux
    assert total == pytest.approx(plain.flux, rel=1e-10)


def test_late_types_get_knots(catalogue, rng):
    numbers = [len(build_galaxy(catalogue, i, KNOTS, rng).knots) for i in range(1, 30, 2)]
    assert np.count_nonzero(numbers) >= len(numbers) // 2  # shares below 1% are left smooth
    assert all(KNOTS.min_knots <= n <= KNOTS.max_knots for n in numbers if n)


def test_smooth_part_is_positive_everywhere(catalogue, rng):
    pixel = galsim.Pixel(0.03)
    for index in (0, 1, 4):  # single Sersic profiles and bulge with disk
        galaxy = build_galaxy(catalogue, index, KNOTS, rng)
        image = galsim.Convolve(galaxy.smooth, pixel).drawImage(
            nx=64, ny=64, scale=0.03, method="no_pixel"
        )
        assert image.array.min() > -1e-4 * image.array.max()  # GalSim's FFT accuracy: kvalue 1e-5


def test_without_knots_the_galaxy_is_the_fit(catalogue, rng):
    galaxy = build_galaxy(catalogue, 1, None, rng)
    assert galaxy.smooth == catalogue.makeGalaxy(1, gal_type="parametric")
    assert galaxy.knots.shape == (0, 2)


def test_disk_of_a_single_profile_is_the_whole_galaxy(catalogue):
    indices = [i for i in range(10) if not catalogue.getValue("use_bulgefit", i)]
    for index in indices:
        disk, axis_ratio, angle = disk_geometry(catalogue.getParametricRecord(index))
        assert disk.shear(q=axis_ratio, beta=angle) == catalogue.makeGalaxy(index)


def test_disk_of_a_two_component_fit_is_its_second_component(catalogue):
    indices = [i for i in range(10) if catalogue.getValue("use_bulgefit", i)]
    for index in indices:
        disk, axis_ratio, angle = disk_geometry(catalogue.getParametricRecord(index))
        sheared, fitted = (
            disk.shear(q=axis_ratio, beta=angle),
            catalogue.makeGalaxy(index).obj_list[1],
        )
        assert sheared.flux == pytest.approx(fitted.flux, rel=1e-12)
        assert sheared.xValue(0.1, 0.2) == pytest.approx(fitted.xValue(0.1, 0.2), rel=1e-10)


def test_knots_follow_the_axis_ratio_and_angle_of_the_disk(catalogue):
    config = KnotsConfig(max_fraction=1.0, min_knots=20_000, max_knots=20_001)
    index = next(i for i in range(1, 40) if catalogue.getValue("use_bulgefit", i))
    record = catalogue.getParametricRecord(index)
    points = build_galaxy(catalogue, index, config, galsim.BaseDeviate(4)).knots
    radii = np.hypot(*points.T)
    core = points[radii < np.percentile(radii, 99)]  # an exponential's tail makes moments noisy
    values, vectors = np.linalg.eigh(np.cov(core.T))
    angle = np.arctan2(vectors[1, 1], vectors[0, 1])
    difference = (angle - record["bulgefit"][7] + np.pi / 2) % np.pi - np.pi / 2
    # 20,000 points fix an axis ratio to 1% and an angle to that over the ellipticity.
    assert np.sqrt(values[0] / values[1]) == pytest.approx(record["bulgefit"][3], abs=0.05)
    assert abs(difference) < 0.1


def test_rotation_turns_knots_and_profile_together():
    galaxy = Galaxy(galsim.Gaussian(sigma=1.0).shear(g1=0.3, g2=0), np.array([[1.0, 0.0]]), 1.0)
    turned = galaxy.rotate(30 * galsim.degrees)
    expected = [np.cos(np.pi / 6), np.sin(np.pi / 6)]
    np.testing.assert_allclose(turned.knots[0], expected, atol=1e-12)
    assert turned.smooth.xValue(*expected) == pytest.approx(galaxy.smooth.xValue(1.0, 0.0))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"use_bulgefit": 1, "flux": [0, 0.0, 5.0, 5]}, 1.0),
        ({"use_bulgefit": 1, "flux": [0, 5.0, 0.0, 5]}, 0.0),
        ({"use_bulgefit": 1, "flux": [0, 1.0, 3.0, 4]}, 0.75),
        ({"use_bulgefit": 0, "sersicfit": [0, 0, 0.5]}, 1.0),
        ({"use_bulgefit": 0, "sersicfit": [0, 0, 2.25]}, 0.5),
        ({"use_bulgefit": 0, "sersicfit": [0, 0, 4.0]}, 0.0),
    ],
)
def test_lateness_runs_from_spheroid_to_disk(record, expected):
    assert lateness(record) == expected


def test_share_and_number_stay_within_the_configured_limits(rng):
    record = {"use_bulgefit": 0, "sersicfit": [0, 0, 1.0], "zphot": 1.0}
    config = KnotsConfig(max_fraction=0.3, min_knots=5, max_knots=50, pivot_redshift=1.0)
    shares, numbers = zip(*(draw_share(record, config, rng) for _ in range(2000)), strict=True)
    assert min(shares) >= 0
    assert 0.19 < max(shares) <= 0.3 * 2 / 3  # (1 + z) / (1 + z + pivot) is 2 / 3 here
    assert min(numbers) >= 5
    assert max(numbers) <= 50


def test_points_are_drawn_as_galsim_draws_delta_functions():
    psf, scale, size = optical_psf(0.03), 0.03, 32
    points = np.array([[0.0, 0.0], [3.3, -5.7], [-9.2, 4.1], [14.0, 14.5]])  # [pixel]
    image = psf.drawKImage(nx=2 * size, ny=2 * size, scale=np.pi / (size * scale))
    drawn = draw_points(points, np.fft.ifftshift(image.array), size)
    knots = galsim.Sum([galsim.DeltaFunction().shift(*(scale * p)) for p in points])
    seen = galsim.Convolve(knots, psf).drawImage(nx=size, ny=size, scale=scale, method="no_pixel")
    # GalSim cuts its transforms at a threshold of 5e-3 of the flux in the folded tails.
    np.testing.assert_allclose(drawn, seen.array, atol=2e-3 * seen.array.max())


def test_points_far_outside_do_not_wrap_into_the_stamp():
    transform = np.ones((64, 64))
    assert not draw_points(np.array([[40.0, 0.0], [0.0, -60.0]]), transform, 32).any()

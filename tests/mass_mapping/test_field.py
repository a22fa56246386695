"""The plane of a map is the one that its FITS header tells."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from galsim_hub.errors import MassMapError
from galsim_hub.mass_mapping import Field, ShearCatalogue, field_around


def at(ra, dec) -> ShearCatalogue:
    zeros = np.zeros(len(ra))
    return ShearCatalogue(ra, dec, zeros, zeros, zeros + 1)


@pytest.mark.parametrize("place", [(150.1, 2.2), (0.02, -45.0), (10.0, 80.0)])
def test_projection_is_that_of_the_header(place):
    field = Field(*place, (200, 300), pixel_scale=0.5)
    rng = np.random.default_rng(3)
    dec = place[1] + rng.uniform(-0.7, 0.7, 50)
    ra = (place[0] + rng.uniform(-1, 1, 50)) % 360
    x, y, _ = field.project(ra, dec)
    np.testing.assert_allclose((x, y), field.wcs().wcs_world2pix(ra, dec, 0), atol=1e-6)
    back = field.to_sky(x, y)
    there = SkyCoord(*back, unit="deg").separation(SkyCoord(ra, dec, unit="deg"))
    assert there.arcsec.max() < 1e-3


def test_angle_of_north_is_that_of_a_small_step_north():
    field = Field(10.0, 75.0, (200, 200), pixel_scale=0.5)
    ra, dec = np.array([12.0, 8.5, 10.0]), np.array([75.3, 74.6, 75.4])
    x, y, north = field.project(ra, dec)
    higher_x, higher_y, _ = field.project(ra, dec + 1e-5)
    np.testing.assert_allclose(north, np.arctan2(higher_x - x, higher_y - y), atol=1e-5)


def test_field_of_a_catalogue_holds_it_with_a_margin_on_both_sides_of_zero():
    field = field_around(at([359.5, 0.3, 0.1], [-1.0, -1.2, -0.4]), pixel_scale=0.5)
    assert min(field.ra, 360 - field.ra) < 0.2
    x, y, _ = field.project([359.5, 0.3], [-1.2, -0.4])
    assert min(x.min(), y.min()) > 10 / 0.5 - 1
    assert field.shape[1] - 1 - x.max() > 10 / 0.5 - 1
    assert field.shape[0] - 1 - y.max() > 10 / 0.5 - 1


def test_centre_and_shape_can_be_chosen():
    field = field_around(at([10.0, 11.0], [0.0, 1.0]), centre=(10.2, 0.3), shape=(100, 50))
    assert (field.ra, field.dec, field.shape) == (10.2, 0.3, (100, 50))


@pytest.mark.parametrize(
    "places", [([10.0, 21.0], [0.0, 0.0]), ([10.0, 190.0], [0.0, 0.0]), ([0.0, 0.0], [-80.0, 80.0])]
)
def test_galaxies_too_far_apart_for_a_plane_are_refused_with_the_limit(places):
    with pytest.raises(MassMapError, match="A flat map may reach 5: choose a part"):
        field_around(at(*places))


def test_part_of_a_wide_catalogue_can_be_mapped():
    field = field_around(at([10.0, 21.0], [0.0, 0.0]), centre=(12.0, 0.0), shape=(96, 96))
    assert field.ra == 12.0


@pytest.mark.parametrize(("shape", "scale"), [((1, 5), 0.3), ((5, 5), 0.0), ((5, 5), np.nan)])
def test_map_without_pixels_is_refused(shape, scale):
    with pytest.raises(MassMapError, match="positive scale"):
        Field(0.0, 0.0, shape, scale)


@pytest.mark.parametrize("centre", [(np.nan, 0.0), (0.0, np.inf), (0.0, 91.0)])
def test_impossible_centre_is_refused(centre):
    with pytest.raises(MassMapError, match="give a centre in degrees"):
        Field(*centre, (10, 10))


def test_map_of_more_pixels_than_fit_is_refused():
    with pytest.raises(MassMapError, match="Choose larger pixels"):
        Field(0.0, 0.0, (32_016, 38_016), 1e-3)

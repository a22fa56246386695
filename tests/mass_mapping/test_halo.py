"""A halo at a known place comes up there, as mass and not as its mirror image or its negative."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from galsim_hub.mass_mapping import field_around, kaiser_squires, make_shear_map

from .conftest import EINSTEIN_RADIUS, seen_from

PLACES = {
    "equator": ((150.0, 2.2), (150.15, 2.05)),
    "both sides of right ascension 0": ((0.0, -10.0), (359.9, -9.9)),
    "far north": ((120.0, 70.0), (120.5, 69.9)),
    "far south": ((200.0, -60.0), (199.8, -60.15)),
}


def map_halo(catalogue, pixel_scale=0.8):
    field = field_around(catalogue, pixel_scale=pixel_scale)
    return field, kaiser_squires(make_shear_map(catalogue, field))


@pytest.mark.parametrize(("centre", "halo"), PLACES.values(), ids=PLACES)
def test_halo_is_the_highest_peak_at_its_place(make_catalogue, centre, halo):
    field, direct = map_halo(make_catalogue(centre, halo))
    y, x = np.unravel_index(np.nanargmax(direct.convergence), field.shape)
    distance, _ = seen_from(*field.to_sky(x, y), *halo)
    assert distance[0] < field.pixel_scale
    assert direct.convergence[y, x] > 20 * direct.noise_std[y, x]


@pytest.mark.parametrize(("centre", "halo"), PLACES.values(), ids=PLACES)
def test_halo_causes_no_b_mode(make_catalogue, centre, halo):
    _, direct = map_halo(make_catalogue(centre, halo))
    # The rest is what the edge of the galaxies cuts from the shear.
    assert np.nanmax(np.abs(direct.b_mode)) < 0.15 * np.nanmax(direct.convergence)


@pytest.mark.parametrize("flip", [{"e1": True}, {"e2": True}, {"e1": True, "e2": True}])
def test_shear_of_another_convention_shows_no_halo(make_catalogue, flip):
    centre, halo = PLACES["equator"]
    catalogue = make_catalogue(centre, halo)
    _, right = map_halo(catalogue)
    field, wrong = map_halo(catalogue.flip(**flip))
    x, y, _ = field.project(*([value] for value in halo))
    at = round(y[0]), round(x[0])
    assert wrong.convergence[at] < 0.3 * right.convergence[at]


def test_convergence_of_the_halo_has_the_amplitude_of_its_shear(make_catalogue):
    halo = (30.0, 0.0)
    field, direct = map_halo(make_catalogue(halo, halo, width=80.0, n=100_000, noise=0.001))
    y, x = np.indices(field.shape)
    distance, _ = seen_from(*field.to_sky(x, y), *halo)
    distance = distance.reshape(field.shape)

    def mean_at(radius):
        return direct.convergence[np.abs(distance - radius) < 0.5].mean()

    # The mean of the field is not known, so that only differences count.
    expected = 0.5 * EINSTEIN_RADIUS * (1 / 4 - 1 / 12)
    assert mean_at(4.0) - mean_at(12.0) == pytest.approx(expected, rel=0.1)


def test_noise_of_the_direct_map_is_its_scatter_without_mass(make_catalogue):
    catalogue = make_catalogue((30.0, 0.0), (30.0, 40.0), noise=0.3)
    _, direct = map_halo(catalogue)
    inner = direct.convergence[20:-20, 20:-20], direct.noise_std[20:-20, 20:-20]
    scatter = np.nanstd(inner[0] / inner[1])
    # About 25 independent patches along each side: sqrt(1 / (2 * 600)) is 3%.
    assert scatter == pytest.approx(1.0, abs=0.12)


def test_ellipticities_of_position_angles_need_both_signs_changed(make_catalogue):
    centre, halo = PLACES["equator"]
    catalogue = make_catalogue(centre, halo)
    distance, bearing = seen_from(catalogue.ra, catalogue.dec, *halo)
    # Stretched across the bearing, whose angle runs from north through east.
    stretch, angle = EINSTEIN_RADIUS / (2 * np.maximum(distance, 0.5)), bearing + np.pi / 2
    components = {"e1": stretch * np.cos(2 * angle), "e2": stretch * np.sin(2 * angle)}
    _, direct = map_halo(dataclasses.replace(catalogue, **components).flip(e1=True, e2=True))
    _, right = map_halo(catalogue)
    assert np.nanmax(direct.convergence) == pytest.approx(np.nanmax(right.convergence), rel=0.1)

"""Isotropy and ring test: a planted direction or a planted shear bias is found."""

import galsim
import numpy as np
import pytest

from training.validation import isotropy
from training.validation.isotropy import ellipticities, isotropy_part, moments
from training.validation.shear import Camera, bias, sersic_like


class Population:
    """Gaussian ellipses of random direction, each stretched by `planted`."""

    quantities = ("flux_radius",)
    pixel_size = 0.03

    def __init__(self, planted: float = 0.0):
        self.planted = planted

    def sample_images(self, table, seeds):
        rng = np.random.default_rng(next(iter(seeds)))
        axis = np.arange(33) - 16.0
        images = []
        for angle in rng.uniform(0, np.pi, len(table["flux_radius"])):
            e1, e2 = 0.3 * np.cos(2 * angle) + self.planted, 0.3 * np.sin(2 * angle)
            matrix = 9.0 * np.array([[1 + e1, e2], [e2, 1 - e1]])
            inverse = np.linalg.inv(matrix)
            x, y = np.meshgrid(axis, axis)
            form = inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2
            images.append(np.exp(-0.5 * form))
        return np.float32(images)


CONDITIONS = np.full((10, 1), 6.0)


def sigmas(part) -> dict[str, float]:
    return {q.key: q.value for q in part.quantities}


def test_population_without_a_direction_has_none():
    values = sigmas(isotropy_part(Population(), CONDITIONS, 600))
    assert all(abs(values[f"isotropy_{k}"]) < 4 for k in ("g1", "g2", "cos4", "sin4"))


def test_planted_direction_is_found():
    values = sigmas(isotropy_part(Population(planted=0.1), CONDITIONS, 600))
    assert values["isotropy_g1"] > 5
    assert abs(values["isotropy_g2"]) < 4


def test_weighted_ellipticity_has_the_sign_and_size_of_the_gaussian():
    image = galsim.Gaussian(sigma=4.0).shear(e1=0.3, e2=-0.2)
    stamp = image.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel").array
    # Under a weight ten times as wide, the moments are the profile's own.
    shape = ellipticities(stamp[None], np.array([40.0]))[0]
    assert (shape.real, shape.imag) == pytest.approx((0.3, -0.2), abs=0.005)


def test_angles_on_the_grid_show_in_the_four_fold_terms():
    on_axes = np.array([0.3, -0.3, 0.3, -0.3], dtype=complex)
    means = {key: values.mean() for key, _, values in moments(on_axes)}
    assert means["g1"] == pytest.approx(0.0)
    assert means["cos4"] == pytest.approx(1.0)


@pytest.fixture(scope="module")
def camera():
    return Camera()


@pytest.mark.parametrize("component", [0, 1])
@pytest.mark.parametrize("number", [0, 3])
def test_shear_of_a_sersic_profile_comes_back(camera, component, number):
    galaxy = sersic_like(number, 0.3)
    # The estimator is exact but for the wings of PSF and galaxy that leave the stamp.
    assert abs(bias(galaxy, component, camera)) < 5e-4


class Stretchy:
    """A galaxy that answers a shear with one that is 1% stronger."""

    def __init__(self, galaxy):
        self.galaxy = galaxy

    def rotate(self, angle):
        return Stretchy(self.galaxy.rotate(angle))

    def shear(self, shear):
        return self.galaxy.shear(g1=1.01 * shear.g1, g2=1.01 * shear.g2)


def test_bias_of_a_shear_that_was_applied_too_strongly_is_found(camera):
    galaxy = sersic_like(1, 0.3)
    found = bias(Stretchy(galaxy), 0, camera) - bias(galaxy, 0, camera)
    assert found == pytest.approx(0.01, abs=1e-4)


def test_batches_go_through_the_conditions_in_turn(monkeypatch):
    monkeypatch.setattr(isotropy, "BATCH", 4)
    conditions = np.arange(3.0)[:, None] + 5.0
    radii = [radii for _, radii in isotropy.batches(Population(), conditions, 7)]
    np.testing.assert_array_equal(np.concatenate(radii), [5, 6, 7, 5, 6, 7, 5])

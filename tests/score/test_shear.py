"""The lensing operator is linear lensing, its adjoint is exact, and its signs are those of maps."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub.errors import ObservationError
from galsim_hub.mass_mapping.kaiser_squires import invert
from galsim_hub.score import KaiserSquires

SHAPES = [(16, 16), (9, 8), (8, 11), (7, 7)]


@pytest.mark.parametrize("shape", SHAPES)
def test_adjoint_is_exact(shape):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, *shape)), rng.standard_normal((2, 2, *shape))
    operator = KaiserSquires(shape)
    left = np.sum(operator.forward(x).numpy() * y)
    right = np.sum(x * operator.adjoint(y).numpy())
    assert left == pytest.approx(right, abs=1e-4)  # of float32 sums over hundreds of numbers


@pytest.mark.parametrize("shape", [(9, 7), (15, 15)])
def test_inversion_of_the_shear_is_the_convergence_but_for_its_mean(shape):
    convergence = np.random.default_rng(2).standard_normal(shape)
    shear = KaiserSquires(shape).forward(convergence[None]).numpy()
    found, b_mode = invert(shear[0].astype(float))
    np.testing.assert_allclose(found, convergence - convergence.mean(), atol=1e-5)
    np.testing.assert_allclose(b_mode, 0.0, atol=1e-5)
    np.testing.assert_allclose(KaiserSquires(shape).adjoint(shear)[0], found, atol=1e-5)


def test_images_are_stretched_around_mass():
    size = 65
    y, x = np.indices((size, size)) - size // 2
    mass = np.exp(-0.5 * (x**2 + y**2) / 4.0).astype(np.float32)
    g1, g2 = KaiserSquires((size, size)).forward(mass[None])[0].numpy()
    middle = size // 2
    assert g1[middle, middle + 10] < -0.01  # beside it, along y
    assert g1[middle + 10, middle] > 0.01  # above it, along x
    assert g2[middle + 8, middle + 8] < -0.01  # across the diagonal x = y
    assert g2[middle + 8, middle - 8] > 0.01


def test_line_of_pixels_is_no_map():
    with pytest.raises(ObservationError, match="two or more pixels"):
        KaiserSquires((1, 8))

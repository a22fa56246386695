"""The analytic base of the decoder, against GalSim's Sersic profiles."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from training.data.pipeline import dihedral
from training.models import base

SIZE = 128


def parameters(radius: float, index: float, g1: float = 0.0, g2: float = 0.0, centre=(0.0, 0.0)):
    """Return the parameters of one component, as `base_parameters` gives them."""
    x, y = centre
    entries = {"x": x, "y": y, "half_light_radius": radius, "g1": g1, "g2": g2, "index": index}
    entries["share"] = 1.0
    return {name: tf.constant([[value]], tf.float32) for name, value in entries.items()}


def profile(*args, size: int = SIZE, **kwargs) -> np.ndarray:
    light = base.softened_sersic(parameters(*args, **kwargs), size)[0, 0].numpy().astype(float)
    return light / light.sum()


def distances(size: int) -> np.ndarray:
    axis = np.arange(size) - (size - 1) / 2
    return np.hypot(*np.meshgrid(axis, axis))


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(("g1", "g2"), [(0.0, 0.0), (0.3, 0.0), (-0.2, 0.4)])
def test_base_has_the_surface_brightness_of_galsims_sersic(index, g1, g2):
    radius = 12.0
    drawn = profile(radius, index, g1, g2)
    shear = galsim.Shear(g1=g1, g2=g2)
    sersic = galsim.Sersic(index, half_light_radius=radius).shear(shear)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    elliptical = np.hypot(*(np.linalg.inv(shear.getMatrix()) @ points.T))
    chosen = np.flatnonzero((elliptical > 4.0) & (elliptical < 24.0))[::11]
    expected = np.array([sersic.xValue(*points[i]) for i in chosen])
    ratio = drawn.ravel()[chosen] / expected
    # One number apart: the base sums to one over the stamp, GalSim's over the plane. Then b(n) is
    # 1% low at n = 0.5 (3% of the light at twice the half-light radius), and the softening of half
    # a pixel moves the exponent at 4 pixels by b / (2 n) (4 / 12)^(1 / n) (1 / 8)^2, under 2%.
    np.testing.assert_allclose(ratio / np.median(ratio), 1.0, atol=0.03)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("radius", [8.0, 16.0])
def test_half_of_the_light_is_within_the_half_light_radius(index, radius):
    light = profile(radius, index, size=256)
    inside = light[distances(256) < radius].sum()
    # Near it the share rises by 0.35 ln r or so. A circle of pixels is uncertain by 1% in area at 8
    # pixels, b(n) by 0.5% in radius, and the stamp cuts less than 1% off.
    assert inside == pytest.approx(0.5, abs=0.015)


def test_softening_bounds_the_cusp_of_a_steep_profile():
    steep = profile(2.0, 4.0)
    assert np.all(np.isfinite(steep))
    inner = steep[63:65, 63:65].sum()
    assert inner < 0.5  # an unsoftened R = 2, n = 4 cusp puts no more than its half-light there


def test_profile_is_centred_where_the_parameters_say():
    light = profile(5.0, 1.0, centre=(2.5, -1.25))
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    centroid = light.sum(axis=0) @ axis, light.sum(axis=1) @ axis
    # Rounding in single precision of exponents up to 40: 1e-4 of the moments.
    np.testing.assert_allclose(centroid, [2.5, -1.25], atol=1e-2)


def test_shear_has_galsims_sign_and_size():
    light = profile(8.0, 0.5, g1=0.2, g2=-0.3)
    moments = galsim.hsm.FindAdaptiveMom(galsim.Image(light)).observed_shape
    # Adaptive moments of a Gaussian (n = 0.5) are exact but for the softening, (0.5 / 8)^2.
    assert moments.g1 == pytest.approx(0.2, abs=5e-3)
    assert moments.g2 == pytest.approx(-0.3, abs=5e-3)


@pytest.mark.parametrize("components", [1, 2, 3])
@pytest.mark.parametrize("spread", [0.0, 3.0, 300.0])
def test_parameters_stay_physical_whatever_the_head_says(components, spread):
    raw = spread * np.random.default_rng(1).normal(size=(50, 7 * components)).astype(np.float32)
    params = base.base_parameters(tf.constant(raw), components)
    np.testing.assert_allclose(tf.reduce_sum(params["share"], axis=1), 1.0, rtol=1e-5)
    assert np.hypot(params["g1"], params["g2"]).max() <= base.MAX_SHEAR * (1 + 1e-6)
    centres = np.stack([params["x"], params["y"]])
    assert np.abs(centres[..., 0]).max() <= base.MAX_OFFSET
    apart = np.abs(centres - centres[..., :1])
    assert np.all(apart <= params["half_light_radius"].numpy()[:, :1] * (1 + 1e-6))
    assert params["index"].numpy().min() >= 0.2 * (1 - 1e-6)
    assert params["index"].numpy().max() <= 6.0 * (1 + 1e-6)
    assert np.all(np.isfinite(base.base_light(tf.constant(raw), 32, components)))


@pytest.mark.parametrize("components", [1, 2])
def test_turned_parameters_make_the_turned_light(components):
    rng = np.random.default_rng(3)
    raw = np.repeat(rng.normal(size=(1, 7 * components)), 8, axis=0).astype(np.float32)
    upright = base.base_light(tf.constant(raw), 32, components)
    turned = base.base_light(base.turn_base(raw, tf.range(8), components), 32, components)
    assert len({image.tobytes() for image in turned.numpy()}) == 8
    # The same numbers in another order: the sums round, and exponents of up to 20 with them.
    np.testing.assert_allclose(turned, dihedral(upright, tf.range(8)), rtol=5e-5)


def test_gradients_stay_finite_at_the_start_and_far_from_it():
    raw = tf.Variable(
        np.concatenate([np.zeros((1, 14)), np.full((1, 14), 20.0)]).astype(np.float32)
    )
    with tf.GradientTape() as tape:
        light = base.base_light(raw, 32, 2)
        value = tf.reduce_sum(light**2)
    assert np.all(np.isfinite(tape.gradient(value, raw)))


def test_mixture_of_unit_profiles_has_unit_flux():
    raw = np.random.default_rng(2).normal(size=(5, 14)).astype(np.float32)
    light = base.base_light(tf.constant(raw), 64, 2).numpy()
    np.testing.assert_allclose(
        light.sum(axis=(1, 2)), 1.0, rtol=1e-4
    )  # shares are softened by 1e-6


@pytest.mark.parametrize("size", [32, 64, 128])
def test_taper_is_one_inside_and_nothing_at_the_edge(size):
    window = base.border_taper(size).numpy()
    radius = distances(size)
    np.testing.assert_allclose(window[radius < size / 2 - 14], 1.0, rtol=1e-6)
    assert window[[0, -1]].max() < 1e-10
    assert window[:, [0, -1]].max() < 1e-10
    assert np.all(np.diff(window[size // 2, size // 2 :]) <= 0)
    np.testing.assert_array_equal(window, window.T)

"""Every operator has the adjoint and the Gram matrix that it says it has."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import FieldError, ObservationError


def half_of_modes(shape):
    return np.random.default_rng(5).random((shape[0], shape[1] // 2 + 1)) < 0.5


def psf(shape):
    return np.random.default_rng(6).random(shape)


OPERATORS = [
    pytest.param(score.Identity(), (6, 7), id="identity"),
    *(
        pytest.param(score.MaskedFourier(half_of_modes(s), s[1]), s, id=f"fourier {s[0]}x{s[1]}")
        for s in ((8, 8), (7, 9), (6, 7), (5, 8))
    ),
    pytest.param(score.Blur(psf((3, 5))), (7, 9), id="blur"),
    pytest.param(score.Blur(psf((5, 3)), 2), (8, 6), id="blur and downsample"),
    pytest.param(score.Blur(psf((9, 9))), (5, 6), id="blur wider than the field"),
]


@pytest.mark.parametrize(("operator", "shape"), OPERATORS)
def test_adjoint_moves_across_the_inner_product(operator, shape, rng):
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    seen = operator.forward(x).numpy()
    y = rng.standard_normal(seen.shape).astype(np.float32)
    back = operator.adjoint(y).numpy()
    assert back.shape == x.shape
    axes = tuple(range(1, y.ndim))
    # Sums of some hundred float32 products of order one to ten.
    np.testing.assert_allclose((seen * y).sum(axes), (x * back).sum((1, 2)), atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize(("operator", "shape"), OPERATORS)
def test_gram_is_what_the_operator_says(operator, shape, rng):
    if operator.gram is None:
        pytest.skip("says that it is no multiple of the identity")
    like = operator.forward(np.zeros((2, *shape), np.float32)).shape
    y = rng.standard_normal(like).astype(np.float32)
    again = operator.forward(operator.adjoint(y)).numpy()
    np.testing.assert_allclose(again, operator.gram * y, atol=1e-5)


def test_all_modes_measured_once_are_the_field(rng):
    operator = score.MaskedFourier(np.ones((6, 4), bool), 6)
    x = rng.standard_normal((1, 6, 6)).astype(np.float32)
    assert operator.n_data == 36
    np.testing.assert_allclose(operator.adjoint(operator.forward(x)), x, atol=1e-5)


def test_a_measured_mode_is_that_of_numpy(rng):
    x = rng.standard_normal((1, 6, 8)).astype(np.float32)
    mask = np.zeros((6, 5), bool)
    mask[2, 3] = True
    mode = np.fft.rfft2(x[0], norm="ortho")[2, 3] * np.sqrt(2)
    got = score.MaskedFourier(mask, 8).forward(x).numpy()[0]
    np.testing.assert_allclose(got, [mode.real, mode.imag], rtol=1e-5)


def test_a_blurred_point_is_the_psf():
    kernel = psf((3, 3)).astype(np.float32)
    x = np.zeros((1, 7, 7), np.float32)
    x[0, 3, 2] = 1.0
    seen = score.Blur(kernel).forward(x).numpy()[0]
    np.testing.assert_allclose(seen[2:5, 1:4], kernel, atol=1e-6)
    assert seen.sum() == pytest.approx(kernel.sum(), rel=1e-5)


def test_downsampling_keeps_the_flux():
    x = np.ones((1, 4, 6), np.float32)
    seen = score.Blur(np.ones((1, 1)), 2).forward(x)
    np.testing.assert_allclose(seen, 4.0 * tf.ones((1, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: score.MaskedFourier(np.zeros((4, 3), bool), 4), "mask"),
        (lambda: score.MaskedFourier(np.ones((4, 4), bool), 4), "mask"),
        (lambda: score.Blur(np.ones((4, 3))), "psf"),
        (lambda: score.Blur(np.full((3, 3), np.nan)), "psf"),
        (lambda: score.Blur(np.ones((3, 3)), 0), "factor"),
        (lambda: score.Blur(np.ones((3, 3)), 1.5), "factor"),
        (lambda: score.Blur("wide"), "psf"),
        (lambda: score.Blur(np.ones((3, 3)), 2).forward(np.ones((1, 5, 4))), "x"),
        (lambda: score.KaiserSquires((16, 16, 2)), "shape"),
        (lambda: score.KaiserSquires((16.5, 16)), "shape"),
        (lambda: score.KaiserSquires((16,)), "shape"),
        (lambda: score.KaiserSquires(16), "shape"),
    ],
)
def test_operator_that_makes_no_sense_is_refused(make, name):
    with pytest.raises(ObservationError) as caught:
        make()
    assert caught.value.name == name


@pytest.mark.parametrize(
    "see",
    [
        lambda: score.MaskedFourier(np.ones((4, 3), bool), 4).forward(np.ones((1, 6, 6))),
        lambda: score.KaiserSquires((4, 4)).forward(np.ones((1, 6, 6))),
        lambda: score.KaiserSquires((4, 4)).adjoint(np.ones((1, 2, 6, 6))),
        lambda: score.Blur(np.ones((3, 3))).forward(np.ones((4, 4))),
        lambda: score.Blur(np.ones((3, 3))).forward(np.ones((1, 2, 4, 4))),
        lambda: score.Blur(np.ones((3, 3))).adjoint(np.ones((4, 4))),
    ],
)
def test_fields_of_another_size_are_refused(see):
    with pytest.raises(FieldError):
        see()


def test_factor_may_be_a_whole_number_of_numpy():
    seen = score.Blur(np.ones((1, 1)), np.int64(2)).forward(np.ones((1, 4, 4)))
    np.testing.assert_allclose(seen, np.full((1, 2, 2), 4.0), rtol=1e-6)


@pytest.mark.parametrize(("operator", "shape"), OPERATORS)
def test_precision_of_a_tensor_does_not_matter(operator, shape, rng):
    x = tf.constant(rng.standard_normal((2, *shape)), tf.float64)
    seen = operator.forward(x)
    np.testing.assert_array_equal(seen, operator.forward(x.numpy()))
    y = tf.cast(seen, tf.float64)
    np.testing.assert_array_equal(operator.adjoint(y), operator.adjoint(y.numpy()))


def test_masked_fields_are_refused():
    with pytest.raises(FieldError, match="Fill them"):
        score.Identity().forward(np.ma.masked_less([[[-1.0, 0.0]]], 0.0))

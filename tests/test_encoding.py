"""Images, PSFs and variances become what an encoder takes."""

from __future__ import annotations

import galsim
import numpy as np
import pytest

from galsim_hub.encoding import Posterior, image_stamps, pixel_masks, psf_stamps, variances
from galsim_hub.errors import ImageError, RandomDeviateError


@pytest.fixture
def spec(model):
    """Give the card of the analytic module."""
    return model.spec


def _centroid(stamp):
    y, x = np.indices(stamp.shape) - (stamp.shape[0] - 1) / 2
    return (x * stamp).sum() / stamp.sum(), (y * stamp).sum() / stamp.sum()


@pytest.mark.parametrize("shape", [(64, 64), (128, 128), (200, 200), (200, 64)])
def test_an_image_of_any_even_size_keeps_its_true_centre(spec, shape):
    image = galsim.Image(shape[1], shape[0], scale=0.03)
    galsim.Gaussian(sigma=0.1).drawImage(image)
    (stamp,) = image_stamps([image], spec)
    assert stamp.shape == (128, 128)
    assert stamp.dtype == np.float32
    np.testing.assert_allclose(_centroid(stamp), 0, atol=1e-5)


def test_an_odd_image_lands_half_a_pixel_low(spec):
    image = galsim.Gaussian(sigma=0.1).drawImage(nx=65, ny=65, scale=0.03)
    np.testing.assert_allclose(_centroid(image_stamps([image], spec)[0]), -0.5, atol=1e-5)


def test_pixels_are_neither_moved_nor_scaled(spec):
    image = galsim.Image(np.arange(16.0).reshape(4, 4), scale=0.03)
    (stamp,) = image_stamps([image], spec)
    np.testing.assert_array_equal(stamp[62:66, 62:66], image.array)
    assert stamp.sum() == image.array.sum()


def test_any_wcs_of_the_right_scale_will_do(spec):
    turned = galsim.JacobianWCS(0, -0.03, 0.03, 0)
    assert image_stamps([galsim.Image(64, 64, wcs=turned)], spec).shape == (1, 128, 128)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (galsim.Image(64, 64, scale=0.2), r"scale is 0\.2 arcsec.*works at 0\.03.*Resample"),
        (galsim.Image(64, 64, wcs=galsim.JacobianWCS(0.03, 0.02, 0, 0.03)), "pixel scale is"),
        (galsim.Image(64, 64), r"no pixel scale.*Set image\.scale"),
        (galsim.Image(np.full((64, 64), np.nan), scale=0.03), "NaN or infinite"),
        (np.zeros((64, 64)), r"galsim\.Image or a list.*got ndarray"),
    ],
)
def test_an_image_that_cannot_be_encoded_says_why(spec, image, message):
    with pytest.raises(ImageError, match=message):
        image_stamps([image], spec)


def test_a_psf_is_drawn_centred_with_sum_one(spec):
    (stamp,) = psf_stamps(galsim.Moffat(beta=3, fwhm=0.1, flux=7), 1, spec)
    assert stamp.shape == (spec.psf_size, spec.psf_size)
    np.testing.assert_allclose(stamp.sum(), 1, rtol=1e-6)
    assert np.unravel_index(stamp.argmax(), stamp.shape) == (spec.psf_size // 2,) * 2


def test_a_psf_that_is_no_profile_is_refused(spec):
    with pytest.raises(ImageError, match=r"must be a galsim\.GSObject.*InterpolatedImage"):
        psf_stamps([galsim.Image(33, 33, scale=0.03)], 1, spec)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_as_many_psfs_as_images_are_asked_for(spec, n):
    with pytest.raises(ImageError, match=f"2 PSFs for {n} images. Give one for all, or one each"):
        psf_stamps([galsim.Gaussian(sigma=0.1)] * 2, n, spec)


def test_one_variance_counts_for_every_image():
    np.testing.assert_array_equal(variances(2.0, 3), [2, 2, 2])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, [1.0, 2.0], [1.0, -2.0, 1.0]])
def test_a_bad_variance_is_refused(bad):
    with pytest.raises(ImageError, match="noise_variance must be"):
        variances(bad, 3)


def test_one_mask_counts_for_every_image():
    mask = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(pixel_masks(mask, (2, 4, 4)), [mask, mask])
    assert pixel_masks(None, (2, 4, 4)).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.ones((3, 3)), "the stamps' shape"), (np.zeros((4, 4)), "without a pixel")],
)
def test_a_mask_that_cannot_be_used_is_refused(bad, message):
    with pytest.raises(ImageError, match=message):
        pixel_masks(bad, (2, 4, 4))


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_a_posterior_is_sampled_with_galsims_rng(rng, shape):
    mean, scale = np.full(shape, 2, np.float32), np.full(shape, 0.5, np.float32)
    posterior = Posterior(mean, scale)
    draws = posterior.sample(2000, rng)
    assert draws.shape == (2000, *shape)
    assert draws.dtype == np.float32
    # Five standard errors of 2000 draws.
    np.testing.assert_allclose(draws.mean(axis=0), 2, atol=5 * 0.5 / np.sqrt(2000))
    np.testing.assert_allclose(draws.std(axis=0), 0.5, rtol=5 / np.sqrt(4000))


def test_a_posterior_draws_the_same_from_the_same_rng(rng):
    posterior = Posterior(np.zeros(4, np.float32), np.ones(4, np.float32))
    twin = rng.duplicate()
    assert (posterior.sample(3, rng) == posterior.sample(3, twin)).all()


def test_a_posterior_refuses_an_rng_that_is_not_galsims():
    posterior = Posterior(np.zeros(4, np.float32), np.ones(4, np.float32))
    with pytest.raises(RandomDeviateError):
        posterior.sample(1, np.random.default_rng(1))

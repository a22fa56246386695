"""Blends come apart as an exact prior says, and GalSim agrees with what a scene shows."""

from __future__ import annotations

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import ObservationError, SamplingError
from galsim_hub.score.observed_scene import observe
from galsim_hub.score.scene import Scene, SceneLikelihood, ScenePrior

SIDE, IMAGE, SCALE, SMOOTHING = 16, 24, 0.1, 0.1
PSF = galsim.Gaussian(fwhm=0.25)
CENTRES = np.array([[9.0, 11.4], [14.2, 12.0]])
NOISE = 0.02


class RoundGalaxies:
    """Know independent pixels, brighter in the middle: the posterior is linear algebra."""

    event_shape = (SIDE, SIDE)
    pixel_scale, smoothing = SCALE, SMOOTHING
    sigma_range = (1e-4, 3.0)

    def __init__(self) -> None:
        place = np.arange(SIDE) - 0.5 * (SIDE - 1)
        self.spread = (0.1 * np.exp(-np.hypot(place[:, None], place) / 2.0)).astype(np.float32)
        self.std = float(np.sqrt(np.mean(self.spread**2)))

    def __repr__(self) -> str:
        return "RoundGalaxies()"

    def score(self, x, sigma):
        """Return the score."""
        sigma = tf.reshape(tf.cast(sigma, tf.float32), [-1, 1, 1])
        return -tf.convert_to_tensor(x, tf.float32) / (self.spread**2 + sigma**2)

    def denoise(self, x, sigma):
        """Return the mean of clean stamps."""
        return x + tf.cast(sigma, tf.float32) ** 2 * self.score(x, sigma)


def thin_psf(angle):
    """Return a PSF that is wider than the prior's smoothing along one direction only."""
    thin = galsim.Gaussian(fwhm=2 * SMOOTHING).shear(q=0.2, beta=0.0 * galsim.degrees)
    return thin.rotate(angle * galsim.degrees)


@pytest.fixture(scope="module")
def stamps():
    """Give the prior."""
    return RoundGalaxies()


def see(image, psf=PSF, noise=NOISE, centres=CENTRES, prior=None, pixel_scale=None, mask=None):
    """Check an observation as deblend does."""
    prior = prior or RoundGalaxies()
    return observe(image, psf, noise, centres, prior, pixel_scale=pixel_scale, mask=mask)


def draw(profile, centre, n, scale, offset=(0.0, 0.0)):
    """Draw a profile with its centre on a pixel's coordinates."""
    offset = np.asarray(centre) - 0.5 * (n - 1) + offset
    return profile.drawImage(nx=n, ny=n, scale=scale, offset=tuple(offset), dtype=float).array


@pytest.mark.parametrize("factor", [1, 2])
def test_scene_shows_what_galsim_draws(stamps, factor):
    profiles = [galsim.Gaussian(sigma=0.15), galsim.Gaussian(sigma=0.2).shear(g1=0.3)]
    fluxes = np.array([2.0, 0.7])
    scene = see(np.zeros((IMAGE, IMAGE)), pixel_scale=factor * SCALE).scene(fluxes)
    expected = [
        draw(galsim.Convolve(p, PSF).withFlux(flux), centre, IMAGE, factor * SCALE)
        for p, flux, centre in zip(profiles, fluxes, CENTRES, strict=True)
    ]
    smoothed = [galsim.Convolve(p, galsim.Gaussian(fwhm=SMOOTHING)) for p in profiles]
    middle = 0.5 * (SIDE - 1)
    fields = [
        draw(p, (middle, middle), SIDE, SCALE, offset)
        for p, offset in zip(smoothed, scene.offsets, strict=True)
    ]
    each = scene.forward_each(np.array(fields)).numpy()
    # Light beyond the stamp is missing, and fields are not quite band-limited on their pixels.
    np.testing.assert_allclose(each, expected, atol=5e-3 * np.max(expected))
    whole = scene.forward(np.array(fields)[None]).numpy()[0]
    np.testing.assert_allclose(whole, each.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("factor", [1, 2])
def test_adjoint_of_a_scene_is_its_adjoint(factor, rng):
    centres = [[0.0, 1.0], [5.3, 20.9]]  # stamps reach beyond the image
    seen = see(np.zeros((22, IMAGE)), centres=centres, pixel_scale=factor * SCALE)
    scene = seen.scene([1.0, 3.0])
    x = rng.standard_normal((3, 2, SIDE, SIDE)).astype(np.float32)
    y = rng.standard_normal((3, 22, IMAGE)).astype(np.float32)
    forth = np.sum(scene.forward(x).numpy() * y, axis=(1, 2))
    back = np.sum(x * scene.adjoint(y).numpy(), axis=(1, 2, 3))
    np.testing.assert_allclose(forth, back, rtol=2e-4, atol=1e-3)


@pytest.fixture(scope="module")
def blend(stamps):
    """Give noisy data of two galaxies of the prior, and the exact posterior's mean and width."""
    rng = np.random.default_rng(5)
    scene = see(np.zeros((IMAGE, IMAGE))).scene(np.ones(2))
    truth = stamps.spread * rng.standard_normal((1, 2, SIDE, SIDE)).astype(np.float32)
    truth = truth + stamps.spread  # so that fluxes are positive, as the scales of units are
    image = scene.forward(truth).numpy()[0] + NOISE * rng.standard_normal((IMAGE, IMAGE))
    basis = np.eye(2 * SIDE**2, dtype=np.float32).reshape(-1, 2, SIDE, SIDE)
    design = scene.forward(basis).numpy().reshape(2 * SIDE**2, -1)
    return image, design.astype(float)


def exact(stamps, design, image, scales):
    """Return mean and covariance of the posterior, for a prior in units of scales."""
    spread = (stamps.spread * scales[:, None, None]).ravel().astype(float)
    precision = design @ design.T / NOISE**2 + np.diag(spread**-2.0)
    covariance = np.linalg.inv(precision)
    return (covariance @ design @ image.ravel() / NOISE**2).reshape(2, SIDE, SIDE), covariance


def test_mode_of_slow_cooling_is_that_of_linear_algebra(stamps, blend):
    image, design = blend
    found = score.deblend(
        image, PSF, NOISE, CENTRES, seed=3, prior=stamps, n_samples=0, n_levels=300
    )
    mean, _ = exact(stamps, design, image, see(image).rough_fluxes())
    seen, expected = found.images(), found.images(mean)
    assert np.linalg.norm(seen - expected) < 0.03 * np.linalg.norm(expected)


def test_samples_have_the_fluxes_and_errors_of_linear_algebra(stamps, blend):
    image, design = blend
    found = score.deblend(image, PSF, NOISE, CENTRES, seed=3, prior=stamps, n_samples=24)
    mean, covariance = exact(stamps, design, image, see(image).rough_fluxes())
    totals = np.kron(np.eye(2), np.ones(SIDE**2))
    error = np.sqrt(np.diag(totals @ covariance @ totals.T))
    # 24 chains: the mean is within 4 of its own errors, a width within 4 x 1/sqrt(2 x 24).
    assert np.all(np.abs(found.fluxes - mean.sum(axis=(1, 2))) < 4 * error / np.sqrt(24))
    np.testing.assert_allclose(found.flux_errors / error, 1.0, atol=0.58)
    np.testing.assert_array_equal(found.sources, found.samples.mean(axis=0))


def test_masked_pixels_may_be_anything(stamps, blend):
    image, mask = blend[0].copy(), np.ones((IMAGE, IMAGE), bool)
    mask[:3] = False
    runs = []
    for rubbish in (np.nan, 1e6):
        image[:3] = rubbish
        found = score.deblend(
            galsim.Image(image, scale=SCALE),
            PSF,
            np.full_like(image, NOISE),
            CENTRES,
            seed=1,
            prior=stamps,
            mask=mask,
            n_samples=0,
        )
        runs.append(found.most_probable)
    np.testing.assert_array_equal(*runs)
    assert np.isfinite(runs[0]).all()
    assert np.isnan(found.flux_errors).all()


def test_psf_given_as_pixels_is_that_of_the_profile():
    drawn = PSF.drawImage(nx=21, ny=21, scale=SCALE, method="no_pixel", dtype=float)
    kernels = [see(np.zeros((IMAGE, IMAGE)), psf=psf).kernel for psf in (PSF, drawn, drawn.array)]
    half = [k[tuple(slice(n // 2 - 4, n // 2 + 5) for n in k.shape)] for k in kernels]
    np.testing.assert_allclose(half[1], half[0], atol=2e-3 * half[0].max())
    np.testing.assert_array_equal(half[1], half[2])


def test_fluxes_are_guessed_from_round_templates():
    profiles = [galsim.Exponential(half_light_radius=0.2, flux=f) for f in (30.0, 10.0)]
    image = sum(
        draw(galsim.Convolve(p, PSF), centre, IMAGE, SCALE)
        for p, centre in zip(profiles, CENTRES, strict=True)
    )
    np.testing.assert_allclose(see(image).rough_fluxes(), [30.0, 10.0], rtol=0.5)
    assert np.all(see(0.0 * image).rough_fluxes() > 0)  # an empty image still has units


def test_likelihood_without_annealing_is_chi2(rng):
    seen = see(np.zeros((IMAGE, IMAGE)))
    scene = seen.scene(np.ones(2))
    noise = NOISE * rng.uniform(0.5, 2.0, (IMAGE, IMAGE))
    mask = rng.random((IMAGE, IMAGE)) < 0.8
    likelihood = SceneLikelihood(scene, rng.standard_normal((IMAGE, IMAGE)), noise, mask)
    x = 0.1 * rng.standard_normal((2, 2, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_allclose(likelihood.log_prob(x), -0.5 * likelihood.chi2(x), rtol=1e-4)


def test_likelihood_score_is_the_gradient_at_every_level(rng):
    scene = see(np.zeros((IMAGE, IMAGE))).scene([1.0, 2.0])
    mask = rng.random((IMAGE, IMAGE)) < 0.8
    likelihood = SceneLikelihood(scene, rng.standard_normal((IMAGE, IMAGE)), 0.3, mask)
    x = tf.constant(rng.standard_normal((1, 2, SIDE, SIDE)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = likelihood.log_prob(x, 0.2)
    slope = tape.gradient(value, x).numpy()
    np.testing.assert_allclose(
        likelihood.score(x, 0.2), slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max()
    )


@pytest.mark.parametrize("bright", [1.0, 100.0])
@pytest.mark.parametrize("depth", [1.0, 4.0])  # of a part of the image
def test_nothing_is_sharper_than_the_noise_on_the_fields(bright, depth):
    """Or steps measured by that noise would not be stable: a wide PSF leaves most modes nothing."""
    seen = see(np.zeros((IMAGE, IMAGE)), psf=galsim.Moffat(3.5, fwhm=0.7), pixel_scale=2 * SCALE)
    noise = np.full((IMAGE, IMAGE), NOISE)
    noise[:, IMAGE // 2 :] /= depth
    scene = seen.scene([3.0 * bright, 2.0 * bright])
    likelihood = SceneLikelihood(scene, np.zeros((IMAGE, IMAGE)), noise)
    for sigma in (1e-3, 0.1):
        x = tf.random.stateless_normal((1, 2, SIDE, SIDE), [1, 2])
        for _ in range(30):
            x = -likelihood.score(x / tf.norm(x), sigma)
        assert sigma**2 * tf.norm(x) < 1.5


def test_prior_of_a_scene_is_that_of_each_source(stamps, rng):
    x = rng.standard_normal((2, 3, SIDE, SIDE)).astype(np.float32)
    whole = ScenePrior(stamps).score(x, 0.1).numpy()
    np.testing.assert_array_equal(whole[1], stamps.score(x[1], 0.1))
    assert ScenePrior(stamps).gaussian(x.shape[1:]) is None


GOOD = np.zeros((IMAGE, IMAGE))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"centres": [[3.0, 30.0]]}, "cut a larger image"),
        ({"centres": [[np.nan, 3.0]]}, "counted from 0"),
        ({"centres": [1.0, 2.0]}, r"shape \(sources, 2\)"),
        ({"centres": [[3.0, 4.0], [9.0, 9.0], [3.2, 4.1]]}, "0 and 2 are 0.22 pixels apart"),
        ({"psf": np.ones((31, 31))}, "Crop the PSF"),
        ({"psf": np.pad(np.ones((3, 3)), ((0, 4), (2, 2)))}, "Draw it in the middle"),
        ({"psf": np.ones((8, 8))}, "odd nx and ny"),
        ({"psf": np.full((9, 9), np.nan)}, "Interpolate over"),
        ({"psf": galsim.Gaussian(fwhm=0.05)}, "Convolve image and PSF"),
        ({"psf": thin_psf(0.0)}, "Convolve image and PSF"),
        ({"psf": thin_psf(45.0)}, "Convolve image and PSF"),
        ({"psf": thin_psf(90.0)}, "Convolve image and PSF"),
        ({"psf": PSF.shift(0.3, 0.0)}, "shift a GSObject by its centroid"),
        ({"image": np.full((IMAGE, IMAGE), np.nan)}, "Set mask to False"),
        ({"image": np.zeros(IMAGE)}, "two axes"),
        ({"noise": 0.0}, "above zero"),
        ({"noise": np.ones(3)}, "Give one number"),
        ({"noise": np.nan}, "Set mask to False"),
        ({"mask": np.zeros((IMAGE, IMAGE))}, "masked"),
        ({"pixel_scale": 0.13}, "Resample"),
        ({"pixel_scale": 0.0}, "Resample"),
        ({"pixel_scale": np.nan}, "Resample"),
        ({"noise": "low"}, "noise_std holds what is no number"),
        ({"noise": galsim.Image(np.ones((3, 3)))}, "a map of the image's shape"),
        ({"centres": "middle"}, "centres must be pairs of numbers"),
        ({"centres": [galsim.PositionD(3.0, 4.0)]}, r"p\.x - image\.xmin"),
        ({"centres": galsim.PositionD(3.0, 4.0)}, r"p\.x - image\.xmin"),
        ({"image": "blend.fits"}, "image holds what is no number"),
        ({"psf": 0.0 * PSF}, "flux above zero"),
        ({"psf": PSF * galsim.SED("vega.txt", "nm", "flambda")}, "evaluateAtWavelength"),
        ({"psf": galsim.ChromaticAtmosphere(PSF, 500.0, zenith_angle=0 * galsim.degrees)}, "nm"),
        ({"psf": "moffat"}, "psf holds what is no number"),
        (
            {"psf": galsim.Image(np.ones((3, 3)), scale=0.2)},
            "The PSF has pixels of 0.2 arcsec, the prior of 0.1 arcsec",
        ),
        (
            {"psf": galsim.Image(np.ones((3, 3)), wcs=galsim.JacobianWCS(0.2, 0.0, 0.0, 0.2))},
            "give psf.array",
        ),
        ({"mask": "all"}, "mask holds what is no number"),
        ({"mask": galsim.Image(np.zeros((IMAGE, IMAGE)))}, "Every pixel is masked"),
        ({"mask": np.ones(3)}, "Give one of the image's shape"),
        (
            {"image": galsim.Image(GOOD, wcs=galsim.JacobianWCS(0.2, 0.0, 0.0, 0.2))},
            r"Give pixel_scale \[arcsec\]",
        ),
        ({"prior": score.ScorePrior("hub:two_moons_score")}, "hub:galaxy_score"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(changes, remedy):
    with pytest.raises(ObservationError, match=remedy):
        see(**{"image": GOOD} | changes)


def test_masked_array_brings_its_mask():
    spoiled = np.ma.masked_array(GOOD.copy(), mask=False)
    spoiled.data[2, 3] = np.nan
    spoiled[2, 3] = np.ma.masked
    scene = see(image=spoiled)
    assert not scene.mask[2, 3]
    assert scene.mask.sum() == GOOD.size - 1


def test_images_of_galsim_are_their_arrays(rng):
    noise = NOISE * rng.uniform(0.5, 2.0, GOOD.shape)
    mask = (rng.random(GOOD.shape) < 0.8).astype(np.int16)
    images = see(GOOD, noise=galsim.Image(noise), mask=galsim.Image(mask))
    np.testing.assert_array_equal(images.mask, mask > 0)
    np.testing.assert_array_equal(images.noise_std[images.mask], noise[images.mask])


def test_psf_without_a_scale_is_on_the_pixels_of_the_prior():
    drawn = PSF.drawImage(nx=21, ny=21, scale=SCALE, method="no_pixel", dtype=float)
    kernels = [see(GOOD, psf=psf).kernel for psf in (drawn, galsim.Image(drawn.array))]
    np.testing.assert_array_equal(*kernels)


def test_number_of_samples_must_be_one(stamps):
    with pytest.raises(SamplingError, match="n_samples"):
        score.deblend(GOOD, PSF, NOISE, CENTRES, seed=1, prior=stamps, n_samples=-1)


def test_scene_puts_a_source_where_its_centre_is():
    scene = Scene(np.ones((1, 1)), [[4.0, 7.0]], (12, 10), 5)
    x = np.zeros((1, 1, 5, 5), np.float32)
    x[0, 0, 2, 2] = 1.0
    assert scene.forward(x).numpy()[0, 7, 4] == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(scene.offsets, [[0.0, 0.0]], atol=1e-12)

"""Morphology: what is segmented is the galaxy, and failures are NaN."""

import galsim
import numpy as np
import pytest

from training.data.noise import draw_noise
from training.errors import MissingExtraError
from training.validation import morphology
from training.validation.morphology import FIELDS, central, measure, segmentation

pytest.importorskip("statmorph")
VARIANCE = 7e-6


def make_stamp(profile: galsim.GSObject | None, seed: int = 1) -> np.ndarray:
    noise = galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(seed)).withVariance(VARIANCE)
    image = draw_noise(noise, 128, 0.03)
    if profile is not None:
        seen = galsim.Convolve(profile, galsim.Gaussian(fwhm=0.1))
        image = image + seen.drawImage(nx=128, ny=128, scale=0.03, dtype=float).array
    return image


@pytest.fixture(scope="module")
def spiral_free():
    return galsim.Exponential(half_light_radius=0.3, flux=20.0)


def test_threshold_is_set_on_the_smoothed_correlated_noise():
    scipy_ndimage = pytest.importorskip("scipy.ndimage")
    smooth = [
        scipy_ndimage.uniform_filter(make_stamp(None, seed), morphology.SMOOTHING)[8:-8, 8:-8]
        for seed in range(1, 30)
    ]
    # 29 stamps of 125 independent patches or more: good to 3%; white noise would give 0.04.
    share = np.var(smooth) / VARIANCE
    assert morphology.smoothed_noise_share() == pytest.approx(share, rel=0.1)


def test_segment_is_the_galaxy_and_nothing_apart_from_it(spiral_free):
    neighbour = galsim.Exponential(half_light_radius=0.1, flux=20.0).shift(0.75, 0.75)
    image = central(make_stamp(spiral_free + neighbour))
    segment = segmentation(image, VARIANCE)
    assert segment[32, 32]
    alone = segmentation(central(make_stamp(spiral_free)), VARIANCE)
    assert np.mean(segment[alone]) > 0.95
    assert 300 < alone.sum() < 3000


def test_empty_stamp_has_no_morphology():
    stamp = np.zeros((128, 128))
    assert segmentation(central(stamp), VARIANCE) is None
    assert all(np.isnan(value) for value in measure(stamp, VARIANCE).values())


def test_concentrated_galaxy_is_more_concentrated_than_a_disk(spiral_free):
    disk = measure(make_stamp(spiral_free), VARIANCE)
    spheroid = measure(make_stamp(galsim.DeVaucouleurs(0.3, flux=20.0)), VARIANCE)
    assert set(disk) == set(FIELDS)
    assert spheroid["C"] > disk["C"] + 0.3
    assert spheroid["gini"] > disk["gini"]
    assert spheroid["m20"] < disk["m20"]


def test_two_clumps_have_a_large_second_mode(spiral_free):
    clump = galsim.Gaussian(sigma=0.06, flux=6.0)
    clumpy = spiral_free + clump.shift(0.25, 0.0) + clump.shift(-0.25, 0.0)
    plain, found = (measure(make_stamp(p), VARIANCE) for p in (spiral_free, clumpy))
    assert found["I"] > plain["I"] + 0.3
    assert found["M"] > plain["M"]


def test_missing_statmorph_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"\[validate\]"):
        morphology.require_statmorph()

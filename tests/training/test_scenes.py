"""Generated galaxies are observed as the data were: same conditions, PSF and noise."""

import galsim
import numpy as np
import pytest

import galsim_hub
from training.data.pipeline import StampSet
from training.validation.scenes import observe, scenes

CARD_INPUTS = ("flux_radius", "mag_auto", "zphot")


@pytest.fixture(scope="module")
def drawn(trained, module_folder):
    model = galsim_hub.GenerativeGalaxyModel(module_folder, on_extrapolate="ignore")
    stamps = StampSet(trained.data.directory)
    return model, stamps, list(scenes(model, stamps, "validation", 100))


def test_scenes_pair_every_stamp_of_a_split_with_a_galaxy_of_its_conditions(drawn):
    _, stamps, pairs = drawn
    batch = next(iter(stamps.ordered("validation", 64)))
    assert len(pairs) == stamps.count("validation")
    for i, pair in enumerate(pairs):
        np.testing.assert_array_equal(pair.conditions, batch["conditions"][i])
        np.testing.assert_array_equal(pair.data, batch["image"][i])
        np.testing.assert_array_equal(pair.psf, batch["psf"][i])


def test_scenes_are_the_same_every_time(drawn):
    model, stamps, pairs = drawn
    again = list(scenes(model, stamps, "validation", 3))
    assert len(again) == 3
    for one, other in zip(again, pairs, strict=False):
        np.testing.assert_array_equal(one.generated, other.generated)


def test_observed_galaxy_is_the_convolved_one_and_noise_of_the_stated_variance(drawn):
    model, _, pairs = drawn
    galaxy = model.sample(
        {k: [v] for k, v in zip(CARD_INPUTS, pairs[0].conditions, strict=True)}, seeds=[1]
    )[0]
    draws = np.array(
        [
            observe(
                galaxy,
                pairs[0].psf,
                1e-4,
                galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(k + 1)),
                model,
            )
            for k in range(40)
        ]
    )
    exact = galsim.Convolve(
        galaxy,
        galsim.InterpolatedImage(galsim.Image(pairs[0].psf.astype(float), scale=0.03), flux=1),
    ).drawImage(nx=32, ny=32, scale=0.03, method="no_pixel")
    # 40 draws of noise 0.01: their mean is good to 0.0016 a pixel; 5 sigma of 1024 pixels.
    np.testing.assert_allclose(draws.mean(axis=0), exact.array, atol=0.0085)
    assert draws.var(axis=0).mean() == pytest.approx(1e-4, rel=0.1)

"""Under a network that knows a Gaussian's score, the sampler finds the Gaussian's posterior."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from astropy.io import fits
from astropy.table import Table

from galsim_hub.cli import main
from galsim_hub.errors import FieldError, MassMapError
from galsim_hub.mass_mapping import (
    Field,
    GaussianPosterior,
    ShearMap,
    SpectrumTable,
    make_shear_map,
    map_mass,
)
from galsim_hub.registry import ModuleLocation
from tests.conftest import write_card

VARIANCE = 0.04  # of a pixel
SIDE = 16
CARD = {
    "spec_version": 1,
    "name": "white_score",
    "version": 1,
    "kind": "score_prior",
    "summary": "The score of white noise, for tests",
    "licence": "MIT",
    "created": "2026-11-22",
    "authors": ["galsim_hub developers"],
    "inputs": [],
    "random_input": None,
    "pixel_size": 60.0,
    "prior": {
        "event_shape": [None, None],
        "multiple_of": 8,
        "std": VARIANCE**0.5,
        "sigma": [0.01, 1.0],
        "power": {"wavenumber": [0.01, 5.0], "power": [VARIANCE, VARIANCE]},
    },
    "signatures": ["score"],
}


@pytest.fixture(scope="module")
def white_module(tmp_path_factory):
    """Save a module whose network is -x / (variance + sigma^2)."""
    folder = tmp_path_factory.mktemp("hub_modules") / "white_score" / "1"
    module = tf.Module()
    module.variance = tf.Variable(VARIANCE)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.float32),
            tf.TensorSpec([None], tf.float32),
        ]
    )
    def score(x, sigma):
        return {"score": -x / (module.variance + sigma[:, None, None] ** 2)}

    module.score = score
    tf.saved_model.save(module, str(folder), signatures={"score": score})
    write_card(folder, CARD)
    return str(folder)


def shear_map(side: int = SIDE, pixel_scale: float = 1.0) -> ShearMap:
    rng = np.random.default_rng(4)
    counts = rng.integers(1, 5, (side, side))
    counts[3:6, 7:11] = 0
    with np.errstate(divide="ignore"):
        std = 0.3 / np.sqrt(counts)
    shear = np.where(counts > 0, 0.2 * rng.standard_normal((2, side, side)), 0.0)
    return ShearMap(Field(0.0, 0.0, (side, side), pixel_scale), shear, std, counts)


WHITE = SpectrumTable([10.0, 1e5], [VARIANCE * np.radians(1 / 60) ** 2] * 2)


def test_mean_and_scatter_are_those_of_the_exact_posterior(white_module):
    data, n = shear_map(), 48
    maps = map_mass(data, WHITE, prior=white_module, n_samples=n, seed=2)
    exact = GaussianPosterior(data, WHITE.of_modes(data.field))
    drawn = np.stack([exact.sample(5, i) for i in range(200)])
    pulls = [
        np.sqrt(np.mean(((mean - maps.wiener) / (drawn.std(axis=0) / np.sqrt(n))) ** 2))
        for mean in (maps.samples.mean(axis=0), maps.mean)
    ]
    # 256 numbers, their scatter known to 5%: one but for that and for what they have in common.
    assert pulls[0] == pytest.approx(1.0, abs=0.2)
    assert pulls[1] < 0.9 * pulls[0]  # the sampler knows the mean of what it draws from
    assert np.mean(maps.std) == pytest.approx(drawn.std(axis=0).mean(), rel=0.05)
    assert maps.diagnostics["chi2"].shape[-1] == n


def test_map_of_other_pixels_is_refused(white_module):
    with pytest.raises(FieldError, match="pixels of 60 arcsec"):
        map_mass(shear_map(pixel_scale=0.5), WHITE, prior=white_module, n_samples=2)


def test_map_of_sides_that_the_network_cannot_take_is_refused(white_module):
    with pytest.raises(MassMapError, match="multiples of 8 pixels, this one has 20x20"):
        map_mass(shear_map(side=20), WHITE, prior=white_module, n_samples=2)


def test_field_wider_than_a_patch_has_the_same_posterior(white_module, monkeypatch):
    data = shear_map(side=24)
    whole = map_mass(data, WHITE, prior=white_module, n_samples=3, seed=2)
    monkeypatch.setattr("galsim_hub.mass_mapping.posterior.PATCH", 16)
    monkeypatch.setattr("galsim_hub.mass_mapping.posterior.OVERLAP", 4)
    patched = map_mass(data, WHITE, prior=white_module, n_samples=3, seed=2)
    # The same random numbers, and under white noise what a patch says is what the whole field says.
    np.testing.assert_allclose(patched.samples, whole.samples, atol=1e-4)
    # Sides need not be multiples of anything where patches are.
    wide = map_mass(shear_map(side=20), WHITE, prior=white_module, n_samples=2)
    assert wide.samples.shape == (2, 20, 20)


def test_catalogue_of_one_halo_shows_it_under_a_learned_prior(make_catalogue, white_module):
    halo = (30.0, 0.0)
    field = Field(*halo, (40, 40), 1.0)
    data = make_shear_map(make_catalogue(halo, halo, width=30.0, n=10_000, noise=0.2), field)
    mean = map_mass(data, WHITE, prior=white_module, n_samples=4, seed=1).mean
    y, x = np.unravel_index(np.argmax(mean), mean.shape)
    assert np.hypot(y - 19.5, x - 19.5) < 1.5


def test_header_says_the_prior_whatever_its_letters(white_module, tmp_path):
    folder = tmp_path / "kapp\u00e9\n"
    shutil.copytree(white_module, folder)
    maps = map_mass(shear_map(), WHITE, prior=str(folder), n_samples=2)
    header = fits.getheader(maps.write(tmp_path / "maps")[0])
    assert header["PRIOR"] == f"{tmp_path}/kapp\\xe9\\n"


def test_header_says_the_version_of_the_prior(white_module, tmp_path, monkeypatch):
    found = ModuleLocation("hub:white_score@1", Path(white_module))
    for module in ("mass_mapping.maps", "score.prior"):
        monkeypatch.setattr(f"galsim_hub.{module}.locate", lambda address: found)
    maps = map_mass(shear_map(), WHITE, prior="hub:white_score", n_samples=2)
    assert maps.about["PRIOR"] == "hub:white_score@1"


def test_command_takes_a_module_and_says_how_its_chains_went(
    make_catalogue, white_module, tmp_path, capsys
):
    catalogue = make_catalogue((30.0, 0.0), (30.1, 0.0), width=12.0, n=2_000, noise=0.2)
    columns = {name: getattr(catalogue, name) for name in ("ra", "dec", "e1", "e2", "weight")}
    Table(columns).write(tmp_path / "shear.ecsv")
    words = [str(tmp_path / "shear.ecsv"), "--output", str(tmp_path), "--prior", white_module]
    options = ["--pixel-scale", "1", "--size", "16x24", "--samples", "2"]
    assert main(["massmap", *words, *options]) == 0
    assert "chi2 of the samples is" in capsys.readouterr().err
    header = fits.getheader(tmp_path / "samples.fits")
    assert header["PRIOR"] == white_module
    assert (header["NAXIS1"], header["NAXIS2"], header["NAXIS3"]) == (24, 16, 2)

"""The Gaussian posterior is that of dense linear algebra, and its samples have its covariance."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub.errors import MassMapError
from galsim_hub.flat_sky import shear_response
from galsim_hub.mass_mapping import Field, GaussianPosterior, ShearMap, SpectrumTable, read_spectrum
from galsim_hub.mass_mapping.posterior import sample_gaussian

SHAPE = (9, 8)


@pytest.fixture
def shear_map():
    rng = np.random.default_rng(8)
    counts = rng.integers(0, 4, SHAPE)
    counts[:2] = 0
    with np.errstate(divide="ignore"):
        std = 0.3 / np.sqrt(counts)
    shear = np.where(counts > 0, 0.3 * rng.standard_normal((2, *SHAPE)), 0.0)
    return ShearMap(Field(0.0, 0.0, SHAPE, 1.0), shear, std, counts)


@pytest.fixture
def power():
    ky, kx = np.fft.fftfreq(SHAPE[0])[:, None], np.fft.rfftfreq(SHAPE[1])
    return 0.5 / (1 + 20 * (ky**2 + kx**2))


def matrix_of(apply) -> np.ndarray:
    """Return the matrix of a linear map of fields."""
    units = np.eye(np.prod(SHAPE)).reshape(-1, *SHAPE)
    return np.stack([np.ravel(apply(unit)) for unit in units], axis=1)


def dense_posterior(shear_map, power) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance by matrices."""

    def filtered(response):
        return lambda x: np.fft.irfft2(response * np.fft.rfft2(x), s=SHAPE)

    forward, covariance = matrix_of(filtered(shear_response(SHAPE))), matrix_of(filtered(power))
    precision = np.tile(shear_map.precision.ravel(), 2)
    curvature = np.linalg.inv(covariance) + forward.T @ (precision[:, None] * forward)
    posterior = np.linalg.inv(curvature)
    return posterior @ forward.T @ (precision * shear_map.shear.ravel()), posterior


def test_wiener_filter_is_that_of_matrices(shear_map, power):
    expected, _ = dense_posterior(shear_map, power)
    found = GaussianPosterior(shear_map, power).mean()
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-5 * np.abs(expected).max())


def test_what_stands_in_holes_says_nothing(shear_map, power):
    shear, noise = shear_map.shear.copy(), shear_map.noise_std.copy()
    shear[:, ~shear_map.is_seen], noise[~shear_map.is_seen] = np.nan, 0.1
    other = ShearMap(shear_map.field, shear, noise, shear_map.n_galaxies)
    expected = GaussianPosterior(shear_map, power).mean()
    np.testing.assert_array_equal(GaussianPosterior(other, power).mean(), expected)


def test_sample_knows_nothing_of_the_noise_that_its_user_simulated(shear_map):
    shape = (48, 48)
    field, one = Field(0.0, 0.0, shape, 1.0), np.ones(shape)
    says_nothing = ShearMap(field, np.zeros((2, *shape)), 1e9 * one, one)
    sample = GaussianPosterior(says_nothing, np.ones((48, 25))).sample(5)
    noise = np.random.default_rng(5).standard_normal(shape)
    assert abs(np.mean(sample * noise) / sample.std()) < 5 / 48  # five errors


def test_samples_have_the_mean_and_covariance_of_the_posterior(shear_map, power):
    mean, covariance = dense_posterior(shear_map, power)
    posterior, n = GaussianPosterior(shear_map, power), 600
    samples = np.stack([posterior.sample(3, i).ravel() for i in range(n)]) - mean
    white = np.linalg.solve(np.linalg.cholesky(covariance), samples.T)
    # Standard normal, all independent: the bounds are 5 sigma of 72 and 2628 estimates.
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(white @ white.T / n - np.eye(len(white))).max() < 5 * np.sqrt(2 / n)


def test_interrupted_run_goes_on_to_the_same_samples(shear_map, power, tmp_path):
    posterior, file = GaussianPosterior(shear_map, power), tmp_path / "checkpoint.npz"
    whole = sample_gaussian(posterior, 4, seed=1)

    def stop_at_two(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_gaussian(posterior, 4, seed=1, checkpoint=file, progress=stop_at_two)
    told = []
    resumed = sample_gaussian(
        posterior, 4, seed=1, checkpoint=file, progress=lambda done, total: told.append(done)
    )
    assert told == [3, 4]
    np.testing.assert_array_equal(resumed, whole)


def test_checkpoint_of_another_seed_is_refused(shear_map, power, tmp_path):
    posterior, file = GaussianPosterior(shear_map, power), tmp_path / "checkpoint.npz"
    sample_gaussian(posterior, 2, seed=1, checkpoint=file)
    with pytest.raises(MassMapError, match="Delete it"):
        sample_gaussian(posterior, 2, seed=2, checkpoint=file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("notes"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_file_that_is_no_checkpoint_is_refused(shear_map, power, tmp_path, damage):
    posterior, file = GaussianPosterior(shear_map, power), tmp_path / "checkpoint.npz"
    sample_gaussian(posterior, 2, seed=1, checkpoint=file)
    damage(file)
    with pytest.raises(MassMapError, match="is no checkpoint .* Delete it, or choose"):
        sample_gaussian(posterior, 2, seed=1, checkpoint=file)


def test_field_of_the_prior_has_the_power_that_was_asked_for():
    field, table = Field(0.0, 0.0, (48, 48), 1.0), SpectrumTable([100.0, 1e5], [1e-9, 1e-9])
    # Noise of a hundred a pixel tells nothing.
    blind = ShearMap(field, np.zeros((2, 48, 48)), np.full((48, 48), 100.0), np.ones((48, 48), int))
    draw = GaussianPosterior(blind, table.of_modes(field)).sample(seed=4)
    # White: C_ell is the variance times the area of a pixel; 2304 pixels, 5 sigma.
    assert draw.var() * np.radians(1 / 60) ** 2 == pytest.approx(1e-9, rel=5 * np.sqrt(2 / 2304))


def test_spectrum_of_the_package_is_one_of_convergence():
    table = read_spectrum()
    assert table.at(np.array([1000.0])) == pytest.approx(2.5e-10, rel=0.5)
    np.testing.assert_allclose(table.at(np.array([0.0, 1e6])), table.power[[0, -1]])


@pytest.mark.parametrize(
    ("ell", "power"),
    [
        ([100.0], [1.0]),
        ([100.0, 50.0], [1.0, 1.0]),
        ([1.0, 2.0], [1.0, 0.0]),
        ([1, 2], [1, np.nan]),
    ],
)
def test_impossible_spectrum_is_refused(ell, power):
    with pytest.raises(MassMapError, match="power spectrum"):
        SpectrumTable(ell, power)


def test_file_that_is_no_spectrum_is_refused(tmp_path):
    (tmp_path / "a.ecsv").write_text("nonsense")
    with pytest.raises(MassMapError, match="columns ell and"):
        read_spectrum(tmp_path / "a.ecsv")

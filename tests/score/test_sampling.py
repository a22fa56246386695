"""With an exact score every sampler gives what theory says: the Wiener filter and its errors."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from galsim_hub import score
from galsim_hub.errors import FieldError, SamplingError, SeedError
from galsim_hub.score.ode import flow
from galsim_hub.score.sampling.target import noise_levels

SIDE = 16
NOISE = 0.5
CHAINS = 40
SAMPLERS = [
    score.annealed_hmc,
    score.annealed_langevin,
    score.maximum_a_posteriori,
    score.noise_splitting,
    score.probability_flow,
]


@pytest.fixture(scope="module")
def likelihood(prior):
    """Give noisy data of one field."""
    rng = np.random.default_rng(2)
    data = prior.sample(1, seed=1)[0] + NOISE * rng.standard_normal((SIDE, SIDE))
    return score.GaussianLikelihood(score.Identity(), data, NOISE)


@pytest.fixture(scope="module")
def wiener(prior, likelihood):
    """Give the exact posterior's mean, and the variance of each of its modes."""
    variance = prior.power * NOISE**2 / (prior.power + NOISE**2)
    modes = np.fft.rfft2(likelihood.data[0]) * variance / NOISE**2
    return np.fft.irfft2(modes, s=(SIDE, SIDE)), variance


@pytest.fixture(scope="module")
def posterior(prior, likelihood):
    """Give 400 samples of annealed HMC: chains from the data and from the prior."""
    starts = np.concatenate(
        [np.repeat(likelihood.data, CHAINS // 2, axis=0), prior.sample(CHAINS // 2, seed=7)]
    )
    return score.annealed_hmc(prior, likelihood, starts, seed=3, n_draws=10)


def residual_modes(posterior, wiener):
    """Give every mode of samples less the exact mean, in units of its exact deviation."""
    mean, variance = wiener
    modes = np.fft.rfft2(posterior.samples - mean, norm="ortho") / np.sqrt(variance)
    return np.sqrt(2) * np.stack([modes.real, modes.imag], -1)[:, :, 1 : SIDE // 2]


def test_hmc_has_the_mean_of_the_wiener_filter(posterior, wiener):
    error = np.linalg.norm(posterior.mean - wiener[0]) / np.linalg.norm(wiener[0])
    assert error <= 0.05


def test_hmc_has_the_variance_of_theory_in_every_band(posterior, wiener):
    squares = np.mean(residual_modes(posterior, wiener) ** 2, axis=(0, 3))
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, 1 : SIDE // 2])
    bands = np.digitize(k, [0.15, 0.3, 0.45])
    ratios = [squares[bands == band].mean() for band in range(4)]
    assert np.all(np.abs(np.array(ratios) - 1) <= 0.05)


def test_hmc_residuals_are_normal(posterior, wiener):
    # One number a sample: modes of one sample are independent, draws of one chain not quite.
    numbers = residual_modes(posterior, wiener)[:, 3, 2, 0]
    assert stats.kstest(numbers, "norm").pvalue > 0.01


def test_chains_from_the_data_and_from_the_prior_agree(posterior):
    # 10 draws of 40 chains: the statistic itself scatters by about 0.01 a pixel.
    assert np.median(posterior.diagnostics["r_hat"]) <= 1.02
    assert np.median(posterior.diagnostics["effective_sample_size"]) > 200
    chi2 = posterior.diagnostics["chi2"].mean() / posterior.diagnostics["n_data"]
    assert chi2 == pytest.approx(1.0, abs=0.2)  # of one realisation of 256 numbers: 0.09


def test_langevin_agrees_to_the_error_of_its_step(prior, likelihood, wiener):
    start = np.zeros((CHAINS, SIDE, SIDE))
    found = score.annealed_langevin(prior, likelihood, start, seed=4, n_draws=4)
    assert np.linalg.norm(found.mean - wiener[0]) <= 0.1 * np.linalg.norm(wiener[0])
    spread = np.mean(residual_modes(found, wiener) ** 2)
    assert spread == pytest.approx(1.0, abs=0.06)  # 0.02 by the step, 0.01 by chance


def test_the_most_probable_field_is_the_wiener_filter(prior, likelihood, wiener):
    found = score.maximum_a_posteriori(prior, likelihood, np.zeros((1, SIDE, SIDE)), seed=5)
    np.testing.assert_allclose(found.samples[0], wiener[0], atol=1e-3)
    assert found.diagnostics["steepness"] < 1e-3


def test_masked_and_blurred_data_give_the_dense_solution(rng):
    small = score.GaussianPrior(lambda k: 3.0 / (0.3 + k) ** 2, (8, 8))
    operator = score.Blur(np.outer([1, 2, 1], [1, 2, 1]) / 16, 2)
    mask = rng.random((4, 4)) < 0.7
    data = operator.forward(small.sample(1, seed=2)).numpy()[0] + 0.3 * rng.standard_normal((4, 4))
    units = np.eye(64).reshape(64, 8, 8)
    covariance = np.fft.irfft2(np.fft.rfft2(units) * small.power, s=(8, 8)).reshape(64, 64)
    matrix = operator.forward(units).numpy().reshape(64, -1).T[mask.ravel()]
    gain = (
        covariance
        @ matrix.T
        @ np.linalg.inv(matrix @ covariance @ matrix.T + 0.09 * np.eye(mask.sum()))
    )
    likelihood = score.GaussianLikelihood(operator, data, 0.3, mask)
    found = score.maximum_a_posteriori(
        small, likelihood, np.zeros((1, 8, 8)), seed=1, steps_per_level=20
    )
    expected = (gain @ data[mask]).reshape(8, 8)
    # The lowest of the levels is 1% of the prior's deviation.
    assert np.abs(found.samples[0] - expected).max() < 0.02 * np.abs(expected).max()


def test_hmc_mixes_where_some_modes_are_measured_and_others_not(prior, rng):
    """The two differ by 400 in variance at one wavenumber: a step that suits all is each mode's."""
    noise = 0.05 * prior.std
    is_measured = rng.random((SIDE, SIDE // 2 + 1)) < 0.25
    operator = score.MaskedFourier(is_measured, SIDE)
    data = operator.forward(prior.sample(1, seed=1)).numpy()[0]
    data += noise * rng.standard_normal(data.shape)
    likelihood = score.GaussianLikelihood(operator, data, noise)
    starts = np.repeat(operator.adjoint(data[None]), CHAINS, axis=0)
    found = score.annealed_hmc(prior, likelihood, starts, seed=8, n_draws=10)
    assert np.median(found.diagnostics["r_hat"]) <= 1.02
    # Where one of two mirror images is measured, both are.
    is_measured = np.abs(np.fft.rfft2(operator.adjoint(np.ones_like(data)[None])[0])) > 1e-3
    precision = 1 / prior.power + is_measured / noise**2
    modes = np.abs(np.fft.rfft2(found.samples - found.mean, norm="ortho")) ** 2
    ratio = np.mean(modes, axis=0) * precision
    assert np.mean(ratio[is_measured]) == pytest.approx(1.0, abs=0.05)
    assert np.mean(ratio[~is_measured]) == pytest.approx(1.0, abs=0.05)


def test_the_flow_ends_chains_without_leaving_the_posterior(prior, likelihood, wiener):
    mean, variance = wiener
    # With 400 chains the noise that the flow adds moves their mean by 1 to 3% of its norm.
    exact = score.GaussianPrior(variance, (SIDE, SIDE)).sample(10 * CHAINS, seed=6) + mean
    found = score.probability_flow(prior, likelihood, exact, seed=6, sigma=(0.1, 0.01))
    assert np.linalg.norm(found.mean - exact.mean(axis=0)) <= 0.05 * np.linalg.norm(mean)
    assert found.std.mean() == pytest.approx(exact.std(axis=0).mean(), rel=0.05)


COOLING = {"n_levels": 4, "n_warmup": 2, "n_draws": 2, "thin": 1}


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        (score.annealed_hmc, COOLING | {"n_leapfrog": 2}),
        (score.annealed_langevin, COOLING | {"steps_per_level": 1}),
        (score.noise_splitting, {"n_warmup": 6, "n_draws": 2, "thin": 1}),
        (score.maximum_a_posteriori, {"n_levels": 8}),
        (score.probability_flow, {"n_steps": 8}),
    ],
)
def test_interrupted_run_ends_with_the_same_samples(
    prior, likelihood, tmp_path, monkeypatch, sampler, settings
):
    start, path = np.zeros((2, SIDE, SIDE)), tmp_path / "chains.npz"
    settings = settings | {"seed": 8}
    whole = sampler(prior, likelihood, start, **settings)

    def interrupt(done, total):
        assert total == 8
        if done == 5:
            raise InterruptedError

    monkeypatch.setattr("galsim_hub.score.sampling.run._SAVE_EVERY", -1.0)
    with pytest.raises(InterruptedError):
        sampler(prior, likelihood, start, checkpoint=path, progress=interrupt, **settings)
    steps = []
    again = sampler(
        prior, likelihood, start, checkpoint=path, progress=lambda *s: steps.append(s), **settings
    )
    assert steps[0] == (5, 8)
    np.testing.assert_array_equal(again.chains, whole.chains)
    with pytest.raises(SamplingError, match="other data, settings"):
        sampler(prior, likelihood, start + 1, checkpoint=path, **settings)


def test_as_many_steps_in_another_order_are_another_run(prior, likelihood, tmp_path):
    start, path = np.zeros((2, SIDE, SIDE)), tmp_path / "field.npz"
    settings = {"seed": 8, "n_levels": 1, "n_draws": 2, "checkpoint": path}
    score.annealed_hmc(prior, likelihood, start, n_warmup=2, thin=2, **settings)
    with pytest.raises(SamplingError, match="other data, settings"):
        score.annealed_hmc(prior, likelihood, start, n_warmup=4, thin=1, **settings)


def test_the_same_numbers_seen_through_something_else_are_another_run(prior, likelihood, tmp_path):
    start, path = np.zeros((2, SIDE, SIDE)), tmp_path / "field.npz"
    settings = {"seed": 8, "n_levels": 1, "checkpoint": path}
    score.maximum_a_posteriori(prior, likelihood, start, **settings)
    blur = score.Blur(np.full((3, 3), 1.0 / 9.0))
    blurred = score.GaussianLikelihood(blur, likelihood.data[0].numpy(), NOISE)
    with pytest.raises(SamplingError, match="other data, settings"):
        score.maximum_a_posteriori(prior, blurred, start, **settings)


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def spoil(path):
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 100] = bytes(100)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        spoil,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("notes"),
        lambda path: np.save(path.open("wb"), np.zeros(3)),
        lambda path: np.savez(path.open("wb"), mine=np.zeros(3)),
        lambda path: np.savez(path.open("wb"), mark=np.array({}, dtype=object)),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_file_that_is_no_checkpoint_is_refused_and_kept(prior, likelihood, tmp_path, damage):
    start, path = prior.sample(2, seed=1), tmp_path / "chains.npz"
    settings = {"seed": 8, "n_levels": 1, "checkpoint": path}
    score.maximum_a_posteriori(prior, likelihood, start, **settings)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(SamplingError, match="is no checkpoint .* Delete it, or choose"):
        score.maximum_a_posteriori(prior, likelihood, start, **settings)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["folder", "file/chains.npz"])
def test_checkpoint_that_cannot_be_written_is_found_before_sampling(
    prior, likelihood, tmp_path, name
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    def sampled(done, total):
        raise AssertionError("a step was taken")

    settings = {"seed": 8, "checkpoint": tmp_path / name, "progress": sampled}
    with pytest.raises(SamplingError, match="No checkpoint can be written"):
        score.maximum_a_posteriori(prior, likelihood, np.zeros((1, SIDE, SIDE)), **settings)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"n_draws": 0}, "n_draws"),
        ({"n_levels": 1.5}, "n_levels"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": np.inf}, "step_size"),
        ({"sigma": (0.1, 1.0)}, "sigma"),
        ({"sigma": (1.0, 0.0)}, "sigma"),
        ({"sigma": 0.1}, "sigma"),
        ({"sigma": (1.0, 0.5, 0.1)}, "sigma"),
        ({"sigma": ("a", "b")}, "sigma"),
    ],
)
def test_setting_that_makes_no_sense_is_refused(prior, likelihood, changes, name):
    with pytest.raises(SamplingError) as caught:
        score.annealed_hmc(prior, likelihood, np.zeros((1, SIDE, SIDE)), seed=1, **changes)
    assert caught.value.name == name


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_may_be_any_whole_number_of_64_bits(prior, likelihood, sampler):
    start, few = np.zeros((1, SIDE, SIDE)), {"n_steps": 1, "n_levels": 1}
    few = {name: few[name] for name in few if name in sampler.__kwdefaults__}
    few |= {"sigma": (1.0, 0.5)} if "sigma" in sampler.__kwdefaults__ else {}
    for seed in (2**64 - 1, np.int32(5)):
        assert np.isfinite(sampler(prior, likelihood, start, seed=seed, **few).samples).all()
    for seed in (-1, 2**64, 0.5, "one"):
        with pytest.raises(SeedError, match="must be an integer"):
            sampler(prior, likelihood, start, seed=seed, **few)


def test_one_level_is_the_last(prior):
    levels = noise_levels(prior, (1.0, 0.1), 1)
    np.testing.assert_allclose(levels, [0.1])
    np.testing.assert_allclose(noise_levels(prior, (1.0, 0.1), 2), [1.0, 0.1])


def test_a_step_uphill_must_be_one(prior, likelihood):
    start = np.zeros((1, SIDE, SIDE))
    with pytest.raises(SamplingError, match="rate must be a number above zero"):
        score.maximum_a_posteriori(prior, likelihood, start, seed=1, rate=-1.0)


def test_flow_between_equal_levels_stays():
    x = np.random.default_rng(0).standard_normal((2, SIDE, SIDE)).astype(np.float32)
    stayed = flow(lambda x, sigma: -x, tf.constant(x), [0.5, 0.5])
    np.testing.assert_allclose(stayed, x, atol=1e-6)


def test_start_of_another_shape_or_number_is_refused(prior, likelihood):
    with pytest.raises(FieldError):
        score.annealed_hmc(prior, likelihood, np.zeros((1, 4, 4)), seed=1)
    three = score.GaussianLikelihood(
        score.Identity(), np.zeros((3, SIDE, SIDE)), NOISE, is_batch=True
    )
    with pytest.raises(SamplingError, match="3 observations"):
        score.annealed_hmc(prior, three, np.zeros((2, SIDE, SIDE)), seed=1)


def test_data_of_another_shape_than_the_priors_are_refused(prior):
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros((8, 8)), NOISE)
    with pytest.raises(FieldError, match="16, 16"):
        score.annealed_hmc(prior, likelihood, np.zeros((1, 8, 8)), seed=1)


def test_loop_defect_tells_a_gradient_from_a_swirl(prior):
    x = prior.sample(20, seed=9)
    assert score.loop_defect(prior.score, x, 0.1, seed=1) < 1e-3  # float32

    def swirl(x, sigma):
        return tf.reverse(x, [1]) * np.linspace(-1, 1, SIDE, dtype=np.float32)[:, None]

    assert score.loop_defect(swirl, x, 0.1, seed=1) > 0.01

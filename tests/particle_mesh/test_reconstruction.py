"""The most probable initial conditions are those that theory gives, and a search can be resumed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, ReconstructionError
from galsim_hub.particle_mesh.bias import tidal_square

NOISE = 0.5


@pytest.fixture(scope="module")
def power(cosmology):
    """Give the linear power."""
    return pm.EisensteinHu(cosmology)


@pytest.fixture(scope="module")
def observed(linear):
    """Give a linear field with white noise."""
    noise = np.random.default_rng(4).standard_normal(linear.shape)
    return linear.numpy() + NOISE * noise


@pytest.fixture(scope="module")
def posterior(observed, box, power):
    """Give what the field says of itself."""
    return pm.Posterior(observed, NOISE, box, power, forward=lambda field: field)


def wiener_filter(observed, box, power):
    """Return signal over signal and noise, times the data, mode by mode."""
    k = box.wavenumber()
    k[0, 0, 0] = 1.0
    signal = power(k).numpy()
    signal[0, 0, 0] = 0.0
    noise = NOISE**2 * box.volume / box.n_cells
    return np.fft.irfftn(np.fft.rfftn(observed) * signal / (signal + noise))


def relative_distance(field, expected):
    return np.linalg.norm(field - expected) / np.linalg.norm(expected)


def test_of_a_linear_field_it_is_the_wiener_filter(posterior, observed, box, power):
    result = pm.reconstruct(posterior, pm.anneal(box, 80))
    assert relative_distance(result.linear, wiener_filter(observed, box, power)) < 1e-3


def test_adam_finds_it_too(posterior, observed, box, power):
    result = pm.reconstruct(posterior, [pm.Stage(0.0, 300)], method="adam")
    assert relative_distance(result.linear, wiener_filter(observed, box, power)) < 1e-2


def test_of_a_linear_field_chi2_is_one(posterior, linear, box):
    result = pm.reconstruct(posterior, [pm.Stage(0.0, 40)])
    diagnosis = pm.diagnose(posterior, result.white, linear)
    # 4096 cells: three standard deviations.
    assert diagnosis.chi2 == pytest.approx(1.0, abs=3 * np.sqrt(2 / box.n_cells))
    assert diagnosis.chi2_data < diagnosis.chi2
    assert diagnosis.correlation[0] > 0.95


def test_a_cell_that_was_not_seen_says_nothing(observed, box, power):
    noise = np.full(box.shape, NOISE)
    noise[:8] = np.inf
    hidden = np.where(np.isinf(noise), np.nan, observed)
    other = np.where(np.isinf(noise), 7.0, observed)
    white = tf.ones(box.shape, tf.float64)
    first, second = (
        pm.Posterior(data, noise, box, power, forward=lambda field: field).value_and_gradient(white)
        for data in (hidden, other)
    )
    assert np.isfinite(float(first[0]))
    assert float(first[0]) == float(second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_gradients_of_a_biased_simulation_are_exact(box, growth, power, slope):
    # In double precision nothing but the forward model is single: hence the tolerance.
    stages = pm.scale_factors(0.2, 1.0, 2)
    forward = pm.simulation(box, growth, stages, bias=pm.Bias(0.7, 0.1, -0.2))
    posterior = pm.Posterior(np.ones(box.shape), 1.0, box, power, forward)
    rng = np.random.default_rng(3)
    white, direction = (tf.constant(rng.standard_normal(box.shape)) for _ in range(2))
    gradient = posterior.value_and_gradient(white, 10.0)[1]
    expected = slope(
        lambda t: posterior.value_and_gradient(white + t * direction, 10.0)[0], 0.0, 2e-2
    )
    assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(expected, rel=1e-2)
    likelihood, prior = posterior.gradients(white)
    np.testing.assert_allclose(likelihood + prior, posterior.value_and_gradient(white)[1])


def test_a_bias_of_first_order_multiplies_a_small_linear_field(box, linear):
    small = 1e-3 * linear
    at_rest = tf.zeros([3, *box.shape], tf.float64)
    density = pm.biased_density(small, at_rest, box, pm.Bias(b1=1.5))
    np.testing.assert_allclose(density - 1.0, 1.5 * small, atol=1e-9)


def test_the_tidal_field_of_a_plane_wave_is_known(box):
    wave = np.cos(2 * np.pi * np.arange(16) / 16 * 2)
    linear = tf.constant(np.broadcast_to(wave[:, None, None], box.shape))
    # s_xx = 2/3 of the density, s_yy = s_zz = -1/3.
    np.testing.assert_allclose(tidal_square(linear, box), 2 / 3 * linear**2, atol=1e-12)


def test_a_search_that_was_stopped_ends_where_it_would_have_ended(posterior, box, tmp_path):
    stages = [pm.Stage(10.0, 3), pm.Stage(5.0, 3), pm.Stage(0.0, 3)]
    whole = pm.reconstruct(posterior, stages, method="adam")

    class StoppedError(Exception):
        pass

    def stop(stage, value):
        if stage.smoothing == 5.0:
            raise StoppedError

    with pytest.raises(StoppedError):
        pm.reconstruct(posterior, stages, method="adam", folder=tmp_path, report=stop)
    done = []
    resumed = pm.reconstruct(
        posterior, stages, method="adam", folder=tmp_path, report=lambda s, v: done.append(s)
    )
    assert done == stages[2:]
    np.testing.assert_array_equal(resumed.white, whole.white)
    np.testing.assert_array_equal(resumed.history, whole.history)


def test_a_folder_of_another_search_is_refused(posterior, tmp_path):
    pm.reconstruct(posterior, [pm.Stage(0.0, 1)], method="adam", folder=tmp_path)
    with pytest.raises(ReconstructionError, match="another"):
        pm.reconstruct(posterior, [pm.Stage(0.0, 2)], method="adam", folder=tmp_path)


def test_a_folder_of_another_model_is_refused(observed, box, power, tmp_path):
    def search(power, forward):
        posterior = pm.Posterior(observed, 1.0, box, power, forward)
        return pm.reconstruct(posterior, [pm.Stage(0.0, 1)], method="adam", folder=tmp_path)

    search(power, lambda field: field)
    search(power, lambda field: field)
    with pytest.raises(ReconstructionError, match="another"):
        search(lambda k: 0.01 * power(k), lambda field: field)
    with pytest.raises(ReconstructionError, match="another"):
        search(power, lambda field: 3.0 * field)


def test_a_damaged_file_is_told_of(posterior, tmp_path):
    (tmp_path / "reconstruction.npz").write_bytes(b"half")
    with pytest.raises(ReconstructionError, match="cannot be read.*Remove it"):
        pm.reconstruct(posterior, [pm.Stage(0.0, 1)], method="adam", folder=tmp_path)


def test_a_start_of_another_shape_and_a_batch_for_lbfgs_are_refused(posterior, observed):
    with pytest.raises(ReconstructionError, match="start has the shape"):
        pm.reconstruct(posterior, [], start=tf.zeros([4, 4, 4]))
    batch = posterior.observing(np.stack([observed, observed]))
    with pytest.raises(ReconstructionError, match="one field, not for 2"):
        pm.reconstruct(batch, [])


def test_noise_of_another_shape_is_refused(observed, box, power):
    with pytest.raises(ReconstructionError, match="The noise has the shape"):
        pm.Posterior(observed, np.ones([3, 5]), box, power, lambda field: field)


def test_a_method_that_is_not_known_is_refused(posterior):
    with pytest.raises(ReconstructionError, match="lbfgs"):
        pm.reconstruct(posterior, [], method="newton")


@pytest.mark.parametrize(
    ("data", "noise", "words"),
    [(1.0, 0.0, "positive"), (1.0, np.inf, "see something"), (np.nan, 1.0, "finite")],
)
def test_an_observation_without_sense_is_refused(box, power, data, noise, words):
    with pytest.raises(ReconstructionError, match=words):
        pm.Posterior(np.full(box.shape, data), noise, box, power, forward=lambda field: field)


def test_a_folder_of_another_bias_of_second_order_is_refused(box, growth, power, tmp_path):
    # At zeros, where the search starts, the two models are one.
    stages = pm.scale_factors(0.2, 1.0, 2)

    def search(b2):
        forward = pm.simulation(box, growth, stages, bias=pm.Bias(0.8, b2, -0.1))
        posterior = pm.Posterior(np.ones(box.shape), 1.0, box, power, forward)
        return pm.reconstruct(posterior, [pm.Stage(0.0, 1)], method="adam", folder=tmp_path)

    search(0.1)
    search(0.1)
    with pytest.raises(ReconstructionError, match="another"):
        search(2.0)


def test_a_search_of_an_observed_tensor_is_kept_in_a_folder(posterior, observed, tmp_path):
    search = posterior.observing(tf.constant(observed))
    pm.reconstruct(search, [pm.Stage(0.0, 1)], method="adam", folder=tmp_path)
    assert (tmp_path / "reconstruction.npz").is_file()


@pytest.mark.parametrize(
    "stages",
    [
        [pm.Stage(np.nan, 2)],
        [pm.Stage(-1.0, 2)],
        [pm.Stage(0.0, 2.5)],
        [pm.Stage(0.0, -1)],
        [1],
        None,
    ],
    ids=str,
)
def test_what_are_no_stages_is_refused(posterior, stages):
    with pytest.raises(ReconstructionError, match="no stages of a search"):
        pm.reconstruct(posterior, stages, method="adam")


def test_pairs_of_numbers_are_stages(posterior):
    first, second = (
        pm.reconstruct(posterior, stages, method="adam").white
        for stages in ([(0.0, 2)], [pm.Stage(0.0, 2)])
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("iterations", [-8, 400.5, None])
def test_iterations_that_cannot_be_shared_are_refused(box, iterations):
    with pytest.raises(ReconstructionError, match="whole number"):
        pm.anneal(box, iterations)


def test_white_noise_of_another_box_is_refused(posterior, linear):
    other = tf.zeros([8, 8, 8], tf.float64)
    with pytest.raises(BoxError, match="Give the Box"):
        posterior.linear(other)
    with pytest.raises(BoxError, match="Give the Box"):
        posterior.value_and_gradient(other)
    with pytest.raises(BoxError, match="Give the Box"):
        pm.diagnose(posterior, other, linear)


def test_a_forward_model_in_double_precision_is_taken(observed, box, power):
    white = tf.ones(box.shape, tf.float64)
    single, double = (
        pm.Posterior(observed, 1.0, box, power, forward).value_and_gradient(white)[0]
        for forward in (lambda field: field, lambda field: tf.cast(field, tf.float64))
    )
    assert float(single) == float(double)


def test_a_forward_model_of_another_shape_is_refused(observed, box, power):
    posterior = pm.Posterior(observed, 1.0, box, power, lambda field: tf.reduce_sum(field))
    with pytest.raises(ReconstructionError, match="in each cell"):
        posterior.value_and_gradient(tf.ones(box.shape, tf.float64))

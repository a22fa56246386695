"""The conditional flow: a bijection with the density it states, before and after training.

Masks that an optimizer can break are the trap (see DESIGN.md): the likelihood then improves without
bound. So every property is tested on a fresh flow and on one that Keras' Adam has trained.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.config import FlowConfig
from training.models.flow import MAX_LOG_SCALE, ConditionalFlow, autoregressive_masks

SIZE = 4


def make_data(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw bent, correlated latents that depend on the conditions."""
    rng = np.random.default_rng(1)
    conditions = np.stack(
        [rng.uniform(4, 16, count), rng.uniform(20, 25, count), rng.uniform(0.1, 2, count)], axis=1
    )
    z = rng.normal(size=(count, SIZE))
    z[:, 1] += z[:, 0] ** 2
    z[:, 2] += 0.5 * np.log(conditions[:, 0]) * z[:, 1]
    z[:, 3] *= conditions[:, 2]
    return z.astype(np.float32), conditions.astype(np.float32)


def make_flow(size: int = SIZE, **changes) -> ConditionalFlow:
    keras.utils.set_random_seed(2)
    latents, conditions = make_data(1000)
    latents = latents[:, :size]
    config = FlowConfig(**{"layers": 2, "hidden": (16, 16)} | changes)
    return ConditionalFlow.create(
        config, size, latents.mean(axis=0), latents.std(axis=0), conditions
    )


def train(flow: ConditionalFlow, steps: int = 60) -> list[float]:
    latents, conditions = map(tf.constant, make_data(256))
    latents = latents[:, : flow.size]
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(flow.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(latents, conditions))
        optimizer.apply(tape.gradient(loss, flow.trainable_variables))
        return loss

    return [float(step()) for _ in range(steps)]


@pytest.fixture(scope="module", params=["fresh", "trained"])
def flow(request):
    flow = make_flow()
    if request.param == "trained":
        history = train(flow)
        assert (
            history[-1] < history[0] - 0.3
        )  # it has learnt something, so the test means something
    return flow


@pytest.fixture(scope="module")
def points():
    latents, conditions = make_data(32)
    return tf.constant(latents[7:]), tf.constant(conditions[7:])


def test_jacobian_of_a_layer_is_triangular_with_the_stated_diagonal(flow, points):
    latents, features = points[0], flow.features(points[1])
    for layer in flow.flow_layers:
        with tf.GradientTape() as tape:
            tape.watch(latents)
            output, log_det = layer.normalise(latents, features)
        jacobian = tape.batch_jacobian(output, latents).numpy()
        assert not np.triu(jacobian, k=1).any()  # exactly: masked weights multiply by zero
        diagonal = np.diagonal(jacobian, axis1=1, axis2=2)
        np.testing.assert_allclose(np.log(diagonal).sum(axis=1), log_det, atol=1e-5)


def test_layers_generate_what_they_normalise(flow, points):
    latents, features = points[0], flow.features(points[1])
    for layer in flow.flow_layers:
        noise, _ = layer.normalise(latents, features)
        np.testing.assert_allclose(layer.generate(noise, features), latents, atol=1e-4)


def test_density_of_a_sample_is_that_of_its_noise_over_the_jacobian(flow, points):
    noise, conditions = points[0][:8] / 3, points[1][:8]
    with tf.GradientTape() as tape:
        tape.watch(noise)
        latents = flow.sample(noise, conditions)
    log_det = np.linalg.slogdet(tape.batch_jacobian(latents, noise).numpy().astype(float))[1]
    normal = -0.5 * np.sum(noise.numpy() ** 2, axis=1) - 0.5 * SIZE * np.log(2 * np.pi)
    # Bijection and density in one: four latents in single precision, a few 1e-6 each.
    np.testing.assert_allclose(flow.log_prob(latents, conditions), normal - log_det, atol=1e-3)


def test_layer_is_tfps_masked_autoregressive_flow(flow, points):
    bijectors = pytest.importorskip("tensorflow_probability").bijectors
    latents, features = points[0], flow.features(points[1])
    for layer in flow.flow_layers:
        oracle = bijectors.MaskedAutoregressiveFlow(
            shift_and_log_scale_fn=lambda z, layer=layer: layer.shift_and_log_scale(z, features)
        )
        noise, log_det = layer.normalise(latents, features)
        np.testing.assert_allclose(noise, oracle.inverse(tf.identity(latents)), atol=1e-5)
        np.testing.assert_allclose(
            log_det, oracle.inverse_log_det_jacobian(tf.identity(latents), 1), atol=1e-5
        )
        np.testing.assert_allclose(
            layer.generate(noise, features), oracle.forward(noise), atol=1e-4
        )


def test_training_moves_no_weight_across_a_mask():
    flow = make_flow()
    train(flow, steps=5)
    for layer in flow.flow_layers:
        for dense in [*layer.stack, layer.output_layer]:
            probe = np.eye(dense.mask.shape[0], dtype=np.float32)
            effective = dense(probe).numpy() - dense(0 * probe).numpy()
            assert not effective[dense.mask.numpy() == 0].any()


def test_density_of_two_latents_integrates_to_one():
    flow = make_flow(size=2)
    train(flow)
    axis = np.linspace(-25.0, 45.0, 701)  # a step of 0.1: ten a standard deviation
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    conditions = np.repeat([[8.0, 23.0, 0.5]], len(grid), axis=0).astype(np.float32)
    density = np.exp(flow.log_prob(grid, conditions).numpy().astype(float))
    assert density.sum() * 0.1**2 == pytest.approx(1.0, abs=2e-3)  # the grid's own error


@pytest.mark.parametrize("hidden", [(3,), (5, 16), (3, 50, 7)])
def test_layers_of_any_widths_generate_what_they_normalise(hidden, points):
    flow = make_flow(hidden=hidden)
    latents, features = points[0], flow.features(points[1])
    for layer in flow.flow_layers:
        noise, _ = layer.normalise(latents, features)
        np.testing.assert_allclose(layer.generate(noise, features), latents, atol=1e-4)


def test_temperature_scales_the_noise_of_samples_and_not_the_density():
    cold, warm = make_flow(temperature=0.5), make_flow(temperature=1.0)
    noise, conditions = tf.constant(make_data(8)[0]), tf.constant(make_data(8)[1])
    np.testing.assert_allclose(
        cold.sample(noise, conditions), warm.sample(0.5 * noise, conditions), rtol=1e-6
    )
    np.testing.assert_array_equal(
        cold.log_prob(noise, conditions), warm.log_prob(noise, conditions)
    )


@pytest.mark.parametrize("size", [1, 2, 4, 16])
@pytest.mark.parametrize("hidden", [(16,), (16, 16), (3, 50, 7)])
def test_masks_let_no_output_see_its_own_or_a_later_input(size, hidden):
    masks = autoregressive_masks(size, hidden)
    paths = np.linalg.multi_dot([m.astype(int) for m in masks])
    later = np.triu(np.ones((size, size), bool)).T  # [input, output]: input at or after output
    for half in np.split(paths, 2, axis=1):
        assert not half[later].any()


def test_masks_let_every_output_see_every_earlier_input():
    paths = np.linalg.multi_dot([m.astype(int) for m in autoregressive_masks(4, (16, 16))])
    earlier = np.triu(np.ones((4, 4), bool), k=1)
    assert np.split(paths, 2, axis=1)[0][earlier].all()


def test_every_latent_of_a_layer_depends_on_the_conditions():
    flow = make_flow()
    latents = tf.constant(make_data(8)[0])
    for layer in flow.flow_layers:
        cold = layer.shift_and_log_scale(latents, tf.zeros((8, 3)))[0]
        warm = layer.shift_and_log_scale(latents, tf.ones((8, 3)))[0]
        assert np.all(np.any(np.abs(cold - warm) > 0, axis=0))


def test_log_scales_are_bounded_whatever_the_weights():
    flow = make_flow()
    layer = flow.flow_layers[0]
    layer.output_layer.kernel.assign(1e4 * tf.ones_like(layer.output_layer.kernel))
    _, log_scale = layer.shift_and_log_scale(1e3 * tf.ones((2, SIZE)), tf.ones((2, 3)))
    assert np.abs(log_scale).max() <= MAX_LOG_SCALE


def test_standardised_conditions_have_zero_mean_and_unit_spread():
    flow = make_flow()
    features = flow.features(tf.constant(make_data(1000)[1])).numpy()
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), 1.0, atol=1e-4)


def test_weights_carry_the_standardisation_through_a_file(tmp_path, points):
    flow = make_flow()
    train(flow, steps=3)
    flow.save_weights(tmp_path / "flow.weights.h5")
    other = ConditionalFlow(FlowConfig(layers=2, hidden=(16, 16)), SIZE)
    other.load_weights(tmp_path / "flow.weights.h5")
    np.testing.assert_array_equal(flow.log_prob(*points), other.log_prob(*points))

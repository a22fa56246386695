"""Double precision is double in both engines, and leaves the layers as they were."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.light import convert_to_onnx
from training.models.double import call_in_double, log


@pytest.fixture
def numbers():
    """Give one generator of random numbers."""
    return np.random.default_rng(64)


@pytest.fixture(scope="module")
def stack():
    """Give a network of single precision with two outputs."""
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(64, activation="silu")(inputs)
    outputs = [keras.layers.Dense(3)(hidden), keras.layers.Rescaling(2.0, 1.0)(hidden)]
    return keras.Model(inputs, outputs)


def test_a_network_computes_in_double_with_its_own_weights(stack, numbers):
    x = numbers.standard_normal((7, 5)).astype(np.float32)
    (kernel, bias), (last, end) = (
        layer.get_weights() for layer in (stack.layers[1], stack.layers[2])
    )
    before = x.astype(float) @ kernel + bias
    hidden = before / (1.0 + np.exp(-before))
    found, scaled = call_in_double(stack, tf.constant(x))
    np.testing.assert_allclose(found, hidden @ last + end, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(scaled, 2.0 * hidden + 1.0, rtol=1e-12, atol=1e-13)


def test_a_network_is_single_again_afterwards(stack, numbers):
    x = numbers.standard_normal((7, 5)).astype(np.float32)
    before = stack(x)[0].numpy()
    call_in_double(stack, tf.constant(x))
    after = stack(x)[0].numpy()
    assert after.dtype == np.float32
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_logarithms_keep_their_precision(dtype, numbers):
    x = np.exp(numbers.uniform(-20.0, 20.0, 100)).astype(dtype.as_numpy_dtype)
    found = log(tf.constant(x))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.log(x), rtol=2 * np.finfo(x.dtype).eps, atol=1e-15)


def test_logarithms_are_double_in_the_light_engine(tmp_path, numbers):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "log.onnx"
    convert_to_onnx(lambda x: {"y": log(x)}, [tf.TensorSpec([50], tf.float64, name="x")], path)
    x = np.exp(numbers.uniform(-5.0, 5.0, 50))
    (found,) = runtime.InferenceSession(path.read_bytes()).run(None, {"x": x})
    np.testing.assert_allclose(found, np.log(x), rtol=1e-14, atol=1e-14)

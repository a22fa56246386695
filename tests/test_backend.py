"""The engine gives a row the same bits whatever its company, and fails clearly."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import sys

import numpy as np
import pytest

from galsim_hub import backend
from galsim_hub.backend import load_engine
from galsim_hub.backend.light import LightEngine
from galsim_hub.backend.tensorflow import TensorFlowEngine
from galsim_hub.errors import CorruptedModuleError, EngineError
from galsim_hub.spec import read_spec


@pytest.fixture(scope="module", params=["light", "tensorflow"])
def engine(module_folder, request):
    """Load the analytic module."""
    return load_engine(module_folder, read_spec(module_folder), request.param)


def _inputs(n):
    normals = np.random.default_rng(7).standard_normal((n, 4), dtype=np.float32)
    columns = {"flux_radius": 8.0, "mag_auto": 23.0, "zphot": 1.0}
    scatter = np.linspace(0.9, 1.1, n, dtype=np.float32)
    return {"random_normal": normals} | {name: value * scatter for name, value in columns.items()}


def _take(inputs, index):
    return {name: rows[index] for name, rows in inputs.items()}


@pytest.mark.parametrize("n", [1, 7, 13])
def test_a_row_has_the_same_bits_in_any_batch(engine, n):
    inputs = _inputs(13)
    images = engine.run("generate", inputs)["image"]
    part = engine.run("generate", _take(inputs, slice(0, n)))["image"]
    assert part.tobytes() == images[:n].tobytes()


def test_a_row_has_the_same_bits_in_any_place(engine):
    inputs = _inputs(13)
    images = engine.run("generate", inputs)["image"]
    backwards = engine.run("generate", _take(inputs, slice(None, None, -1)))["image"]
    assert backwards[::-1].tobytes() == images.tobytes()


def test_chunks_that_do_not_fill_up_are_padded(module_folder):
    inputs = _inputs(7)
    chunked, single = (
        TensorFlowEngine(module_folder, chunk_size=size).run("generate", inputs)["image"]
        for size in (4, 1)
    )
    assert chunked.shape == (7, 128, 128)
    # Another chunk size may round differently, by no more than float32 does.
    np.testing.assert_allclose(chunked, single, atol=1e-6 * single.max())


@pytest.mark.parametrize("name", ["light", "tensorflow"])
def test_an_engine_is_loaded_once_a_process(name, module_folder):
    spec = read_spec(module_folder)
    assert load_engine(module_folder, spec, name) is load_engine(module_folder, spec, name)


def test_a_signature_that_is_not_there_is_an_error(engine):
    with pytest.raises(EngineError, match="signature 'dream'"):
        engine.run("dream", _inputs(1))


def test_engines_agree(module_folder):
    spec = read_spec(module_folder)
    images = [
        load_engine(module_folder, spec, name).run("generate", _inputs(13))["image"]
        for name in ("light", "tensorflow")
    ]
    peaks = images[1].max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images[0] / peaks, images[1] / peaks, rtol=0, atol=1e-5)


def test_inputs_that_do_not_fit_are_an_error(engine):
    inputs = _inputs(1)
    del inputs["zphot"]
    with pytest.raises(EngineError, match="belong together") as caught:
        engine.run("generate", inputs)
    assert caught.value.__cause__ is not None


@pytest.fixture
def copied_module(module_folder, tmp_path):
    """Copy the analytic module, to be damaged."""
    return shutil.copytree(module_folder, tmp_path / "copy")


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_truncated_saved_model_is_refused_before_it_is_loaded(copied_module, monkeypatch):
    monkeypatch.setattr(backend, "_engines", {})
    _truncate(copied_module / "saved_model.pb")
    with pytest.raises(CorruptedModuleError, match="truncated or changed"):
        load_engine(copied_module, read_spec(copied_module))


def test_a_saved_model_that_cannot_be_read_is_corrupted_even_if_the_card_agrees(
    copied_module, rehash
):
    _truncate(copied_module / "saved_model.pb")
    rehash(copied_module)
    with pytest.raises(CorruptedModuleError, match="cannot be read.*Fetch the module again"):
        load_engine(copied_module, read_spec(copied_module))


def _report_engine_error(folder, results):
    try:
        load_engine(folder, read_spec(folder))
    except EngineError as error:
        results.put(str(error))


def test_a_fork_of_a_process_that_runs_tensorflow_is_told_so_and_does_not_hang(module_folder):
    load_engine(module_folder, read_spec(module_folder))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_report_engine_error, args=(module_folder, results))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert f"started in process {os.getpid()}" in results.get()


def _draw(folder, images):
    spec = read_spec(folder)
    pixels = load_engine(folder, spec, "light").run("generate", _inputs(5))["image"].tobytes()
    images.put(hashlib.sha256(pixels).hexdigest())  # short: nobody reads the pipe yet


def test_a_fork_of_a_process_that_runs_the_light_engine_draws_the_same_bits(module_folder):
    load_engine(module_folder, read_spec(module_folder))  # TensorFlow runs here too
    context = multiprocessing.get_context("fork")
    images = context.SimpleQueue()
    _draw(module_folder, images)
    child = context.Process(target=_draw, args=(module_folder, images))
    child.start()
    ours = images.get()
    theirs = images.get()
    child.join(60)
    assert child.exitcode == 0
    assert ours == theirs


def _message(change):
    """Encode an ONNX model of one node with something changed, by ONNX's own library."""
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Neg", ["x"], ["y"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph([node], "graph", [value], [result], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10  # the newest library writes what the newest runtime cannot read yet
    change(model)
    return model.SerializeToString()


def _point_elsewhere(tensor):
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/passwd")


def _hide_tensor_in_branch(model):
    branch = model.graph.node.add(op_type="If").attribute.add(name="then_branch", type=5)
    _point_elsewhere(branch.g.initializer.add())


BAD_FILES = {
    "another operator set": (lambda m: m.opset_import.add(domain="evil", version=1), "'evil'"),
    "another node": (lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"), "microsoft"),
    "external weights": (lambda m: _point_elsewhere(m.graph.initializer[0]), "another file"),
    "external weights in a branch": (_hide_tensor_in_branch, "another file"),
    "a function": (lambda m: m.functions.add(name="f"), "functions of its own"),
}


@pytest.mark.parametrize(("change", "reason"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_light_file_that_is_more_than_a_network_is_refused(tmp_path, change, reason):
    (tmp_path / "net.onnx").write_bytes(_message(change))
    with pytest.raises(CorruptedModuleError, match=reason):
        LightEngine(tmp_path, {"generate": ["net.onnx"]}).run("generate", {"x": np.ones(1)})


def test_a_sound_light_file_is_run(tmp_path):
    (tmp_path / "net.onnx").write_bytes(_message(lambda _: None))
    engine = LightEngine(tmp_path, {"generate": ["net.onnx"]})
    assert engine.run("generate", {"x": np.arange(3)})["y"].tolist() == [0, -1, -2]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 40])
def test_a_light_file_that_is_no_model_is_corrupted(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(CorruptedModuleError, match="Fetch the module again"):
        LightEngine(tmp_path, {"generate": ["net.onnx"]}).run("generate", {"x": np.ones(1)})


def test_without_tensorflow_an_encoder_names_the_extra(monkeypatch, module_folder):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(EngineError, match=r"pip install 'galsim-hub\[tensorflow\]'"):
        TensorFlowEngine(module_folder)


def test_chunks_keep_to_the_threads_that_they_may_use():
    import threading

    from galsim_hub.backend.chunks import limit_threads, run_in_chunks

    threads = set()

    def call(chunk):
        threads.add(threading.get_ident())
        return chunk

    rows = np.arange(12.0)
    with limit_threads(1):
        outputs = run_in_chunks(call, {"rows": rows}, 3)
    np.testing.assert_array_equal(outputs["rows"], rows)
    assert threads == {threading.get_ident()}

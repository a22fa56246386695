"""The engine gives a row the same bits whatever its company, and fails clearly."""

from __future__ import annotations

import multiprocessing
import os
import shutil

import numpy as np
import pytest

from galsim_hub import backend
from galsim_hub.backend import load_engine
from galsim_hub.backend.tensorflow import TensorFlowEngine
from galsim_hub.errors import CorruptedModuleError, EngineError
from galsim_hub.spec import read_spec


@pytest.fixture(scope="module")
def engine(module_folder):
    """Load the analytic module."""
    return load_engine(module_folder, read_spec(module_folder))


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


def test_chunks_that_do_not_fill_up_are_padded(engine, module_folder):
    inputs = _inputs(7)
    chunked = TensorFlowEngine(module_folder, chunk_size=4).run("generate", inputs)["image"]
    assert chunked.shape == (7, 128, 128)
    # Another chunk size may round differently, by no more than float32 does.
    expected = engine.run("generate", inputs)["image"]
    np.testing.assert_allclose(chunked, expected, atol=1e-6 * expected.max())


def test_an_engine_is_loaded_once_a_process(engine, module_folder):
    assert load_engine(module_folder, read_spec(module_folder)) is engine


def test_a_signature_that_is_not_there_is_an_error(engine):
    with pytest.raises(EngineError, match="no signature 'dream'; it has"):
        engine.run("dream", _inputs(1))


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


@pytest.mark.usefixtures("engine")
def test_a_fork_of_a_process_that_runs_tensorflow_is_told_so_and_does_not_hang(module_folder):
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_report_engine_error, args=(module_folder, results))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert f"started in process {os.getpid()}" in results.get()

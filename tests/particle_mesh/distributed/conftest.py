"""Runs of scripts in processes of their own: devices are chosen before TensorFlow starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def run_script():
    """Give a function that runs a script, here or as several processes."""

    def run(script, *arguments, n_tasks=0):
        launcher = ["-m", "galsim_hub", "launch", "--grace", "30", "--tasks", str(n_tasks)]
        command = [*(launcher if n_tasks else []), FOLDER / script, *arguments]
        return subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def received(run_script, tmp_path_factory):
    """Give what four threads, each with a device, received of each other."""
    path = tmp_path_factory.mktemp("exchange") / "received.npz"
    result = run_script("exchange.py", path)
    assert result.returncode == 0, result.stderr
    return np.load(path)


@pytest.fixture(scope="session")
def simulated(run_script, tmp_path_factory):
    """Give boxes simulated alone, on devices of one process, and by two processes."""
    folder = tmp_path_factory.mktemp("simulated")
    for n_tasks, meshes in ((0, ["4x1", "2x2", "1x1", "0x0"]), (2, ["2x1"])):
        result = run_script("simulate.py", folder, "float64", *meshes, n_tasks=n_tasks)
        assert result.returncode == 0, result.stderr
    return {path.stem: np.load(path) for path in folder.iterdir()}

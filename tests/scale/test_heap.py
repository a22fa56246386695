"""Dask's workers keep a galaxy's memory for the next one, and give it back when they are done."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Page faults of a hundred arrays of 256 pages, each freed at once: before, inside, and after.
COUNT = """
import resource
import numpy as np
from galsim_hub.scale.heap import keep_freed_memory

def count_faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(1 << 17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

count_faults()
before = count_faults()
with keep_freed_memory():
    inside = count_faults()
print(before, inside, count_faults())
"""


pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc"
)


def count_faults(settings):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, env=env | settings, capture_output=True, text=True, check=True)
    return [int(count) for count in done.stdout.split()]


def test_freed_memory_is_kept_inside_and_returned_afterwards():
    before, inside, after = count_faults({"MALLOC_TRIM_THRESHOLD_": "65536"})
    assert before > 20_000  # as Dask starts its workers, each array comes from the system
    assert inside < before / 10
    assert after > before / 2


@pytest.mark.parametrize("settings", [{}, {"MALLOC_TRIM_THRESHOLD_": "134217728"}])
def test_an_environment_that_keeps_memory_itself_is_left_alone(settings):
    before, inside, after = count_faults(settings)
    assert inside == pytest.approx(before, abs=300)
    assert after == pytest.approx(before, abs=300)

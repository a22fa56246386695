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

# Page faults a galaxy of a shard, of which the first draw has started the network.
DRAW = """
import pathlib, resource, sys
import galsim
import numpy as np
import pyarrow as pa
from pyarrow import parquet
import galsim_hub
from galsim_hub import scale
from galsim_hub.scale import run, shard

model, folder = galsim_hub.GenerativeGalaxyModel("hub:cosmos"), pathlib.Path(sys.argv[1])
conditions = model.sample_conditions(256, galsim.BaseDeviate(1))
parquet.write_table(pa.table({"id": np.arange(256), **conditions}), folder / "rows.parquet")
run.draw_shard = lambda *task: shard.draw_shard(*task, n_threads=1)  # as a worker does
for name in ("first", "second"):
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    view = {"psf": galsim.Kolmogorov(fwhm=0.7), "pixel_scale": 0.2, "size": 48}
    scale.draw(folder / "rows.parquet", model, folder / name, **view)
    faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start) / 256
print(round(faults))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc"
)


def count_faults(settings, program=COUNT, *arguments):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", program, *map(str, arguments)]
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


def test_a_shard_is_drawn_in_memory_that_is_kept(tmp_path):
    (faults,) = count_faults({"MALLOC_TRIM_THRESHOLD_": "65536"}, DRAW, tmp_path)
    assert faults < 100  # three times as many, if it is given back

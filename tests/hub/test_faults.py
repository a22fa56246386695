"""A few of the trials of ``tests/benchmarks/bench_faults.py``, which runs hundreds."""

from __future__ import annotations

import pytest

from ..benchmarks import bench_faults


@pytest.fixture(scope="module")
def bench():
    with bench_faults.bench() as bench:
        yield bench


@pytest.mark.parametrize(
    ("trial", "n"),
    [
        (bench_faults.kill, 4),
        (bench_faults.disk_full, 2),
        (bench_faults.concurrent, 1),
        (bench_faults.read_only, 1),
        (bench_faults.clock, 1),
        (bench_faults.flipped, 4),
    ],
)
def test_nothing_is_lost_or_half_written(bench, trial, n):
    good, n_done = trial(bench, n)
    assert good == n_done

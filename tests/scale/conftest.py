"""A catalogue in every form, and a real cluster of two worker processes on this machine."""

from __future__ import annotations

import dask
import numpy as np
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster
from pyarrow import parquet

N_ROWS = 22


@pytest.fixture(scope="session")
def columns():
    """Give the columns of a catalogue, its ids not in order."""
    rng = np.random.default_rng(3)
    return {
        "id": 1000 + rng.permutation(N_ROWS),
        "flux_radius": rng.uniform(4.0, 16.0, N_ROWS),
        "mag_auto": rng.uniform(21.0, 25.0, N_ROWS),
        "zphot": rng.uniform(0.1, 2.0, N_ROWS),
    }


@pytest.fixture
def write_parquet(tmp_path):
    """Give a function that writes columns to a Parquet file and returns its path."""

    def write(columns, name="catalogue.parquet", row_group_size=5):
        parquet.write_table(pa.table(columns), tmp_path / name, row_group_size=row_group_size)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def client():
    """Start a scheduler and two worker processes; workers that die are started again."""
    # One death of a worker is an accident, two are the shard's fault: sooner than by default.
    patience = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with (
        patience,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client

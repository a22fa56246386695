"""Worker processes of a real scheduler give the bits of one process, also when they die."""

from __future__ import annotations

import os
import signal
import threading
import time

import dask.dataframe as dd
import galsim
import pandas as pd
import pytest

from galsim_hub import errors, scale
from tests.scale.contents import list_partial, list_parts, read_files

VIEW = {"psf": galsim.Gaussian(fwhm=0.7), "pixel_scale": 0.1, "size": 300}


def test_two_workers_give_the_bytes_of_one_process(
    client, module_folder, columns, write_parquet, tmp_path
):
    path = write_parquet(columns)
    scale.draw(path, module_folder, tmp_path / "one", shard_size=4)
    summary = scale.draw(path, module_folder, tmp_path / "two", shard_size=4, client=client)
    assert summary.n_new_shards == 6
    assert read_files(tmp_path / "two") == read_files(tmp_path / "one")


@pytest.mark.parametrize("n_partitions", [1, 5])
def test_partitions_of_a_dask_dataframe_change_no_byte(
    client, module_folder, columns, write_parquet, tmp_path, n_partitions
):
    scale.draw(write_parquet(columns), module_folder, tmp_path / "file", shard_size=4)
    frame = dd.from_pandas(pd.DataFrame(columns), npartitions=n_partitions, sort=False)
    output = tmp_path / "frame"
    scale.draw(frame, module_folder, output, shard_size=4, client=client)
    assert read_files(output) == read_files(tmp_path / "file")
    again = scale.draw(frame, module_folder, output, shard_size=4, client=client)
    assert again.n_new_shards == 0


def test_a_dask_dataframe_is_drawn_without_a_cluster(
    module_folder, columns, write_parquet, tmp_path
):
    scale.draw(write_parquet(columns), module_folder, tmp_path / "file", shard_size=4)
    frame = dd.from_pandas(pd.DataFrame(columns), npartitions=3, sort=False)
    scale.draw(frame, module_folder, tmp_path / "frame", shard_size=4)
    assert read_files(tmp_path / "frame") == read_files(tmp_path / "file")


def test_a_catalogue_that_knows_its_dataframe_is_drawn(module_folder, columns, tmp_path):
    class Catalog:  # as LSDB's, of which only this is used
        def to_dask_dataframe(self):
            return dd.from_pandas(pd.DataFrame(columns), npartitions=3, sort=False)

    scale.draw(Catalog(), module_folder, tmp_path / "catalog", shard_size=4)
    scale.draw(Catalog().to_dask_dataframe(), module_folder, tmp_path / "frame", shard_size=4)
    assert read_files(tmp_path / "catalog") == read_files(tmp_path / "frame")


def test_a_folder_in_the_way_of_a_frame_is_left_alone(module_folder, columns, tmp_path):
    precious = tmp_path / "out.catalogue" / "notes.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    frame = dd.from_pandas(pd.DataFrame(columns), npartitions=3, sort=False)
    with pytest.raises(errors.OutputError, match="is in the way"):
        scale.draw(frame, module_folder, tmp_path / "out", shard_size=4)
    assert precious.read_text() == "mine"


def test_a_worker_killed_half_way_costs_no_galaxy(
    client, module_folder, columns, write_parquet, tmp_path
):
    path, output = write_parquet(columns), tmp_path / "out"
    options = {"shard_size": 1, **VIEW}
    victim = next(iter(client.run(os.getpid).values()))
    n_done = []

    def kill():
        while not list_parts(output):
            time.sleep(0.001)
        os.kill(victim, signal.SIGKILL)
        n_done.append(len(list_parts(output)))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    summary = scale.draw(path, module_folder, output, client=client, **options)
    killer.join()
    assert 0 < n_done[0] < 22
    assert summary.n_rows == 22
    assert victim not in client.run(os.getpid).values()
    scale.draw(path, module_folder, tmp_path / "one", **options)
    assert read_files(output) == read_files(tmp_path / "one")
    assert list_partial(output) == []


def test_a_bad_row_of_a_worker_stops_the_run(
    client, module_folder, columns, write_parquet, tmp_path
):
    ids = columns["id"].tolist()
    ids[5] = None
    path = write_parquet({name: list(column) for name, column in columns.items()} | {"id": ids})
    with pytest.raises(errors.BadRowError, match="Row 5 .*id is None"):
        scale.draw(
            path, module_folder, tmp_path / "out", client=client, shard_size=2, on_bad_row="raise"
        )
    summary = scale.draw(path, module_folder, tmp_path / "out", client=client, shard_size=2)
    assert [bad.row for bad in summary.bad_rows] == [5]


def test_a_shard_that_kills_every_worker_is_named(
    client, module_folder, columns, write_parquet, tmp_path, monkeypatch
):
    monkeypatch.setattr("galsim_hub.scale.run.draw_shard", _die)
    with pytest.raises(errors.WorkerError, match="Shard 0 was not drawn.*shard_size"):
        scale.draw(
            write_parquet(columns), module_folder, tmp_path / "out", client=client, shard_size=22
        )


def _die(job, index, pieces, n_threads):
    os.kill(os.getpid(), signal.SIGKILL)

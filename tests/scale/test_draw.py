"""A catalogue is drawn whole, resumed, and refused with its reason, in one process."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time

import galsim
import numpy as np
import pyarrow as pa
import pytest
import zarr
from astropy.table import MaskedColumn, QTable, Table
from pyarrow import parquet

from galsim_hub import GenerativeGalaxyModel, errors, scale
from galsim_hub.network import GalaxyNetwork
from galsim_hub.scale import run
from tests.scale.contents import list_partial, list_parts, read_files

PSF = galsim.Gaussian(fwhm=0.7)


def read_truth(summary):
    return parquet.read_table(summary.truth).to_pydict()


def test_stamps_are_those_of_the_model_and_the_ids(model, columns, write_parquet, tmp_path):
    summary = scale.draw(write_parquet(columns), model, tmp_path / "out", shard_size=4)
    expected = model.sample_images(columns, obj_ids=columns["id"].tolist())
    np.testing.assert_array_equal(zarr.open_array(summary.stamps, mode="r")[:], expected)
    truth = read_truth(summary)
    assert truth["row"] == list(range(len(expected)))
    assert truth["id"] == columns["id"].tolist()
    assert truth["zphot"] == columns["zphot"].tolist()
    np.testing.assert_allclose(truth["stamp_flux"], expected.sum(axis=(1, 2)), rtol=1e-5)
    assert (summary.n_rows, summary.n_shards, summary.n_new_shards, summary.n_bad) == (22, 6, 6, 0)


def test_images_are_those_that_galsim_draws(model, columns, write_parquet, tmp_path):
    view = {"psf": PSF, "pixel_scale": 0.2, "size": 24}
    summary = scale.draw(write_parquet(columns), model, tmp_path / "out", shard_size=8, **view)
    images = zarr.open_array(summary.stamps, mode="r")
    galaxy = model.sample(columns, obj_ids=columns["id"].tolist())[9]
    expected = galsim.Convolve(galaxy, PSF).drawImage(nx=24, ny=24, scale=0.2, dtype=np.float32)
    np.testing.assert_array_equal(images[9], expected.array)


def test_every_form_of_a_catalogue_gives_the_same_bytes(model, columns, write_parquet, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, (start, stop) in enumerate([(0, 3), (3, 15), (15, 22)]):
        part = {name: column[start:stop] for name, column in columns.items()}
        write_parquet(part, f"parts/part-{number}.parquet")
    Table(columns).write(tmp_path / "catalogue.fits")
    forms = [write_parquet(columns), parts, tmp_path / "catalogue.fits"]
    outputs = [tmp_path / f"out{number}" for number in range(len(forms))]
    for form, output in zip(forms, outputs, strict=True):
        scale.draw(form, model, output, shard_size=8)
    assert read_files(outputs[0])
    assert read_files(outputs[0]) == read_files(outputs[1])
    assert read_files(outputs[0]) == read_files(outputs[2])


def test_units_of_a_fits_file_are_converted(model, columns, write_parquet, tmp_path):
    from astropy import units

    table = QTable(columns)
    table["flux_radius"] = table["flux_radius"] * (0.03 * units.arcsec)
    table.write(tmp_path / "catalogue.fits")
    summary = scale.draw(tmp_path / "catalogue.fits", model, tmp_path / "out")
    np.testing.assert_allclose(read_truth(summary)["flux_radius"], columns["flux_radius"])


def test_text_ids_are_seeds_too(model, columns, tmp_path):
    names = [f"tract {i}" for i in columns["id"]]
    Table(columns | {"id": names}).write(tmp_path / "catalogue.fits")
    summary = scale.draw(tmp_path / "catalogue.fits", model, tmp_path / "out")
    expected = model.sample_images(columns, obj_ids=names)
    np.testing.assert_array_equal(zarr.open_array(summary.stamps, mode="r")[:], expected)
    assert read_truth(summary)["id"] == names


def test_ids_that_pandas_keeps_as_categories_are_seeds_too(model, columns, write_parquet, tmp_path):
    ids = [f"cosmos-{number % 5}" for number in range(len(columns["id"]))]
    catalogue = write_parquet(columns | {"id": pa.array(ids).dictionary_encode()})
    summary = scale.draw(catalogue, model, tmp_path / "out")
    assert read_truth(summary)["id"] == ids
    expected = model.sample_images(columns, obj_ids=ids)
    np.testing.assert_array_equal(zarr.open_array(summary.stamps, mode="r")[:], expected)


def test_a_second_run_draws_nothing(model, columns, write_parquet, tmp_path):
    path, output = write_parquet(columns), tmp_path / "out"
    scale.draw(path, model, output, shard_size=4)
    times = [part.stat().st_mtime_ns for part in list_parts(output)]
    assert scale.draw(path, model, output, shard_size=4).n_new_shards == 0
    assert [part.stat().st_mtime_ns for part in list_parts(output)] == times


def test_what_is_missing_or_damaged_or_changed_is_drawn_again(
    model, columns, write_parquet, tmp_path
):
    output, reference = tmp_path / "out", tmp_path / "reference"
    scale.draw(write_parquet(columns), model, output, shard_size=4)
    parts = list_parts(output)
    parts[0].unlink()
    parts[1].write_bytes(b"PAR1 cut short")
    (output / "stamps.zarr" / "c" / "2" / "0" / "0").unlink()
    changed = columns | {"zphot": np.where(np.arange(22) == 13, 1.5, columns["zphot"])}
    path = write_parquet(changed)
    assert scale.draw(path, model, output, shard_size=4).n_new_shards == 4
    scale.draw(path, model, reference, shard_size=4)
    assert read_files(output) == read_files(reference)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    module_folder, columns, write_parquet, tmp_path
):
    output, reference = tmp_path / "out", tmp_path / "reference"
    path = write_parquet(columns)
    options = "shard_size=1, psf=galsim.Gaussian(fwhm=0.7), pixel_scale=0.1, size=300"
    code = (
        "import galsim, galsim_hub.scale;"
        f"galsim_hub.scale.draw({str(path)!r}, {str(module_folder)!r}, {str(output)!r}, {options})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while len(list_parts(output)) < 2 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    n_done = len(list_parts(output))
    view = {"shard_size": 1, "psf": PSF, "pixel_scale": 0.1, "size": 300}
    assert scale.draw(path, module_folder, output, **view).n_new_shards == 22 - n_done
    scale.draw(path, module_folder, reference, **view)
    assert read_files(output) == read_files(reference)


def spoil(columns):
    zphot, ids = columns["zphot"].copy(), columns["id"].tolist()
    zphot[[3, 17]] = np.nan, -1.0
    ids[5] = None
    return columns | {"zphot": zphot, "id": pa.array(ids)}


def test_bad_rows_are_reported_and_the_others_are_drawn(model, columns, write_parquet, tmp_path):
    path, output = write_parquet(spoil(columns)), tmp_path / "out"
    summary = scale.draw(path, model, output, shard_size=4)
    reasons = {bad.row: bad.reason for bad in summary.bad_rows}
    assert reasons == {3: "zphot is nan", 5: "id is None", 17: "zphot is -1.0"}
    assert summary.n_bad == 3
    stamps = zarr.open_array(summary.stamps, mode="r")[:]
    good = [i for i in range(22) if i not in reasons]
    expected = model.sample_images(columns, obj_ids=columns["id"].tolist())
    np.testing.assert_array_equal(stamps[good], expected[good])
    assert np.isnan(stamps[list(reasons)]).all()
    truth = read_truth(summary)
    assert {i: error for i, error in enumerate(truth["error"]) if error} == reasons
    assert scale.draw(path, model, output, shard_size=4).bad_rows == summary.bad_rows


def test_rows_that_catalogues_mark_as_missing_are_bad(model, columns, write_parquet, tmp_path):
    radius, magnitude = columns["flux_radius"].copy(), columns["mag_auto"].copy()
    radius[4], magnitude[9] = 0.0, 99.0
    path = write_parquet(columns | {"flux_radius": radius, "mag_auto": magnitude})
    summary = scale.draw(path, model, tmp_path / "out", shard_size=4)
    reasons = {bad.row: bad.reason for bad in summary.bad_rows}
    assert reasons == {4: "flux_radius is 0.0", 9: "mag_auto is 99.0"}


def test_numbers_that_stand_for_nothing_in_fits_are_bad_rows(model, columns, tmp_path):
    table = Table(columns | {"mag_auto": np.full(len(columns["id"]), 23)})
    for name, row, unit in (("id", 2, None), ("mag_auto", 4, "mag")):
        is_missing = np.arange(len(table)) == row
        table[name] = MaskedColumn(table[name], mask=is_missing, unit=unit)
    table.write(tmp_path / "catalogue.fits")  # with TNULL: integers know no NaN
    summary = scale.draw(tmp_path / "catalogue.fits", model, tmp_path / "out", on_bad_row="skip")
    found = enumerate(read_truth(summary)["error"])
    assert {i: error for i, error in found if error} == {
        2: "id is None",
        4: "mag_auto is nan",
    }


def test_a_row_that_the_network_makes_nonsense_of_is_bad(
    model, columns, write_parquet, tmp_path, monkeypatch
):
    decoded = GalaxyNetwork._run

    def spoiled(self, signature, inputs):
        outputs = decoded(self, signature, inputs)
        outputs["image"][inputs["zphot"] == np.float32(columns["zphot"][6])] = np.nan
        return outputs

    path, output = write_parquet(columns), tmp_path / "out"
    monkeypatch.setattr(GalaxyNetwork, "_run", spoiled)
    summary = scale.draw(path, model, output, shard_size=4)
    assert [(bad.row, bad.reason) for bad in summary.bad_rows] == [(6, "its pixels are not finite")]
    stamps = zarr.open_array(summary.stamps, mode="r")[:]
    assert np.isfinite(stamps[[5, 7]]).all()
    assert np.isnan(stamps[6]).all()
    with pytest.raises(errors.BadRowError, match="Row 6 .*not finite"):
        scale.draw(path, model, tmp_path / "strict", shard_size=4, on_bad_row="raise")


def test_a_catalogue_of_bad_rows_alone_is_told_of(model, columns, write_parquet, tmp_path):
    path = write_parquet(columns | {"zphot": np.full(22, np.nan)})
    summary = scale.draw(path, model, tmp_path / "out", shard_size=4)
    assert summary.n_bad == 22
    assert scale.draw(path, model, tmp_path / "out", shard_size=4).n_new_shards == 0


def test_what_killed_writers_left_is_removed(model, columns, write_parquet, tmp_path):
    path, output = write_parquet(columns), tmp_path / "out"
    scale.draw(path, model, output, shard_size=4)
    (list_parts(output)[2]).unlink()
    (output / "truth.parquet" / ".part-00000002.parquet.ab.partial").write_bytes(b"PAR1")
    (output / "stamps.zarr" / "c" / "2" / "0" / "0.ab.partial").write_bytes(b"half")
    assert len(list_partial(output)) == 2
    scale.draw(path, model, output, shard_size=4)
    assert list_partial(output) == []


def test_a_bad_row_stops_a_run_that_asks_for_it(model, columns, write_parquet, tmp_path):
    path, output = write_parquet(spoil(columns)), tmp_path / "out"
    with pytest.raises(errors.BadRowError, match="Row 3 .*zphot is nan.*on_bad_row='skip'") as info:
        scale.draw(path, model, output, shard_size=3, on_bad_row="raise")
    assert info.value.row == 3
    assert len(list_parts(output)) == 1
    scale.draw(path, model, output, shard_size=3)
    with pytest.raises(errors.BadRowError, match="Row 3 "):
        scale.draw(path, model, output, shard_size=3, on_bad_row="raise")


def test_a_full_disk_leaves_nothing_half_written(model, columns, write_parquet, tmp_path):
    path, output, reference = write_parquet(columns), tmp_path / "out", tmp_path / "reference"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(errors.OutputError, match="The disk is full.*Make room"):
            scale.draw(path, model, output, shard_size=8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list_parts(output) == []
    assert list_partial(output) == []
    assert not list(output.glob("stamps.zarr/c/*/0/0"))
    scale.draw(path, model, output, shard_size=8)
    scale.draw(path, model, reference, shard_size=8)
    assert read_files(output) == read_files(reference)


def test_the_output_of_another_run_is_refused(model, columns, write_parquet, tmp_path):
    path, output = write_parquet(columns), tmp_path / "out"
    scale.draw(path, model, output, shard_size=8)
    with pytest.raises(errors.OutputError, match="shard_size = 8, this one has 4"):
        scale.draw(path, model, output, shard_size=4)
    with pytest.raises(errors.OutputError, match="is not empty"):
        scale.draw(path, model, tmp_path)


@pytest.mark.parametrize("damaged", ["", '{"format": 1, "modu', "[]", "\xff"])
def test_a_damaged_run_is_refused_by_the_name_of_its_file(
    model, columns, write_parquet, tmp_path, damaged
):
    path, output = write_parquet(columns), tmp_path / "out"
    scale.draw(path, model, output, shard_size=np.int64(8))
    (output / "run.json").write_text(damaged, encoding="latin-1")
    with pytest.raises(errors.OutputError, match=r"out/run.json is damaged.*give a new folder"):
        scale.draw(path, model, output, shard_size=8)


def test_rows_outside_the_trained_range_are_warned_of_once(
    module_folder, columns, write_parquet, tmp_path
):
    path = write_parquet(columns | {"zphot": np.linspace(3.0, 5.5, 22)})
    outside = int((np.linspace(3.0, 5.5, 22) > 4.5).sum())
    with pytest.warns(errors.ExtrapolationWarning, match=f"{outside} of 22 rows") as caught:
        summary = scale.draw(path, module_folder, tmp_path / "out", shard_size=3)
    assert len(caught) == 1
    assert sum(read_truth(summary)["is_extrapolated"]) == outside
    strict = GenerativeGalaxyModel(module_folder, "error")
    assert scale.draw(path, strict, tmp_path / "strict").n_bad == outside


def test_memory_does_not_grow_with_the_catalogue(model, columns, write_parquet, tmp_path):
    import tracemalloc

    def peak(n_rows, output):
        rows = {name: np.resize(column, n_rows) for name, column in columns.items()}
        path = write_parquet(rows, f"{n_rows}.parquet")
        tracemalloc.start()
        scale.draw(path, model, output, shard_size=8)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(8, tmp_path / "warm")
    few, many = peak(16, tmp_path / "few"), peak(128, tmp_path / "many")
    stamps = 8 * model.stamp_size**2 * 4
    assert many < few + stamps  # the 112 rows more would be 14 times that


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"id_column": "ident"}, errors.TableError, "no column 'ident'.*id_column="),
        ({"id_column": "zphot"}, errors.TableError, "whole numbers or texts"),
        ({"catalogue": "nowhere.fits"}, errors.TableError, "no catalogue"),
        ({"catalogue": {"id": [1]}}, errors.TableError, "a Dask dataframe or LSDB's, got dict"),
        ({"psf": PSF}, errors.ImageError, "Give all three"),
        ({"psf": PSF, "pixel_scale": -0.2, "size": 24}, errors.ImageError, "above zero"),
        ({"psf": PSF, "pixel_scale": np.nan, "size": 24}, errors.ImageError, "above zero"),
        ({"psf": PSF, "pixel_scale": 0.2, "size": -24}, errors.ImageError, "above zero"),
        ({"psf": PSF, "pixel_scale": ".2", "size": 24}, errors.ImageError, "pixel_scale='.2'"),
        ({"psf": PSF, "pixel_scale": np.inf, "size": 24}, errors.ImageError, "pixel_scale=inf"),
        (
            {"psf": PSF, "pixel_scale": 0.2, "size": 24.5},
            errors.ImageError,
            "the size a whole number",
        ),
        ({"client": "tcp://1:2"}, ValueError, r"got 'tcp://1:2'. Give client=Client\('tcp://1:2'"),
        ({"client": 1}, ValueError, r"Give client=Client\(cluster\), or none"),
        ({"on_bad_row": "ignore"}, ValueError, "'skip' or 'raise'"),
        ({"shard_size": 0}, ValueError, "1 or more"),
        ({"shard_size": 16.5}, ValueError, "a whole number, 1 or more, got 16.5"),
        ({"shard_size": "16"}, ValueError, "a whole number, 1 or more, got '16'"),
    ],
)
def test_a_wrong_argument_says_what_to_give(
    model, columns, write_parquet, tmp_path, change, error, message
):
    arguments = {"catalogue": write_parquet(columns), "module": model, "output": tmp_path / "out"}
    with pytest.raises(error, match=message):
        scale.draw(**(arguments | change))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("columns_changed", "error", "message"),
    [
        ({"zphot": ["a"] * 22}, errors.ConditionError, "must be a number, got 'a' of"),
        ({"zphot": None}, errors.TableError, "no column 'zphot'"),
    ],
)
def test_a_column_that_cannot_be_used_stops_before_the_first_galaxy(
    model, columns, write_parquet, tmp_path, columns_changed, error, message
):
    changed = {k: v for k, v in (columns | columns_changed).items() if v is not None}
    with pytest.raises(error, match=message):
        scale.draw(write_parquet(changed), model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_format_is_refused_by_name(model, tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"no table")
    (tmp_path / "table.csv").write_text("id\n1\n")
    with pytest.raises(errors.TableError, match="broken.parquet cannot be read"):
        scale.draw(tmp_path / "broken.parquet", model, tmp_path / "out")
    with pytest.raises(errors.TableError, match="of no known format"):
        scale.draw(tmp_path / "table.csv", model, tmp_path / "out")


def test_an_empty_catalogue_is_refused(model, columns, write_parquet, tmp_path):
    path = write_parquet({name: column[:0] for name, column in columns.items()})
    with pytest.raises(errors.TableError, match="no rows"):
        scale.draw(path, model, tmp_path / "out")


def test_a_missing_package_names_the_extra(monkeypatch, model, tmp_path):
    monkeypatch.setattr(run, "_PACKAGES", ("a_package_that_nobody_has",))
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'galsim-hub\[scale\]'"):
        scale.draw("catalogue.fits", model, tmp_path / "out")

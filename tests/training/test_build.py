"""A stamp set: shards that are whole or absent, and a manifest that says what they hold."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.config import fingerprint
from training.data import build, records
from training.data.fetch import sha256_of
from training.data.pipeline import StampSet
from training.data.split import SPLITS
from training.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


@pytest.fixture
def small_config(make_data_config, folder):
    return make_data_config(directory=str(folder), limit=24, shard_size=8)


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.tfrecord")}


def test_manifest_counts_every_usable_galaxy_once(stamp_config, catalogue_table):
    manifest = build.load_manifest(stamp_config.directory)
    good = [int(i) for k, i in enumerate(catalogue_table["IDENT"]) if k not in (3, 5, 8)]
    fractions = [i * 2654435761 % 2**32 / 2**32 for i in good]
    train = sum(u < 0.8 for u in fractions)
    test = sum(u >= 0.9 for u in fractions)
    expected = {"train": train, "validation": len(good) - train - test, "test": test}
    assert manifest["counts"] == expected
    assert manifest["failed"] == 0
    assert manifest["catalogue_size"] == len(catalogue_table) - 1  # without the one bad fit


def test_manifest_states_inputs_units_and_configuration(stamp_config):
    manifest = build.load_manifest(stamp_config.directory)
    # The stand-in for the PSFs is no file.
    assert manifest["inputs"] == {"fits.fits": sha256_of(stamp_config.catalogue)}
    assert manifest["config_sha256"] == fingerprint(stamp_config)
    assert manifest["conditions"] == ["flux_radius", "mag_auto", "zphot"]
    arrays = {"image", "psf", "noise_variance", *manifest["conditions"]}
    assert arrays <= set(manifest["units"])


def test_manifest_states_the_hash_of_every_shard(stamp_config):
    manifest = build.load_manifest(stamp_config.directory)
    shards = digests(Path(stamp_config.directory))
    assert {name: entry["sha256"] for name, entry in manifest["shards"].items()} == shards


def test_no_galaxy_is_in_two_splits(stamp_config):
    stamps = StampSet(stamp_config.directory)
    members = [
        {int(i) for batch in stamps.ordered(split, 64) for i in batch["ident"]} for split in SPLITS
    ]
    assert [len(m) for m in members] == [stamps.count(split) for split in SPLITS]
    assert len(set.union(*members)) == sum(map(len, members))


def test_lost_shard_alone_is_drawn_again_with_the_same_bytes(small_config, folder, build_here):
    _, drawn = build_here(small_config)
    before = digests(folder)
    assert sorted(drawn) == sorted(before)
    (folder / "train-00001.tfrecord").unlink()
    (folder / "train-00001.tfrecord.json").unlink()
    _, drawn = build_here(small_config)
    assert drawn == ["train-00001.tfrecord"]
    assert digests(folder) == before


def test_shard_whose_drawing_was_killed_is_no_shard(small_config, folder, build_here):
    build_here(small_config)
    before = digests(folder)
    (folder / "train-00000.tfrecord").rename(folder / "train-00000.tfrecord.part")
    (folder / "train-00000.tfrecord.json").unlink()
    _, drawn = build_here(small_config)
    assert drawn == ["train-00000.tfrecord"]
    assert digests(folder) == before
    assert not list(folder.glob("*.part"))


def test_finished_set_is_not_drawn_again(small_config, build_here):
    manifest, _ = build_here(small_config)
    again, drawn = build_here(small_config)
    assert drawn == []
    assert again == manifest


def test_folder_of_another_configuration_is_refused_and_kept(small_config, folder, build_here):
    build_here(small_config)
    before = digests(folder)
    with pytest.raises(DataError, match="another configuration"):
        build_here(dataclasses.replace(small_config, seed=1))
    assert digests(folder) == before


def test_catalogue_with_another_hash_is_refused(small_config, build_here):
    with pytest.raises(DataError, match="sha256"):
        build_here(dataclasses.replace(small_config, catalogue_sha256="0" * 64))


@pytest.fixture
def own_catalogue(catalogue_file, tmp_path):
    return Path(shutil.copy(catalogue_file, tmp_path / "own.fits"))


def test_shards_of_a_catalogue_that_was_changed_are_not_taken_for_the_new_one_s(
    make_data_config, own_catalogue, catalogue_table, folder, build_here
):
    config = make_data_config(directory=str(folder), catalogue=str(own_catalogue), limit=24)
    build_here(config)
    before = digests(folder)
    changed = catalogue_table.copy()
    changed["flux"] *= 100.0
    changed.write(own_catalogue, overwrite=True)
    for lost in ("manifest.json", "inputs.json"):  # either tells
        kept = (folder / lost).read_bytes()
        (folder / lost).unlink()
        with pytest.raises(DataError, match=r"another own\.fits.*remove"):
            build_here(config)
        (folder / lost).write_bytes(kept)
    assert digests(folder) == before


@pytest.mark.parametrize("keep", [None, 0, 1000])
def test_damaged_shard_is_refused_by_a_fit_and_drawn_again(small_config, folder, build_here, keep):
    build_here(small_config)
    before, path = digests(folder), folder / "train-00000.tfrecord"
    content = path.read_bytes()
    path.unlink() if keep is None else path.write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"train-00000.*training data"):
        StampSet(str(folder))
    _, drawn = build_here(small_config)
    assert drawn == [path.name]
    assert digests(folder) == before


def test_other_bytes_of_the_same_number_are_drawn_again(small_config, folder, build_here):
    build_here(small_config)
    before, path = digests(folder), folder / "train-00000.tfrecord"
    path.write_bytes(path.read_bytes()[::-1])
    build_here(small_config)
    assert digests(folder) == before


def test_epoch_that_lost_stamps_is_an_error_and_not_a_wait_for_ever(
    small_config, folder, build_here
):
    build_here(small_config)
    manifest = json.loads((folder / "manifest.json").read_text())
    shards = [name for name in manifest["shards"] if name.startswith("train")]
    for name in shards:
        (folder / name).write_bytes(b"")
        del manifest["shards"][name]["size"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="lost stamps"):
        next(StampSet(str(folder)).training("train", 8, seed=1))


@pytest.mark.parametrize("text", ["", '{"counts": '])
def test_damaged_manifest_is_written_again_by_the_verb_data(small_config, folder, build_here, text):
    manifest, _ = build_here(small_config)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="damaged.*training data"):
        build.load_manifest(str(folder))
    assert build_here(small_config) == (manifest, [])
    assert build.load_manifest(str(folder)) == json.loads(json.dumps(manifest))


def test_start_that_failed_does_not_keep_the_folder(
    make_data_config, folder, build_here, monkeypatch
):
    config = make_data_config(directory=str(folder), limit=24, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(build, "_draw_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build.build(config)
    build_here(dataclasses.replace(config, seed=2))


def test_missing_and_unreadable_inputs_are_named(
    make_data_config, own_catalogue, tmp_path, build_here
):
    with pytest.raises(DataError, match=r"none\.fits.*data\.psfs"):
        build_here(make_data_config(psfs=str(tmp_path / "none.fits")))
    own_catalogue.write_text("hello")
    with pytest.raises(DataError, match=r"cannot read the catalogue .*own\.fits"):
        build_here(make_data_config(catalogue=str(own_catalogue)))


def test_unfinished_set_has_no_manifest(tmp_path):
    with pytest.raises(DataError, match="python -m training data"):
        build.load_manifest(str(tmp_path))


def test_realisations_repeat_the_training_galaxies_only(small_config):
    from training.data.stamps import StampSource

    config = dataclasses.replace(small_config, realisations=3)
    tasks = build.plan(StampSource(config), config)
    rows = {split: [r for t in tasks if t.split == split for r in t.rows] for split in SPLITS}
    assert {r for _, r in rows["train"]} == {0, 1, 2}
    assert {r for _, r in rows["validation"] + rows["test"]} == {0}
    assert len(rows["train"]) == 3 * len({i for i, _ in rows["train"]})


def test_galaxy_that_galsim_cannot_draw_is_reported_not_hidden(
    make_data_config, folder, build_here, monkeypatch
):
    import galsim

    from training.data.stamps import StampSource

    make = StampSource.make

    def fail_for_one(self, index, realisation=0):
        if index == 0:
            raise galsim.GalSimFFTSizeError("too large", 10**6)
        return make(self, index, realisation)

    monkeypatch.setattr(StampSource, "make", fail_for_one)
    manifest, _ = build_here(make_data_config(directory=str(folder)))
    failed = [f for entry in manifest["shards"].values() for f in entry["failed"]]
    assert manifest["failed"] == 1
    assert failed[0][0] == 100_000
    assert "too large" in failed[0][1]


def test_record_round_trip_is_bit_exact(tmp_path, make_data_config):
    import tensorflow as tf

    from training.data.stamps import StampSource

    source = StampSource(make_data_config())
    stamps = [source.make(i) for i in range(3)]
    assert records.write(str(tmp_path / "shard"), stamps) == 3
    batch = next(iter(tf.data.TFRecordDataset(str(tmp_path / "shard")).batch(3)))
    parsed = records.parse(batch, 32, 17, 3)
    for name in ("image", "psf", "noise_variance", "conditions", "ident", "psf_index"):
        expected = np.array([getattr(stamp, name) for stamp in stamps])
        assert np.array_equal(
            parsed[name].numpy(), expected.astype(parsed[name].dtype.as_numpy_dtype)
        )


def test_manifest_is_valid_json_with_a_tuple_free_configuration(stamp_config):
    manifest = build.load_manifest(stamp_config.directory)
    assert json.loads(json.dumps(manifest)) == manifest

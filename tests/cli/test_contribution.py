"""From `galsim-hub new` to a module that passes the checks of a contribution."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest

from galsim_hub.cli import main
from galsim_hub.contribution import complete, examine, scaffold
from galsim_hub.errors import ContributionError, UnsafeModuleError
from galsim_hub.registries import bundled_root
from galsim_hub.spec import read_spec


@pytest.fixture
def contributed(discs_folder, tmp_path):
    """Copy a complete module, to be spoilt."""
    return shutil.copytree(discs_folder, tmp_path / "discs" / "1")


def faults(folder):
    return {finding.name: finding.value for finding in examine(folder) if not finding.holds}


def change_card(folder, pattern, replacement):
    card = folder / "card.md"
    text, n = re.subn(pattern, replacement, card.read_text(), count=1, flags=re.MULTILINE)
    assert n == 1
    card.write_text(text)


def test_a_completed_scaffold_passes(discs_folder, capsys):
    assert main(["check", str(discs_folder), "--json"]) == 0
    (findings,) = json.loads(capsys.readouterr().out).values()
    names = [finding["name"] for finding in findings]
    assert {"card", "licence", "size", "golden sample, generate"} <= set(names)


def test_completing_keeps_the_comments_of_the_card(contributed):
    before = (contributed / "card.md").read_text()
    complete(contributed)
    assert (contributed / "card.md").read_text() == before
    assert "# [arcsec]" in before


def test_completing_again_gives_the_same_module(contributed):
    identity = read_spec(contributed).sha256
    complete(contributed)
    assert read_spec(contributed).sha256 == identity


def test_a_fresh_scaffold_says_what_is_left_to_do(tmp_path, capsys):
    assert main(["new", "dwarfs", "--in", str(tmp_path)]) == 0
    assert "build.py" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "dwarfs/1")]) == 1
    assert "files" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Dwarfs", "../dwarfs", "", "dwarf galaxies"])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    with pytest.raises(ContributionError, match="Use small letters"):
        scaffold(name, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_scaffold_overwrites_nothing(tmp_path):
    scaffold("dwarfs", tmp_path)
    with pytest.raises(ContributionError, match="is there already"):
        scaffold("dwarfs", tmp_path)


def test_a_card_without_program_cannot_be_completed(tmp_path):
    folder = scaffold("dwarfs", tmp_path)
    with pytest.raises(ContributionError, match=r"no saved_model\.pb.*tf\.saved_model\.save"):
        complete(folder / "1")


def test_a_released_version_is_not_completed_anew():
    released = bundled_root() / "cosmos" / "1"
    with pytest.raises(ContributionError, match="a released version never changes"):
        complete(released)


def test_a_changed_program_is_found_and_not_run(contributed):
    with (contributed / "saved_model.pb").open("ab") as stream:
        stream.write(b"\0")
    names = [finding.name for finding in examine(contributed)]
    assert "saved_model.pb is truncated or changed" in faults(contributed)["files"]
    assert not any(name.startswith("golden") for name in names)


def test_a_program_that_writes_files_is_found_and_not_run(contributed, tmp_path):
    import tensorflow as tf

    vector = tf.TensorSpec([None], tf.float32)

    @tf.function(input_signature=[vector] * 3)
    def generate(half_light_radius, magnitude, axis_ratio):
        tf.io.write_file(str(tmp_path / "spoilt"), "by a module")
        return {
            "image": tf.zeros([1, 48, 48])
            + (half_light_radius + magnitude + axis_ratio)[:, None, None]
        }

    module = tf.Module()
    module.generate = generate
    tf.saved_model.save(module, str(contributed), signatures={"generate": generate})
    with pytest.raises(UnsafeModuleError, match="WriteFile"):
        complete(contributed)
    assert "WriteFile" in faults(contributed)["operations"]
    assert not (tmp_path / "spoilt").exists()


def test_a_file_that_the_card_does_not_know_is_found(contributed):
    (contributed / "weights.npy").touch()
    assert faults(contributed) == {"files": "not in the card: weights.npy"}


def test_what_was_left_to_do_is_found_by_its_line(contributed):
    change_card(contributed, "^- Discs,.*", "- TODO")
    assert re.fullmatch(r"in line \d+", faults(contributed)["TODO in the card"])


def test_a_closed_licence_is_found(contributed):
    change_card(contributed, "^licence: MIT", "licence: ask me")
    assert faults(contributed) == {"licence": "ask me"}


def test_a_folder_of_another_name_is_found(contributed):
    other = contributed.rename(contributed.parent / "2")
    assert faults(other) == {"folder": "discs/2"}


def test_a_version_that_was_released_is_taken(contributed, tmp_path):
    change_card(contributed, "^name: discs", "name: cosmos")
    (tmp_path / "cosmos").mkdir()
    taken = contributed.rename(tmp_path / "cosmos" / "1")
    assert faults(taken) == {"version": "another module was released under it"}


def test_a_missing_cover_is_found(contributed):
    (contributed / "cover.png").unlink()
    assert faults(contributed) == {"cover": "none"}


def test_a_module_that_is_too_large_is_found(contributed, monkeypatch):
    monkeypatch.setattr("galsim_hub.contribution.LARGEST_MODULE", 1000)
    assert list(faults(contributed)) == ["size"]


def test_a_golden_sample_of_another_module_is_found(contributed):
    change_card(contributed, "^  sha256: .*", f"  sha256: {'a' * 64}")
    assert "is changed" in faults(contributed)["program"]


def test_a_check_without_tensorflow_says_what_to_install(contributed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow.core.protobuf.saved_model_pb2", None)
    assert main(["check", str(contributed)]) == 3
    assert "pip install 'galsim-hub[tensorflow]'" in capsys.readouterr().err

"""A card says what a module is; a bad one says what is wrong with it."""

from __future__ import annotations

import hashlib
import json

import pytest

from galsim_hub.errors import CardError, CorruptedModuleError
from galsim_hub.spec import read_spec


def test_a_card_is_read_into_its_spec(module_folder):
    spec = read_spec(module_folder)
    assert spec.label == "analytic@1"
    assert spec.kind == "galaxy"
    assert spec.quantities == ("flux_radius", "mag_auto", "zphot")
    assert spec.inputs[0].range_text == "2.9 to 35 pixel"
    assert spec.inputs[2].range_text == "0.02 to 4.5"
    assert (spec.random_name, spec.random_size) == ("random_normal", 4)
    assert (spec.stamp_size, spec.pixel_size, spec.psf_size) == (128, 0.03, 33)


def test_the_identity_is_the_hash_of_the_canonical_file_list(module_folder):
    spec = read_spec(module_folder)
    canonical = json.dumps(spec.files, sort_keys=True, separators=(",", ":"))
    assert spec.sha256 == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_date_may_be_written_as_yaml_reads_dates(make_card):
    folder = make_card()
    card = folder / "card.md"
    card.write_text(card.read_text().replace("'2026-11-22'", "2026-11-22"))
    assert read_spec(folder).created == "2026-11-22"


def test_a_changed_card_is_read_again(make_card):
    assert read_spec(make_card()).summary == "Exponential ellipses, for tests"
    assert read_spec(make_card(summary="Something else altogether")).summary.startswith("Some")


def test_a_folder_without_a_card_is_no_module(tmp_path):
    with pytest.raises(CardError, match=r"has no card\.md.*give the folder of one version"):
        read_spec(tmp_path)


def test_a_card_of_a_newer_specification_asks_for_an_update(make_card):
    with pytest.raises(CardError, match="specification 2.*Update galsim_hub") as caught:
        read_spec(make_card(spec_version=2))
    assert caught.value.field == "spec_version"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": "one"}, "version"),
        ({"stamp_size": None}, "stamp_size"),
        ({"inputs": [{"name": "zphot", "unit": ""}]}, "inputs.0"),
        ({"files": {"saved_model.pb": "short"}}, "files.saved_model.pb"),
        ({"stamp_sise": 128}, "(top level)"),
        ({"psf_size": 64}, "psf_size"),
        ({"random_input": {"name": "random_normal"}}, "random_input"),
        ({"inputs": [{"name": "seed", "unit": "", "minimum": 0, "maximum": 1}]}, "inputs.0.name"),
        ({"bands": ["g", "r"]}, "signatures"),
        ({"bands": ["g", "g"], "signatures": ["generate"]}, "bands"),
    ],
)
def test_an_invalid_card_names_the_entry(make_card, change, field):
    with pytest.raises(CardError, match="Correct the card") as caught:
        read_spec(make_card(**change))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# no front matter\n", "no YAML front matter"),
        ("---\nname: [\n---\n", "not valid YAML"),
        ("---\njust text\n---\n", "not a YAML mapping"),
    ],
)
def test_a_card_that_cannot_be_parsed_says_why(tmp_path, text, problem):
    (tmp_path / "card.md").write_text(text)
    with pytest.raises(CardError, match=problem):
        read_spec(tmp_path)


def test_intact_files_are_verified(module_folder):
    read_spec(module_folder).verify(module_folder)


def test_a_truncated_file_is_told_by_its_hash(make_card):
    folder = make_card()
    spec = read_spec(folder)
    (folder / "saved_model.pb").write_bytes(b"not a")
    with pytest.raises(CorruptedModuleError, match="truncated or changed.*again") as caught:
        spec.verify(folder)
    assert caught.value.expected == spec.files["saved_model.pb"]
    assert caught.value.got == hashlib.sha256(b"not a").hexdigest()


def test_a_missing_file_is_named(make_card):
    folder = make_card()
    (folder / "saved_model.pb").unlink()
    with pytest.raises(CorruptedModuleError, match=r"saved_model\.pb is missing"):
        read_spec(folder).verify(folder)


@pytest.mark.parametrize("field", ["summary", "licence"])
def test_a_card_holds_no_control_characters(make_card, field):
    with pytest.raises(CardError, match=f"not valid at {field}"):
        read_spec(make_card(**{field: "clear\x1b[2J"}))

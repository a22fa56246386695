"""Whatever a card or an index holds, it is read, or refused by an error of ours."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galsim_hub.errors import CardError, GalSimHubError, RegistryError
from galsim_hub.index import Index, parse_index
from galsim_hub.publish import build_index, format_index
from galsim_hub.spec import ModuleSpec, read_spec

from .conftest import CARD, publish

CASES = int(os.environ.get("GALSIM_HUB_FUZZ_CASES", "60"))  # of each test
FUZZ = settings(max_examples=CASES, deadline=None, derandomize=True,
                suppress_health_check=[HealthCheck.too_slow])  # fmt: skip

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(),
    st.sampled_from(["../x", "http://x/", "", "a" * 3000, "é", "\x00", "1e999", "2026-99-99"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def damaged(draw, document):
    """Replace or delete an entry, anywhere in a document."""
    document = copy.deepcopy(document)
    part = document
    while True:
        key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        if not (isinstance(part[key], dict | list) and part[key]) or draw(st.booleans()):
            break
        part = part[key]
    if draw(st.booleans()):
        part[key] = draw(VALUES)
    else:
        del part[key]
    return document


def read_card(text):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "card.md").write_bytes(text)
        return read_spec(Path(folder))


def check_card(text):
    with contextlib.suppress(GalSimHubError):
        assert isinstance(read_card(text), ModuleSpec)


def check_parsed(content):
    with contextlib.suppress(GalSimHubError):
        assert isinstance(parse_index(content, "/index.json"), Index)


WHOLE_CARD = {**CARD, "files": {"saved_model.pb": "0" * 64}}


@pytest.fixture(scope="module")
def whole_index(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    publish(root)
    return build_index(root)


@FUZZ
@given(damaged(WHOLE_CARD))
def test_a_damaged_card_is_read_or_refused(card):
    check_card(b"---\n" + yaml.safe_dump(card, allow_unicode=True).encode() + b"---\n")


@pytest.mark.parametrize("entry", ["bands: [{}]", "spec_version: {}", "files: {{1: {}}}"])
def test_numbers_of_thousands_of_digits_and_names_that_are_none_are_refused(entry):
    card = yaml.safe_dump(WHOLE_CARD) + entry.format(f"0x{'f' * 5000}") + "\n"
    with pytest.raises(CardError):
        read_card(b"---\n" + card.encode() + b"---\n")


@FUZZ
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_for_a_card_are_refused(content):
    check_card(content)
    check_card(b"---\n" + content + b"\n---\n")


@FUZZ
@given(st.data())
def test_a_damaged_index_is_read_or_refused(whole_index, data):
    document = data.draw(damaged(whole_index))
    check_parsed(json.dumps(document, default=str).encode("utf-8", "replace"))


@FUZZ
@given(
    st.one_of(st.binary(max_size=200), VALUES.map(lambda v: json.dumps(v, default=str).encode()))
)
def test_any_bytes_for_an_index_are_refused(content):
    check_parsed(content)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",  # a few lines spell gigabytes
        "a: &a [*a]",
        "created: 2026-99-99",
        "? {a: 1}\n: 2",
        "[" * 5000,
        "!!python/object/apply:os.system ['true']",
        "a: " + "1" * 10_000,
        "a: \x07",
    ],
)
def test_a_hostile_card_is_refused(text):
    with pytest.raises(CardError):
        read_card(f"---\n{text}\n---\n".encode())


def test_a_huge_card_is_refused():
    with pytest.raises(CardError, match="more than"):
        read_card(b"---\n" + b"#" * (2 << 20))


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("urls", ["http://example.org/small/1/"], "not https"),
        ("urls", ["ftp://example.org/small/1/"], "not https"),
        ("urls", ["../small/1/"], "outside the index's folder"),
        ("urls", ["/etc/"], "outside the index's folder"),
        ("urls", ["https://[x/"], "names no server"),
        ("urls", ["https:///small/1/"], "names no server"),
        ("urls", ["small/1"], "urls"),
        ("name", "../small", "name"),
        ("version", 0, "version"),
        ("identity", "0" * 63, "identity"),
        ("kind", None, "kind"),
    ],
)
def test_a_hostile_entry_is_refused(whole_index, entry, value, reason):
    document = copy.deepcopy(whole_index)
    document["modules"][0][entry] = value
    with pytest.raises(RegistryError, match=reason):
        parse_index(format_index(document).encode(), "/index.json")


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", ".complete.json", "a//b"])
def test_a_file_outside_the_folder_is_refused(whole_index, name):
    document = copy.deepcopy(whole_index)
    document["modules"][0]["files"][name] = {"sha256": "0" * 64, "size": 1}
    with pytest.raises(RegistryError, match="outside its folder"):
        parse_index(format_index(document).encode(), "/index.json")


@pytest.mark.parametrize("name", ["card.md/x", "Card.md/a/b"])
def test_a_file_that_is_a_folder_too_is_refused(whole_index, name):
    document = copy.deepcopy(whole_index)
    document["modules"][0]["files"][name] = {"sha256": "0" * 64, "size": 1}
    with pytest.raises(RegistryError, match="'card.md' both as a file and as a folder"):
        parse_index(format_index(document).encode(), "/index.json")


def test_a_newer_index_asks_for_an_update():
    with pytest.raises(RegistryError, match="Update galsim_hub"):
        parse_index(b'{"index_version": 2}', "/index.json")


def test_a_version_listed_twice_is_refused(whole_index):
    document = {**whole_index, "modules": whole_index["modules"] * 2}
    with pytest.raises(RegistryError, match="there twice"):
        parse_index(format_index(document).encode(), "/index.json")

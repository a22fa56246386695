"""Names lead to folders, and wrong names to near ones."""

from __future__ import annotations

import pytest

from galsim_hub import registries, registry
from galsim_hub.errors import UnknownModuleError
from galsim_hub.publish import write_index

from .conftest import CARD, write_card


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """Bundle three versions of one module and one of another."""
    for part in ("cosmos/1", "cosmos/2", "cosmos/10", "candels/1"):
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "data").touch()
        name, version = part.split("/")
        write_card(tmp_path / part, {**CARD, "name": name, "version": int(version)})
    (tmp_path / "cosmos" / "draft").mkdir()
    write_index(tmp_path)
    monkeypatch.setattr(registries, "bundled_root", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("address", [None, 3, b"hub:cosmos"])
def test_an_address_that_is_no_text_is_refused(address):
    with pytest.raises(UnknownModuleError, match="must be a text or a path, got .*'hub:cosmos'"):
        registry.locate(address)


def test_the_newest_version_is_the_default(bundled):
    location = registry.locate("hub:cosmos")
    assert location.folder == bundled / "cosmos" / "10"
    assert location.address == "hub:cosmos@10"


def test_a_version_can_be_pinned(bundled):
    assert registry.locate("hub:cosmos@2").folder == bundled / "cosmos" / "2"


def test_bundled_modules_are_listed_with_their_versions(bundled):
    assert registry.bundled_versions() == {"candels": (1,), "cosmos": (1, 2, 10)}


def test_a_path_is_made_absolute(bundled, monkeypatch):
    monkeypatch.chdir(bundled)
    location = registry.locate("cosmos/1")
    assert location.folder == bundled.resolve() / "cosmos" / "1"
    assert location.address == str(location.folder)


@pytest.mark.usefixtures("bundled")
def test_an_unknown_name_lists_near_names():
    with pytest.raises(UnknownModuleError, match="Did you mean 'hub:cosmos'") as caught:
        registry.locate("hub:cosmso@1")
    assert caught.value.known == ("hub:candels", "hub:cosmos")
    assert caught.value.file_name == "hub:cosmso@1"


@pytest.mark.usefixtures("bundled")
def test_an_unknown_version_lists_the_versions():
    with pytest.raises(UnknownModuleError, match="no version 3; its versions are 1, 2, 10"):
        registry.locate("hub:cosmos@3")


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("address", ["hub:", "hub:cosmos@", "hub:cosmos@new", "hub:../cosmos"])
def test_a_malformed_name_is_unknown(address):
    with pytest.raises(UnknownModuleError, match="No module is called"):
        registry.locate(address)


@pytest.mark.usefixtures("bundled")
def test_a_forgotten_hub_prefix_is_suggested():
    with pytest.raises(UnknownModuleError, match="Did you mean 'hub:cosmos'"):
        registry.locate("cosmos")

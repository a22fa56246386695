"""What a name means, with several registries, versions, aliases and deprecations."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil

import pytest

from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel, cache, mirrors, registries, registry
from galsim_hub.errors import (
    CorruptedModuleError,
    DownloadError,
    RegistryError,
    RegistryWarning,
    UnknownModuleError,
    UnsafeModuleError,
    UnsupportedModuleError,
)
from galsim_hub.publish import build_index, check_index, format_index, write_index
from galsim_hub.truth_config import describe_galaxy

from .conftest import publish, same_files


@pytest.fixture
def registered(published, monkeypatch):
    """Make the folder of modules a registry of the user's."""
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", str(published / "index.json"))
    return published


def test_a_module_of_a_further_registry_is_fetched_and_pinned(registered):
    location = registry.locate("hub:small")
    assert location.address == "hub:small@1"
    assert location.folder.is_relative_to(cache.cache_root())
    assert same_files(location.folder, registered / "small" / "1")


def test_a_remote_registry_and_its_folder_are_one_mirror(published, server, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{server[0]}/index.json")
    assert same_files(registry.locate("hub:small@1").folder, published / "small" / "1")


def test_offline_the_last_copy_of_a_registry_serves(published, server, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{server[0]}/index.json")
    folder = registry.locate("hub:small@1").folder
    monkeypatch.setenv("GALSIM_HUB_OFFLINE", "1")
    registries._read_remote.cache_clear()
    with pytest.warns(RegistryWarning, match="the copy of the last time"):
        assert registry.locate("hub:small@1").folder == folder


def test_offline_an_unseen_registry_says_what_to_do(server, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{server[0]}/index.json")
    monkeypatch.setenv("GALSIM_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="Unset GALSIM_HUB_OFFLINE"):
        registry.locate("hub:small")


def test_a_bundled_version_that_is_pinned_needs_no_network(monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", "https://127.0.0.1:9/index.json")
    assert registry.locate("hub:cosmos@1").folder.is_dir()


def test_registries_come_from_the_configuration_too(published, empty_cache):
    registries.config_path().write_text(f"registries: ['{published}']\n")
    assert registry.resolve("hub:small").registry == str(published / "index.json")
    assert [listing.release.label for listing in registries.list_releases()][-1] == "small@1"


@pytest.mark.parametrize(
    "text", ["registries: [1]", "- a", "registries: {", "registries: 3", "registrys: [a]"]
)
def test_a_wrong_configuration_is_named(text, empty_cache):
    registries.config_path().write_text(text)
    with pytest.raises(RegistryError, match="config.yaml cannot be used"):
        registries.registry_places()


def test_a_configuration_that_is_named_has_to_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("GALSIM_HUB_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(RegistryError, match=r"none\.yaml cannot be used.*No such file"):
        registries.registry_places()


@pytest.mark.parametrize("name", ["GALSIM_HUB_CACHE", "GALSIM_HUB_CONFIG"])
def test_the_home_of_no_user_is_a_name_like_any_other(monkeypatch, name):
    monkeypatch.setenv(name, "~nosuchuser/x")
    found = {"GALSIM_HUB_CACHE": cache.cache_root, "GALSIM_HUB_CONFIG": registries.config_path}
    assert found[name]().parts[-2:] == ("~nosuchuser", "x")


@pytest.mark.parametrize("field", ["summary", "licence", "deprecated"])
@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\nhub:fake@1  galaxy", "a\n", "\x9b2J"])
def test_what_is_no_plain_line_does_not_reach_a_terminal(registered, field, text):
    document = json.loads((registered / "index.json").read_text())
    document["modules"][0][field] = text
    (registered / "index.json").write_text(json.dumps(document))
    with pytest.raises(RegistryError) as caught:
        registries.list_releases()
    assert text not in str(caught.value)


def test_the_newest_version_that_is_not_deprecated_is_the_default(registered):
    for version in (2, 3):
        publish(registered, version=version)
    (registered / "registry.yaml").write_text("deprecated: {small@3: its fluxes are wrong}\n")
    write_index(registered)
    assert registry.resolve("hub:small").address == "hub:small@2"
    with pytest.warns(RegistryWarning, match="its fluxes are wrong"):
        assert registry.resolve("hub:small@3").address == "hub:small@3"


def test_a_further_registry_never_changes_what_a_name_means(registered, tmp_path, monkeypatch):
    other = tmp_path / "other"
    publish(other, version=99)
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{registered}, {other}")
    with pytest.warns(RegistryWarning, match="has another small@99"):
        assert registry.resolve("hub:small").address == "hub:small@1"
    assert registry.resolve("hub:small@99").registry == str(other / "index.json")


def test_one_version_with_two_contents_is_told(registered, tmp_path, monkeypatch):
    other = tmp_path / "other"
    publish(other, summary="Another")
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{registered},{other}")
    with pytest.warns(RegistryWarning, match="has another small@1"):
        assert registry.resolve("hub:small@1").registry == str(registered / "index.json")


def test_two_mirrors_of_one_registry_are_no_conflict(registered, copy_of, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{registered},{copy_of(registered, 'mirror')}")
    assert registry.resolve("hub:small").address == "hub:small@1"


def test_an_alias_says_what_it_means(registered):
    (registered / "registry.yaml").write_text("aliases: {old: {target: small}}\n")
    write_index(registered)
    with pytest.warns(RegistryWarning, match="hub:old is an old name; it now means hub:small@1"):
        assert registry.resolve("hub:old").address == "hub:small@1"


def name_aliases(registered, **zphot):
    """Publish names of the small module with its redshift fixed."""
    entries = [f"{name}: {{target: small, given: {{zphot: {z}}}}}" for name, z in zphot.items()]
    (registered / "registry.yaml").write_text(f"aliases: {{{', '.join(entries)}}}\n")
    write_index(registered)
    registries._read_remote.cache_clear()


def test_what_an_alias_fixes_is_part_of_the_galaxy(registered):
    name_aliases(registered, near=0.2, far=2.0, also_near=0.2)
    near, far, also_near = (
        GenerativeGalaxy(GenerativeGalaxyModel(f"hub:{name}@1"), flux_radius=8.0, seed=1)
        for name in ("near", "far", "also_near")
    )
    assert near == also_near
    assert hash(near) == hash(also_near)
    assert near != far
    assert [describe_galaxy(each)["zphot"] for each in (near, far)] == [0.2, 2.0]


def test_a_galaxy_of_an_alias_that_fixes_another_value_by_now_is_not_unpickled(registered):
    name_aliases(registered, near=0.2)
    stored = pickle.dumps(GenerativeGalaxyModel("hub:near@1"))
    assert pickle.loads(stored) == GenerativeGalaxyModel("hub:near@1")
    name_aliases(registered, near=0.3)
    with pytest.raises(CorruptedModuleError, match=r"with {'zphot': 0.3}, it was .*0.2"):
        pickle.loads(stored)


def test_an_unknown_name_names_those_of_every_registry(registered):
    with pytest.raises(UnknownModuleError, match="Did you mean 'hub:small'"):
        registry.locate("hub:smal")


def test_a_card_of_another_identity_than_the_index_says_is_refused(registered):
    document = json.loads((registered / "index.json").read_text())
    document["modules"][0]["identity"] = "0" * 64
    (registered / "index.json").write_text(json.dumps(document))
    with pytest.raises(CorruptedModuleError, match="has the identity 0000"):
        registry.locate("hub:small")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1/m.tar.gz#sha256=" + "0" * 64, "is not https"),
        ("ftp://127.0.0.1/m.tar.gz", "is not https"),
        ("file:///tmp/m.tar.gz", "is not https"),
        ("https://127.0.0.1/m.tar.gz", "does not say which bytes"),
        ("https://127.0.0.1/m.tar.gz#sha256=123", "does not say which bytes"),
        ("https://127.0.0.1/m.tar.gz#md5=" + "0" * 32, "does not say which bytes"),
    ],
)
def test_an_address_that_nobody_vouches_for_is_refused(address, reason):
    with pytest.raises(UnsafeModuleError, match=reason):
        registry.locate(address)


@pytest.mark.parametrize("url", ["https://[x/", f"https://{'a' * 300}.org/"])
def test_an_address_that_is_none_cannot_be_downloaded(url, monkeypatch):
    monkeypatch.setattr(mirrors.time, "sleep", lambda _: None)
    with pytest.raises(DownloadError, match="Cannot download"):
        registry.locate(f"{url}m.tar.gz", allow_unverified=True)
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{url}index.json")
    with pytest.raises(DownloadError, match="could not be asked"):
        registry.locate("hub:small")


def test_a_module_of_a_newer_specification_is_refused_before_it_is_downloaded(registered):
    document = json.loads((registered / "index.json").read_text())
    document["modules"][0]["spec_version"] = 2
    (registered / "index.json").write_text(json.dumps(document))
    with pytest.raises(UnsupportedModuleError, match="specification 2.*Update galsim_hub"):
        registry.locate("hub:small")
    assert cache.entries() == []


def test_a_file_of_another_size_than_the_index_says_is_refused(registered):
    document = json.loads((registered / "index.json").read_text())
    document["modules"][0]["files"]["saved_model.pb"]["size"] += 1
    (registered / "index.json").write_text(json.dumps(document))
    with pytest.raises(DownloadError, match="ends after 20000 of 20001 bytes"):
        registry.locate("hub:small")


@pytest.mark.parametrize("address", ["", "~nosuchuser/x"])
def test_an_address_of_no_folder_is_unknown(address):
    with pytest.raises(UnknownModuleError, match="There is no folder"):
        registry.locate(address)


def test_a_registry_without_https_is_refused(monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", "http://127.0.0.1/index.json")
    with pytest.raises(RegistryError, match="is not https"):
        registry.locate("hub:small")


def test_a_stale_index_is_noticed(published):
    check_index(published)
    publish(published, version=2)
    (published / "small" / "2" / "extra.txt").write_text("new")
    with pytest.raises(RegistryError, match="make index"):
        check_index(published)


def change_program(folder):
    program, card = folder / "saved_model.pb", folder / "card.md"
    old = hashlib.sha256(program.read_bytes()).hexdigest()
    program.write_bytes(b"another")
    card.write_text(card.read_text().replace(old, hashlib.sha256(b"another").hexdigest()))


def test_another_program_under_a_published_version_is_not_indexed(published):
    before = (published / "index.json").read_bytes()
    change_program(published / "small" / "1")
    with pytest.raises(RegistryError, match=r"small@1.*--allow-changed"):
        write_index(published)
    assert (published / "index.json").read_bytes() == before
    write_index(published, allow_changed=True)
    check_index(published)


def test_an_index_that_cannot_be_read_is_made_anew(published):
    (published / "index.json").write_text("<<<<<<< HEAD")
    write_index(published)
    check_index(published)


def test_a_card_with_something_left_to_do_is_not_indexed(published):
    with (published / "small" / "1" / "card.md").open("a") as card:
        card.write("TODO: what it was trained on\n")
    with pytest.raises(RegistryError, match=r"small@1 has something left TODO in line \d+"):
        build_index(published)


def test_folders_whose_names_are_no_versions_are_passed_over(published):
    shutil.copytree(published / "small" / "1", published / "small" / "²")
    assert [entry["version"] for entry in build_index(published)["modules"]] == [1]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RegistryError, match="no folder"):
        write_index(tmp_path / "none")


def test_the_index_of_this_repository_is_current():
    check_index(registries.bundled_root())


def test_an_index_is_the_same_each_time(published):
    assert format_index(build_index(published)) == (published / "index.json").read_text()


def test_a_folder_of_another_name_than_its_card_is_refused(published):
    (published / "small" / "1").rename(published / "small" / "7")
    with pytest.raises(RegistryError, match="holds small@1"):
        build_index(published)

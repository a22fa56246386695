"""Registries that cannot be reached, and caches that cannot be written to, hide nothing else."""

from __future__ import annotations

import contextlib
import os
import resource

import pytest

from galsim_hub import cache, registries, registry
from galsim_hub.cli import main
from galsim_hub.errors import DownloadError, RegistryWarning, UnknownModuleError

from .conftest import publish

NOWHERE = "https://127.0.0.1:9/index.json"


@pytest.fixture
def remote(server, monkeypatch):
    """Make the served folder a registry; give the server's behaviour."""
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{server[0]}/index.json")
    return server[1]


@pytest.fixture
def unreachable(published, monkeypatch):
    """Name a registry that cannot be reached before one that can be read."""
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{NOWHERE},{published}")
    monkeypatch.setattr(registries, "_PATIENCE", registries.Patience(1, 0.0, 1.0))


@contextlib.contextmanager
def full_disk():
    """Let no file of this process grow."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def labels():
    return [listing.release.label for listing in registries.list_releases()]


@pytest.mark.usefixtures("remote")
def test_a_registry_is_read_without_a_cache_to_keep_it_in(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(tmp_path / "file" / "cache"))
    assert labels()[-1] == "small@1"
    assert registry.resolve("hub:small").address == "hub:small@1"


@pytest.mark.parametrize("is_offline", [False, True])
@pytest.mark.usefixtures("remote")
@pytest.mark.filterwarnings("ignore:.*the copy of the last time is used")
def test_a_full_disk_keeps_nobody_from_a_module_that_is_there(is_offline, monkeypatch):
    folder = registry.locate("hub:small@1").folder
    registries._read_remote.cache_clear()
    if is_offline:
        monkeypatch.setenv("GALSIM_HUB_OFFLINE", "1")
    with full_disk():
        found = registry.locate("hub:small@1").folder
    assert found == folder


@pytest.mark.usefixtures("remote")
def test_a_disk_that_filled_up_keeps_the_copy_of_the_last_time(monkeypatch):
    labels()
    (kept,) = (cache.cache_root() / "indexes").iterdir()
    content = kept.read_bytes()
    registries._read_remote.cache_clear()
    with full_disk():
        labels()
    assert {path: path.read_bytes() for path in kept.parent.iterdir()} == {kept: content}


@pytest.mark.parametrize("name", ["cosmos", "cosmos@1", "cosmos_size_mag@2"])
def test_the_name_of_a_bundled_module_asks_no_server(name, remote):
    assert registry.resolve(f"hub:{name}").release.name == "cosmos"
    assert remote.requests == []


def test_a_known_registry_with_the_name_of_a_bundled_module_is_told(published, remote):
    publish(published, name="cosmos", version=99)
    labels()
    n_requests = len(remote.requests)
    with pytest.warns(RegistryWarning, match="has another cosmos@99"):
        registry.resolve("hub:cosmos")
    assert len(remote.requests) == n_requests


@pytest.mark.usefixtures("unreachable")
def test_a_list_goes_on_without_a_registry_that_cannot_be_reached():
    with pytest.warns(RegistryWarning, match=f"{NOWHERE} are missing.*leave it out"):
        assert {"cosmos@1", "small@1"} <= set(labels())


@pytest.mark.usefixtures("unreachable")
def test_the_command_lists_what_is_known_and_warns(capsys):
    assert main(["list"]) == 0
    out, err = capsys.readouterr()
    assert "hub:cosmos@1" in out
    assert err.startswith(f"warning: The modules of registry {NOWHERE} are missing")


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("address", ["hub:small", "hub:small@1", "hub:nothing", "hub:cosmos@99"])
def test_a_name_that_an_unread_registry_may_decide_is_an_error(address):
    with pytest.raises(DownloadError, match=f"Registry {NOWHERE} may have it") as caught:
        registry.resolve(address)
    assert "Check the network" in str(caught.value)
    assert "what has arrived" not in str(caught.value)


@pytest.mark.usefixtures("unreachable")
def test_a_misspelt_name_is_told_with_an_unread_registry_too():
    with pytest.raises(DownloadError, match="Did you mean 'hub:cosmos'"):
        registry.resolve("hub:cosmso")


def test_an_unread_registry_after_the_one_that_decides_is_left_alone(published, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", f"{published},{NOWHERE}")
    monkeypatch.setattr(registries, "_PATIENCE", registries.Patience(1, 0.0, 1.0))
    assert registry.resolve("hub:small").address == "hub:small@1"
    with pytest.raises((DownloadError, UnknownModuleError), match="no version 2"):
        registry.resolve("hub:small@2")


@pytest.mark.usefixtures("remote")
def test_verify_says_how_a_damaged_download_is_replaced(capsys):
    path = registry.locate("hub:small").folder / "saved_model.pb"
    times, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert main(["verify", "hub:small"]) == 1
    assert "'galsim-hub cache prune' deletes the module" in capsys.readouterr().out
    main(["cache", "prune"])
    assert main(["verify", "hub:small"]) == 0


@pytest.mark.parametrize(("status", "n_requests"), [("404", 1), ("410", 1), ("503", 2)])
def test_an_index_that_is_not_there_is_asked_for_once(status, n_requests, remote, monkeypatch):
    monkeypatch.setattr(registries, "_PATIENCE", registries.Patience(2, 0.0, 1.0))
    remote.always = f"status {status}"
    with pytest.warns(RegistryWarning, match=f"the server answers {status}"):
        labels()
    assert len(remote.requests) == n_requests

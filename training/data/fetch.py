"""Fetch the catalogue of COSMOS fits from the pinned wheel that carries it.

The fits of the COSMOS 25.2 sample (Mandelbaum et al. 2012, RealGalaxy data of GalSim) are public
inside the wheel of ``fpfs==3.1.1``. pip brings the wheel, so that the user's own index
settings hold; nothing of it is installed or run.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from ..errors import DataError

REQUIREMENT = "fpfs==3.1.1"
MEMBER = "fpfs/data/src_cosmos.fits"
WHEEL_SHA256 = "0f6b1c1e657e2133416c90c40f524f513ec51c269f342e4909701469138aceac"
CATALOGUE_SHA256 = "028f2b9faf5cf313d8da2a67a24eb77ff33b09a872d0fd05ac1d3cab808c4cdd"


def sha256_of(path: str | pathlib.Path) -> str:
    """Return the hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: pathlib.Path, expected: str) -> None:
    """Raise `DataError` unless the file has the expected hash."""
    got = sha256_of(path)
    if got != expected:
        raise DataError(
            f"{path.name} has sha256 {got}, expected {expected}: the file is damaged or not "
            "the pinned one. Remove it and try again; if it persists report both hashes."
        )


def fetch_catalogue(destination: str | pathlib.Path) -> pathlib.Path:
    """Make sure the catalogue stands at `destination`, downloading it if needed.

    Raises
    ------
    DataError
        If pip cannot bring the wheel, or a hash is wrong. Then nothing is left behind.
    """
    destination = pathlib.Path(destination)
    if destination.is_file():
        check_sha256(destination, CATALOGUE_SHA256)
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        wheel = _download_wheel(pathlib.Path(folder))
        extract_catalogue(wheel, destination)
    return destination


def extract_catalogue(
    wheel: pathlib.Path,
    destination: pathlib.Path,
    wheel_sha256: str = WHEEL_SHA256,
    catalogue_sha256: str = CATALOGUE_SHA256,
) -> None:
    """Take the catalogue out of a wheel, checking both hashes before it gets its name."""
    check_sha256(wheel, wheel_sha256)
    with (
        zipfile.ZipFile(wheel) as archive,
        tempfile.TemporaryDirectory(dir=destination.parent) as folder,
    ):
        part = pathlib.Path(archive.extract(MEMBER, folder))
        check_sha256(part, catalogue_sha256)
        os.replace(part, destination)


def _download_wheel(folder: pathlib.Path) -> pathlib.Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        REQUIREMENT,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise DataError(f"pip could not download {REQUIREMENT}: {result.stderr.strip()[-500:]}")
    return wheels[0]

"""The registries that names are looked up in: the bundled modules, then the user's own.

The user's come from ``GALSIM_HUB_REGISTRY`` (paths or https addresses of ``index.json`` files,
with commas between them) and from the key ``registries`` of the file that `config_path` names.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import yaml

from .cache import cache_root, find
from .errors import CacheError, DownloadError, RegistryError, RegistryWarning, suggest
from .index import INDEX_NAME, Index, Release, parse_index, read_index
from .mirrors import Patience, is_remote
from .spec import CARD_NAME
from .transfer import read, writing_to

__all__ = [
    "Listing",
    "bundled_folder",
    "bundled_index",
    "bundled_root",
    "config_path",
    "is_bundled",
    "is_bundled_identity",
    "is_released",
    "list_releases",
    "read_known_registries",
    "read_registries",
    "registry_places",
]

logger = logging.getLogger(__name__)

_REGISTRIES = "GALSIM_HUB_REGISTRY"
_CONFIG = "GALSIM_HUB_CONFIG"
_KEY = "registries"  # of the configuration, which has no other yet
_MOST_BYTES = 16 << 20
# A person waits for a list of names, and most names need no list that cannot be had.
_PATIENCE = Patience(rounds=2, first_wait=0.5, timeout=10.0)


@dataclass(frozen=True)
class Listing:
    """Say where one release can be had.

    Attributes
    ----------
    release : Release
    registry : str
        The path or address of the index that lists it.
    is_bundled : bool
        Whether it comes with the package.
    folder : pathlib.Path or None
        Where it is on this machine, None if it has to be downloaded.
    """

    release: Release
    registry: str
    is_bundled: bool
    folder: Path | None


def bundled_root() -> Path:
    """Find the folder of the modules that come with the package.

    Returns
    -------
    pathlib.Path
        ``hub_modules`` inside the package when installed, beside it in a source checkout.
    """
    package = Path(__file__).resolve().parent
    installed = package / "hub_modules"
    return installed if installed.is_dir() else package.parent / "hub_modules"


def bundled_folder(name: str, version: int) -> Path:
    """Name the folder of a version that comes with the package.

    Parameters
    ----------
    name : str
    version : int

    Returns
    -------
    pathlib.Path
        It need not exist.
    """
    return bundled_root() / name / str(version)


def is_bundled(name: str, version: int) -> bool:
    """Tell whether a version of a module comes with the package.

    Parameters
    ----------
    name : str
    version : int

    Returns
    -------
    bool
    """
    return (bundled_folder(name, version) / CARD_NAME).is_file()


def is_released(folder: Path) -> bool:
    """Tell whether a folder is that of a released version among the bundled modules.

    Parameters
    ----------
    folder : pathlib.Path
        ``.../NAME/VERSION``.

    Returns
    -------
    bool
    """
    path = folder.resolve()
    label = f"{path.parent.name}@{path.name}"
    return path.parent.parent == bundled_root().resolve() and any(
        release.label == label for release in bundled_index().releases
    )


def is_bundled_identity(sha256: str) -> bool:
    """Tell whether an identity is that of a module that comes with the package.

    Parameters
    ----------
    sha256 : str
        As `ModuleSpec` gives it.

    Returns
    -------
    bool
    """
    return any(
        release.identity == sha256 and is_bundled(release.name, release.version)
        for release in bundled_index().releases
    )


def config_path() -> Path:
    """Name the user's configuration file; it need not exist.

    Returns
    -------
    pathlib.Path
        ``GALSIM_HUB_CONFIG``, or ``galsim_hub.yaml`` in the platform's folder.
    """
    chosen = os.environ.get(_CONFIG)
    if chosen:
        return Path(os.path.expanduser(chosen)).absolute()
    import platformdirs  # here: 10 ms that `import galsim_hub` need not take

    return Path(platformdirs.user_config_dir("galsim_hub", appauthor=False)) / "galsim_hub.yaml"


def registry_places() -> tuple[str, ...]:
    """List the registries, in the order in which names are looked up.

    Returns
    -------
    tuple of str
        Paths and https addresses of indexes, the bundled one first.

    Raises
    ------
    RegistryError
        If the user's configuration cannot be used.
    """
    listed = [place.strip() for place in os.environ.get(_REGISTRIES, "").split(",")]
    places = [_full_place(place) for place in (*listed, *_configured()) if place]
    return tuple(dict.fromkeys([str(bundled_root() / INDEX_NAME), *places]))


def read_registries() -> tuple[Index, ...]:
    """Read every registry, in the order in which names are looked up.

    Returns
    -------
    tuple of Index
        One that has never been read and cannot be downloaded has a fault, and no releases.

    Raises
    ------
    RegistryError
        If one cannot be used.
    """
    return (bundled_index(), *(_read(place) for place in registry_places()[1:]))


def read_known_registries() -> tuple[Index, ...]:
    """Read every registry that is on this machine, or was read before; no server is asked.

    Returns
    -------
    tuple of Index

    Raises
    ------
    RegistryError
        If one cannot be used.
    """
    places = registry_places()[1:]
    found = [_read_kept(p) if is_remote(p) else read_index(Path(p)) for p in places]
    return (bundled_index(), *(index for index in found if index is not None))


def list_releases() -> list[Listing]:
    """List every release of every registry.

    Returns
    -------
    list of Listing
        In the order of the registries, then by name and version.

    Raises
    ------
    RegistryError
        If a registry cannot be used.

    Warns
    -----
    RegistryWarning
        If a registry has never been read and cannot be downloaded: its modules are missing.
    """
    registries = read_registries()
    for registry in registries:
        if registry.fault:
            warnings.warn(
                f"The modules of registry {registry.place} are missing: it was never read before. "
                f"{registry.fault} Or leave it out of your registries.",
                RegistryWarning,
                stacklevel=2,
            )
    return [
        _list(release, registry.place)
        for registry in registries
        for release in sorted(registry.releases, key=lambda r: (r.name, r.version))
    ]


def bundled_index() -> Index:
    """Give the index of the modules that come with the package.

    Returns
    -------
    Index

    Raises
    ------
    RegistryError
        If the index cannot be used.
    """
    return read_index(bundled_root() / INDEX_NAME)


def _list(release: Release, place: str) -> Listing:
    bundled = place == str(bundled_root() / INDEX_NAME) and is_bundled(
        release.name, release.version
    )
    if bundled:
        folder: Path | None = bundled_folder(release.name, release.version)
    else:
        folder = find(release.sha256)
    return Listing(release, place, bundled, folder)


def _configured() -> list[str]:
    path = config_path()
    if not path.exists() and not os.environ.get(_CONFIG):
        return []
    try:
        config = yaml.safe_load(path.read_text("utf-8")) or {}
        for name in config:
            if name != _KEY:
                raise ValueError(f"it has the key {name!r}.{suggest(str(name), [_KEY])}")
        places = config.get(_KEY) or []
        places = [places] if isinstance(places, str) else list(places)
        if not all(isinstance(place, str) for place in places):
            raise TypeError(f"registries is {places!r}")
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"The configuration {path} cannot be used: {error}. Expected YAML with the one key "
            f"'{_KEY}': a list of paths and https addresses.",
            str(path),
            _KEY,
        ) from error
    return places


def _full_place(place: str) -> str:
    if is_remote(place):
        return place
    path = Path(os.path.expanduser(place)).absolute()
    return str(path / INDEX_NAME if path.is_dir() else path)


def _read(place: str) -> Index:
    if not is_remote(place):
        return read_index(Path(place))
    try:
        return _read_remote(place)
    except DownloadError as error:
        return Index(place, fault=error)


# Once a process: a worker that unpickles a thousand galaxies asks once.
@functools.lru_cache(maxsize=32)
def _read_remote(place: str) -> Index:
    """Download an index; the copy of the last time serves when that fails."""
    if not place.startswith("https://"):
        raise RegistryError(
            f"Registry {place} is not https: anyone on the way could change it. Give an https "
            "address or a path.",
            place,
        )
    try:
        content = read(place, _MOST_BYTES, _PATIENCE)
    except DownloadError as error:
        kept = _read_kept(place)
        if kept is None:
            raise
        warnings.warn(
            f"Registry {place} cannot be read, so the copy of the last time is used: {error}",
            RegistryWarning,
            stacklevel=5,
        )
        return kept
    index = parse_index(content, place)
    _keep(content, place)
    return index


def _kept_path(place: str) -> Path:
    return cache_root() / "indexes" / f"{hashlib.sha256(place.encode()).hexdigest()}.json"


def _read_kept(place: str) -> Index | None:
    """Read the copy of the last time; None if there is none that can be used."""
    try:
        return parse_index(_kept_path(place).read_bytes(), place)
    except (OSError, RegistryError):
        return None


def _keep(content: bytes, place: str) -> None:
    """Keep a copy for another time; who may not write, or has no space, goes without."""
    kept = _kept_path(place)
    # Its own name a process: two that read it at once do not mix their bytes.
    fresh = kept.with_suffix(f".{os.getpid()}")
    try:
        with writing_to(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(content)
            os.replace(fresh, kept)
    except CacheError as error:
        logger.info("no copy of %s is kept: %s", place, error)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)

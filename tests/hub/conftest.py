"""What the tests of the hub share: an empty cache, a small published module, and its server."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import yaml

from galsim_hub import registries
from galsim_hub.index import read_index
from galsim_hub.publish import write_index

from ..servers import certify, serve

CARD = {
    "spec_version": 1,
    "name": "small",
    "version": 1,
    "kind": "galaxy",
    "summary": "Files that look like a module, for tests",
    "licence": "MIT",
    "created": "2026-11-22",
    "authors": ["galsim_hub developers"],
    "inputs": [{"name": "flux_radius", "unit": "pixel", "minimum": 2.0, "maximum": 20.0}],
    "random_input": {"name": "random_normal", "size": 2},
    "stamp_size": 16,
    "pixel_size": 0.1,
    "signatures": ["generate"],
}


def publish(root, **changes):
    """Write a module into a folder of modules, and its index; return the module's folder."""
    card = {**CARD, **changes}
    folder = root / card["name"] / str(card["version"])
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    seed = int(hashlib.sha256(f"{card['name']}{card['version']}".encode()).hexdigest()[:8], 16)
    random = np.random.default_rng(seed)
    (folder / "saved_model.pb").write_bytes(random.bytes(20_000))
    (folder / "variables" / "variables.index").write_bytes(random.bytes(100_000))
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("saved_model.pb", "variables/variables.index")
    }
    front_matter = yaml.safe_dump({**card, "files": files}, sort_keys=False)
    (folder / "card.md").write_text(f"---\n{front_matter}---\n\n# For tests\n")
    write_index(root)
    return folder


def same_files(folder, published):
    """Tell whether a folder holds exactly the published files, whatever else is hidden."""
    names = {path.relative_to(published) for path in published.rglob("*") if path.is_file()}
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path for path in found if not path.name.startswith(".")} == names and all(
        (folder / name).read_bytes() == (published / name).read_bytes() for name in names
    )


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, tmp_path_factory, monkeypatch):
    """Give an empty cache and no registries but the bundled one."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(cache))
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.touch()
    monkeypatch.setenv("GALSIM_HUB_CONFIG", str(config))
    monkeypatch.delenv("GALSIM_HUB_REGISTRY", raising=False)
    monkeypatch.delenv("GALSIM_HUB_OFFLINE", raising=False)
    registries._read_remote.cache_clear()
    return cache


@pytest.fixture
def published(tmp_path):
    """Publish one small module; give the folder of modules."""
    root = tmp_path / "published"
    publish(root)
    return root


@pytest.fixture
def release(published):
    """Give the release of the small module, as read from a folder."""
    return read_index(published / "index.json").releases[0]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Give the paths of an authority's and a server's certificate."""
    return certify(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(published, certificates, monkeypatch):
    """Serve the folder of modules by https; give the address and the server's behaviour."""
    authority, certificate = certificates
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with serve(published, certificate) as served:
        yield served


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """Bundle the folder of modules instead of the real one."""

    def bundle(root):
        monkeypatch.setattr(registries, "bundled_root", lambda: root)
        return root

    return bundle


@pytest.fixture
def copy_of(tmp_path):
    """Give a function that copies a folder of modules elsewhere."""
    return lambda root, name: shutil.copytree(root, tmp_path / name)

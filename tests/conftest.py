"""What every test shares: a deviate, a small module made at test time, and no network."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import runpy
import shutil
import socket
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml

import galsim_hub
from galsim_hub.contribution import complete, scaffold

STAMP_SIZE = 128
PIXEL_SIZE = 0.03
LATENT_SIZE = 4
PSF_SIZE = 33

CARD = {
    "spec_version": 1,
    "name": "analytic",
    "version": 1,
    "kind": "galaxy",
    "summary": "Exponential ellipses, for tests",
    "licence": "MIT",
    "created": "2026-11-22",
    "authors": ["galsim_hub developers"],
    "inputs": [
        {"name": "flux_radius", "unit": "pixel", "minimum": 2.9, "maximum": 35.0},
        {"name": "mag_auto", "unit": "mag", "minimum": 18.0, "maximum": 25.2},
        {"name": "zphot", "unit": "", "minimum": 0.02, "maximum": 4.5},
    ],
    "random_input": {"name": "random_normal", "size": LATENT_SIZE},
    "latent_size": LATENT_SIZE,
    "stamp_size": STAMP_SIZE,
    "pixel_size": PIXEL_SIZE,
    "psf_size": PSF_SIZE,
    "signatures": ["generate", "encode", "decode", "latent_log_prob"],
}
CARD_INPUTS = [entry["name"] for entry in CARD["inputs"]]
LIGHT_GENERATE, LIGHT_DECODE = "light/generate.onnx", "light/decode.onnx"
LIGHT = {"generate": [LIGHT_GENERATE], "decode": [LIGHT_DECODE]}


BANDS_CARD = {
    **CARD,
    "name": "bands",
    "summary": "Red discs in three bands, for tests",
    "inputs": [
        {"name": "sersic_radius", "unit": "pixel", "minimum": 1.0, "maximum": 6.0},
        {"name": "colour", "unit": "mag", "minimum": 0.0, "maximum": 2.0},
    ],
    "random_input": {"name": "noise", "size": 2},
    "latent_size": 2,
    "stamp_size": 32,
    "pixel_size": 0.1,
    "psf_size": None,
    "bands": ["g", "r", "i"],
    "signatures": ["generate", "decode"],
}


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    """Let no test reach another machine: only this one's sockets open."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def rng():
    """Give a deviate with a fixed seed."""
    return galsim.BaseDeviate(31415)


@pytest.fixture(scope="session")
def module_folder(tmp_path_factory):
    """Build the analytic module: a real SavedModel, so that no test needs trained weights."""
    folder = tmp_path_factory.mktemp("hub_modules") / "analytic" / "1"
    save_analytic_model(folder)
    write_card(folder, {**CARD, "light": LIGHT})
    return folder


@pytest.fixture(scope="session")
def model(module_folder):
    """Give the model of the analytic module."""
    return galsim_hub.GenerativeGalaxyModel(module_folder)


@pytest.fixture(scope="session")
def discs_folder(tmp_path_factory):
    """Build what `galsim-hub new` scaffolds: other inputs, stamp and pixel, nothing random."""
    folder = scaffold("discs", tmp_path_factory.mktemp("contribution"))
    runpy.run_path(str(folder / "build.py"))
    card = folder / "1" / "card.md"
    filled = re.sub("TODO an SPDX name.*", "MIT", card.read_text())
    card.write_text(filled.replace("TODO", "Discs,"))
    complete(folder / "1")
    return folder / "1"


@pytest.fixture(scope="session")
def bands_folder(tmp_path_factory):
    """Build a module of three bands."""
    folder = tmp_path_factory.mktemp("hub_modules") / "bands" / "1"
    save_bands_model(folder)
    write_card(folder, BANDS_CARD)
    return folder


@pytest.fixture
def copy_module(tmp_path):
    """Give a function that copies a module with some entries of its card changed."""

    def make(folder, **changes):
        spec = yaml.safe_load((folder / "card.md").read_text().split("---\n")[1])
        copied = tmp_path / spec["name"] / str(changes.get("version", spec["version"]))
        shutil.copytree(folder, copied)
        # Another file, so that the original's engine is not in the way.
        (copied / "saved_model.pb").write_bytes((folder / "saved_model.pb").read_bytes())
        write_card(copied, {**spec, **changes})
        return copied

    return make


@pytest.fixture
def conditions():
    """Give one galaxy's conditions, inside the trained ranges."""
    return {"flux_radius": 8.0, "mag_auto": 23.5, "zphot": 0.7}


@pytest.fixture
def catalog():
    """Give the conditions of 7 galaxies as a dict of arrays."""
    return {
        "flux_radius": np.linspace(4.0, 16.0, 7),
        "mag_auto": np.linspace(21.0, 25.0, 7),
        "zphot": np.linspace(0.1, 2.0, 7),
    }


@pytest.fixture
def make_card(tmp_path):
    """Give a function that writes a card with some entries changed, and returns its folder."""

    def make(**changes):
        folder = tmp_path / "module"
        folder.mkdir(exist_ok=True)
        (folder / "saved_model.pb").write_bytes(b"not a model")
        write_card(folder, {**CARD, **changes})
        return folder

    return make


@pytest.fixture
def rehash():
    """Give a function that makes a folder's card agree with its files, whatever they are."""
    return lambda folder: write_card(folder, {**CARD, "light": LIGHT})


def write_card(folder: Path, card: dict) -> None:
    """Write a card, with the hashes of the files that are there."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "card.md"]
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }
    front_matter = yaml.safe_dump({"files": files, **card}, sort_keys=False)
    (folder / "card.md").write_text(f"---\n{front_matter}---\n\n# A module for tests\n")


def save_analytic_model(folder: Path) -> None:
    """Save a model of exponential ellipses, whose every number is known.

    Latents: two shears (0.2 tanh), log size (0.1 each), log flux (0.05 each).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # here: 5 s that tests without a model need not wait

    vector = tf.TensorSpec([None], tf.float32)
    latent = tf.TensorSpec([None, LATENT_SIZE], tf.float32)
    image = tf.TensorSpec([None, STAMP_SIZE, STAMP_SIZE], tf.float32)
    psf = tf.TensorSpec([None, PSF_SIZE, PSF_SIZE], tf.float32)
    axis = np.arange(STAMP_SIZE, dtype=np.float32) - (STAMP_SIZE - 1) / 2
    centre = axis[None, None, :], axis[None, :, None]

    class Analytic(tf.Module):
        def __init__(self):
            super().__init__()
            self.softening = tf.Variable(0.5)

    module = Analytic()

    def draw(log_radius, log_flux, latents):
        g1, g2 = (0.2 * tf.tanh(latents[:, i])[:, None, None] for i in (0, 1))
        scale = tf.exp(log_radius + 0.1 * latents[:, 2])[:, None, None] / 1.678
        x, y = centre
        u = ((1 - g1) * x - g2 * y) / scale
        v = ((1 + g1) * y - g2 * x) / scale
        profile = tf.exp(-tf.sqrt(u**2 + v**2 + module.softening))
        total = tf.reduce_sum(profile, axis=(1, 2), keepdims=True)
        return profile / total * tf.exp(log_flux + 0.05 * latents[:, 3])[:, None, None]

    @tf.function(input_signature=[vector, vector, vector, latent])
    def generate(flux_radius, mag_auto, zphot, random_normal):
        log_flux = -0.4 * np.log(10.0) * (mag_auto - 25.94) + 0.0 * zphot
        return {"image": draw(tf.math.log(flux_radius), log_flux, random_normal)}

    @tf.function(input_signature=[image, psf, vector])
    def encode(image, psf, noise_variance):
        x, y = centre
        flux = tf.reduce_sum(image, axis=(1, 2))
        moments = [tf.reduce_sum(image * m, axis=(1, 2)) / flux for m in (x, y, x * x, y * y)]
        peak = tf.reduce_max(psf, axis=(1, 2))
        scale = tf.sqrt(noise_variance)[:, None] * tf.ones_like(image[:, 0, :LATENT_SIZE])
        return {"mean": tf.stack([*moments[:2], tf.math.log(flux), peak], axis=1), "scale": scale}

    @tf.function(input_signature=[latent])
    def decode(latents):
        zero = tf.zeros_like(latents[:, 0])
        return {"image": draw(zero + tf.math.log(8.0), zero + tf.math.log(10.0), latents)}

    @tf.function(input_signature=[latent, vector, vector, vector])
    def latent_log_prob(latents, flux_radius, mag_auto, zphot):
        squared = tf.reduce_sum(latents**2, axis=1)
        return {"log_prob": -0.5 * squared + 0.0 * (flux_radius + mag_auto + zphot)}

    save_light_files(generate, decode, folder)
    signatures = {f.__name__: f for f in (encode, decode, latent_log_prob, generate)}
    for name, function in list(signatures.items()):
        setattr(module, name, function)
    tf.saved_model.save(module, str(folder), signatures=signatures)


def save_light_files(generate, decode, folder: Path) -> None:
    """Save both functions for the light engine: some rows a call for one, one for the other."""
    import tensorflow as tf

    from training.light import convert_to_onnx

    (folder / "light").mkdir(parents=True)
    shapes = [tf.TensorSpec([3], tf.float32, name=name) for name in CARD_INPUTS]
    normals = tf.TensorSpec([3, LATENT_SIZE], tf.float32, name="random_normal")
    convert_to_onnx(generate.python_function, [*shapes, normals], folder / LIGHT_GENERATE)
    code = tf.TensorSpec([1, LATENT_SIZE], tf.float32, name="latents")
    convert_to_onnx(decode.python_function, [code], folder / LIGHT_DECODE)


def save_bands_model(folder: Path) -> None:
    """Save a model of discs in g, r and i, whose colour g - i is one of its conditions.

    Latents: the logarithms of the two axes (0.2 each).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # here: 5 s that tests without a model need not wait

    size, n_latents = BANDS_CARD["stamp_size"], BANDS_CARD["latent_size"]
    vector = tf.TensorSpec([None], tf.float32)
    latent = tf.TensorSpec([None, n_latents], tf.float32)
    axis = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    share = tf.constant([0.0, 0.5, 1.0])  # of the colour that a band is brighter than g

    def draw(radius, colour, latents):
        x, y = axis[None, None, :], axis[None, :, None]
        x, y = (v / tf.exp(0.2 * latents[:, i, None, None]) for i, v in enumerate((x, y)))
        profile = tf.exp(-tf.sqrt(x**2 + y**2 + 1) / radius[:, None, None] * 1.678)
        profile /= tf.reduce_sum(profile, axis=(1, 2), keepdims=True)
        flux = 10 ** (0.4 * colour[:, None] * share)
        return {"image": profile[..., None] * flux[:, None, None, :]}

    module = tf.Module()

    @tf.function(input_signature=[vector, vector, latent])
    def generate(sersic_radius, colour, noise):
        return draw(sersic_radius, colour, noise)

    @tf.function(input_signature=[latent])
    def decode(latents):
        one = tf.ones_like(latents[:, 0])
        return draw(4.0 * one, one, latents)

    module.generate, module.decode = generate, decode
    signatures = {"generate": generate, "decode": decode}
    tf.saved_model.save(module, str(folder), signatures=signatures)


@pytest.fixture
def gal():
    """Give the configuration of a galaxy with conditions from several value types."""
    return {
        "type": "GenerativeModelGalaxy",
        "flux_radius": {"type": "Random", "min": 4, "max": 16},
        "mag_auto": {"type": "Sequence", "first": 21, "step": 0.5},
        "zphot": "$0.1 + 0.2 * obj_num",
    }


@pytest.fixture
def base(module_folder, gal):
    """Give a configuration of one small image."""
    return {
        "modules": ["galsim_hub"],
        "input": {"generative_model": {"file_name": str(module_folder)}},
        "gal": gal,
        "psf": {"type": "Gaussian", "fwhm": 0.2},
        "image": {
            "type": "Tiled",
            "nx_tiles": 3,
            "ny_tiles": 2,
            "stamp_size": 24,
            "pixel_scale": 0.1,
            "random_seed": 8675309,
        },
    }

"""The card of a galaxy module: front matter from the recipe and the data, prose from a template."""

import dataclasses
import pathlib

import numpy as np
import yaml

from .config import Config, fingerprint
from .data.build import load_manifest
from .light import CHAINS
from .models.generator import GalaxyModule
from .release import begin_card, read_card, read_template
from .release import save_card as save_with_prose

TRAINED_RANGE = (
    0.1,
    99.9,
)  # percentiles of the training set between which a condition counts as seen
DESCRIPTIONS = {
    "flux_radius": (
        "pixel",
        "half-light radius as SExtractor's FLUX_RADIUS in the COSMOS catalogue, 0.03 arcsec pixels",
    ),
    "mag_auto": ("mag", "F814W magnitude (SExtractor MAG_AUTO, AB)"),
    "zphot": ("", "photometric redshift"),
}
TEXTURE = (
    " Where knots and other\nstructure lie is drawn from latent maps on a coarse grid, whose prior "
    "is standard normal."
)
CLUMPS = (
    " Part of the light of its\nflatter profiles lies in clumps at random places. How large a part "
    "was learned from what smooth galaxies\nleave over of the stamps; `decode` gives the mean over "
    "the places."
)
PAINTED = " multiplied by what a\nconvolutional network adds to it"
RESAMPLED = (
    "\nOf {} codes that it draws for a galaxy one is kept, by weights that were learned so that "
    "generated\ngalaxies are observed as the data are."
)
PRIOR = " The prior of\nthe latent codes is itself a conditional flow, fitted along with them."


def write_card(
    config: Config, folder: pathlib.Path, conditions: np.ndarray, module: GalaxyModule
) -> None:
    """Write card.md of a folder that holds program and golden sample already."""
    manifest = load_manifest(config.data.directory)
    front = begin_card(config.export, "galaxy", folder) | {
        "cite": [
            "Lanusse et al. 2021, MNRAS 504, 5543 (arXiv:2008.03833)",
            "Mandelbaum et al. 2012, MNRAS 420, 1518 (COSMOS RealGalaxy sample)",
            "Rowe et al. 2015, Astronomy and Computing 10, 121 (GalSim)",
        ],
        "inputs": describe_inputs(list(config.data.columns), conditions),
        "random_input": {"name": "random_normal", "size": module.random_size},
        "latent_size": module.vae.code_size,
        "stamp_size": config.data.stamp_size,
        "pixel_size": config.data.pixel_scale,
        "psf_size": config.data.psf_size,
        "flux": {
            "unit": "count",
            "band": "F814W",
            "zeropoint": 25.94,
            "system": "AB",
            "exptime": 1.0,
        },
        "signatures": ["generate", "encode", "decode", "latent_log_prob"],
        "light": CHAINS,
        "training": describe_training(config, manifest),
    }
    save_card(folder, front)


def describe_inputs(names: list[str], conditions: np.ndarray) -> list[dict]:
    """Return the inputs with their trained ranges."""
    low, high = np.percentile(conditions, TRAINED_RANGE, axis=0)
    return [
        {
            "name": name,
            "unit": DESCRIPTIONS[name][0],
            "description": DESCRIPTIONS[name][1],
            "minimum": float(np.round(a, 2)),
            "maximum": float(np.round(b, 2)),
        }
        for name, a, b in zip(names, low, high, strict=True)
    ]


def describe_training(config: Config, manifest: dict) -> dict:
    """Return what the weights were trained on, and with which numbers."""
    workdir = pathlib.Path(config.workdir)
    names = [name for name in config.fits if hasattr(config, f"fit_{name}")]
    done = {n: yaml.safe_load((workdir / n / "done.json").read_text()) for n in names}
    fitted = {
        name: {"steps": done[name]["steps"], "recipe": fingerprint(getattr(config, f"fit_{name}"))}
        for name in names
    }
    described = {
        "source": config.data.source,
        "galaxies": manifest["counts"],
        "inputs": manifest["inputs"],
        "learned_prior": config.learned_prior or config.start_from is not None,
        "data_sha256": manifest["config_sha256"],
    }
    if config.candidates > 1:
        described["candidates"] = config.candidates
    return described | {
        name: (dataclasses.asdict(getattr(config, name)) if hasattr(config, name) else {}) | numbers
        for name, numbers in fitted.items()
    }


def save_card(folder: pathlib.Path, front: dict) -> None:
    """Write front matter and prose; the fidelity table is made from the front matter."""
    save_with_prose(
        folder,
        front,
        "card_cosmos",
        trained_on=_trained_on(front["training"]),
        light=_light_of(front["training"]),
        prior=PRIOR if front["training"].get("learned_prior") else "",
        resampled=RESAMPLED.format(n) if (n := front["training"].get("candidates")) else "",
        counts=", ".join(f"{v:,} {k}" for k, v in front["training"]["galaxies"].items()),
        fidelity=fidelity_table(front.get("fidelity")),
    )


def add_fidelity(folder: pathlib.Path, fidelity: dict) -> None:
    """Put measured numbers into the card of a module folder."""
    save_card(folder, read_card(folder) | {"fidelity": fidelity})


def fidelity_table(fidelity: dict | None) -> str:
    """Return the measured numbers as a Markdown table."""
    if not fidelity:
        return "Not measured yet: run `make validate`."
    from .validation.report import table

    lines = [fidelity["protocol"], "", *table(fidelity["rows"])]
    if "verdict" in fidelity:
        lines += ["", fidelity["verdict"]]
    return "\n".join(lines)


def _light_of(training: dict) -> str:
    """Say what makes the image of a latent code."""
    vae = training["vae"]
    light = f"a mixture of {vae['components']} elliptical\nSersic profiles"
    light += f"{PAINTED if vae['decoder_widths'] else ''}."
    return (
        light + (TEXTURE if vae.get("texture") else "") + (CLUMPS if "clumps" in training else "")
    )


def _trained_on(training: dict) -> str:
    """Say what the weights come from."""
    libraries = [name for name in training["inputs"] if "psf" in name]
    psfs = f"a real HST/ACS F814W PSF of {libraries[0]}" if libraries else "a model of the ACS PSF"
    return read_template(f"card_source_{training['source']}").substitute(psfs=psfs)

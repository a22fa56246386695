"""The card of a galaxy module: front matter from the recipe and the data, prose from a template."""

import dataclasses
import datetime
import pathlib
import string

import numpy as np
import yaml

from .config import Config, fingerprint
from .data.build import load_manifest
from .data.fetch import sha256_of
from .light import CHAINS

TRAINED_RANGE = (
    0.1,
    99.9,
)  # percentiles of the training set between which a condition counts as seen
RELATIVE_TOLERANCE = 1.0e-4
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
PAINTED = " multiplied by what a\nconvolutional network adds to it"
PRIOR = " The prior of\nthe latent codes is itself a conditional flow, fitted along with them."
TEMPLATES = pathlib.Path(__file__).parent / "configs"


def write_card(
    config: Config, folder: pathlib.Path, conditions: np.ndarray, random_size: int
) -> None:
    """Write card.md of a folder that holds program and golden sample already."""
    from .export import program_files

    manifest = load_manifest(config.data.directory)
    front = {
        "spec_version": 1,
        "name": config.export.name,
        "version": config.export.version,
        "kind": "galaxy",
        "summary": config.export.summary,
        "licence": config.export.licence,
        "created": datetime.date.today().isoformat(),
        "authors": ["galsim_hub developers"],
        "cite": [
            "Lanusse et al. 2021, MNRAS 504, 5543 (arXiv:2008.03833)",
            "Mandelbaum et al. 2012, MNRAS 420, 1518 (COSMOS RealGalaxy sample)",
            "Rowe et al. 2015, Astronomy and Computing 10, 121 (GalSim)",
        ],
        "inputs": describe_inputs(list(config.data.columns), conditions),
        "random_input": {"name": "random_normal", "size": random_size},
        "latent_size": random_size - 1,
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
        "files": program_files(folder),
        "light": CHAINS,
        "golden": {
            "file": "golden.npz",
            "sha256": sha256_of(folder / "golden.npz"),
            "relative_tolerance": RELATIVE_TOLERANCE,
        },
        "training": describe_training(config, manifest),
    }
    save_card(folder / "card.md", front)


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
    done = {n: yaml.safe_load((workdir / n / "done.json").read_text()) for n in ("vae", "flow")}
    return {
        "source": config.data.source,
        "galaxies": manifest["counts"],
        "inputs": manifest["inputs"],
        "learned_prior": config.learned_prior or config.start_from is not None,
        "data_sha256": manifest["config_sha256"],
        "vae": dataclasses.asdict(config.vae)
        | {"steps": done["vae"]["steps"], "recipe": fingerprint(config.fit_vae)},
        "flow": dataclasses.asdict(config.flow)
        | {"steps": done["flow"]["steps"], "recipe": fingerprint(config.fit_flow)},
    }


def save_card(path: pathlib.Path, front: dict) -> None:
    """Write front matter and prose; the fidelity table is made from the front matter."""
    text = read_template("card_cosmos").substitute(
        name=front["name"],
        version=front["version"],
        summary=front["summary"],
        trained_on=_trained_on(front["training"]),
        light=_light_of(front["training"]["vae"]),
        prior=PRIOR if front["training"].get("learned_prior") else "",
        counts=", ".join(f"{v:,} {k}" for k, v in front["training"]["galaxies"].items()),
        fidelity=fidelity_table(front.get("fidelity")),
    )
    write_text(path, front, text)


def write_text(path: pathlib.Path, front: dict, text: str) -> None:
    """Write front matter and prose."""
    header = yaml.safe_dump(_plain(front), sort_keys=False, allow_unicode=True, width=110)
    path.write_text(f"---\n{header}---\n\n{text}")


def add_fidelity(folder: pathlib.Path, fidelity: dict) -> None:
    """Put measured numbers into the card of a module folder."""
    path = folder / "card.md"
    front = yaml.safe_load(path.read_text().split("---\n", 2)[1])
    save_card(path, front | {"fidelity": fidelity})


def fidelity_table(fidelity: dict | None) -> str:
    """Return the measured numbers as a Markdown table."""
    if not fidelity:
        return "Not measured yet: run `make validate`."
    from .validation.report import table

    lines = [fidelity["protocol"], "", *table(fidelity["rows"])]
    if "verdict" in fidelity:
        lines += ["", fidelity["verdict"]]
    return "\n".join(lines)


def _light_of(vae: dict) -> str:
    """Say what makes the image of a latent code."""
    base = f"a mixture of {vae['components']} elliptical\nSersic profiles"
    painted = PAINTED if vae["decoder_widths"] else ""
    return f"{base}{painted}.{TEXTURE if vae.get('texture') else ''}"


def _trained_on(training: dict) -> str:
    """Say what the weights come from."""
    libraries = [name for name in training["inputs"] if "psf" in name]
    psfs = f"a real HST/ACS F814W PSF of {libraries[0]}" if libraries else "a model of the ACS PSF"
    return read_template(f"card_source_{training['source']}").substitute(psfs=psfs)


def read_template(name: str) -> string.Template:
    """Return the prose of a card, with gaps to fill."""
    return string.Template((TEMPLATES / f"{name}.md").read_text())


def _plain(tree: object) -> object:
    """Turn tuples into lists and numpy numbers into Python's, for YAML."""
    if isinstance(tree, dict):
        return {k: _plain(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(v) for v in tree]
    return tree.item() if isinstance(tree, np.generic) else tree

"""Write the module of a score prior: SavedModel, golden sample, cover and card."""

import dataclasses
import datetime
import json
import pathlib

import numpy as np
import tensorflow as tf
import yaml

from ..card import RELATIVE_TOLERANCE, read_template, write_text
from ..config import ScoreConfig, fingerprint
from ..data.fetch import sha256_of
from ..export import (
    program_files,
    put_in_place,
    require_finished,
    require_unused,
    write_program,
)
from ..tasks import load_best
from .network import ScoreNetwork, multiple_of
from .task import ScoreTask

GOLDEN_LEVELS = 4
GOLDEN_MULTIPLE = 8  # sides of the golden images, in units of what they must be a multiple of
CITE = (
    "Song & Ermon 2019, NeurIPS (arXiv:1907.05600)",
    "Remy et al. 2022, A&A 672, A51 (arXiv:2201.05561)",
    "Karras et al. 2022, NeurIPS (arXiv:2206.00364)",
)


class ScoreModule(tf.Module):
    """The program that is published: one signature, ``score``."""

    def __init__(self, network: ScoreNetwork, event_shape: tuple[int | None, ...]):
        super().__init__()
        self.network = network
        shape = [None, *event_shape]
        self.score = tf.function(
            lambda x, sigma: {"score": network(x, sigma, training=False)},
            input_signature=[
                tf.TensorSpec(shape, tf.float32, name="x"),
                tf.TensorSpec([None], tf.float32, name="sigma"),
            ],
            autograph=False,
        )

    def signatures(self) -> dict:
        """Return what the module can be asked to compute."""
        return {"score": self.score}


def export(config: ScoreConfig, *, replace: bool = False) -> pathlib.Path:
    """Build the module of a trained recipe and move it into place.

    Raises
    ------
    ConfigError
        If training is not finished, or the version exists already and `replace` is not given.
    """
    workdir = pathlib.Path(config.workdir)
    require_unused(config.export, replace=replace)
    require_finished(workdir, ("score",))
    task = ScoreTask(config)
    load_best(task.model, workdir / "score")

    def fill(folder: pathlib.Path) -> None:
        module = ScoreModule(task.model, task.source.event_shape)
        write_program(module, folder)
        write_golden(module, task, folder / "golden.npz")
        task.picture(folder / "cover.png")
        save_card(folder / "card.md", describe(task, folder))

    return put_in_place(config.export, fill)


def write_golden(module: ScoreModule, task: ScoreTask, path: pathlib.Path) -> None:
    """Save noisy samples, their noise levels and their scores."""
    low, high = task.sigma_range
    sigma = np.geomspace(low, high, GOLDEN_LEVELS).astype(np.float32)
    x = task.source.batch("test", GOLDEN_LEVELS, 0, 0)
    if task.model.is_image:
        side = GOLDEN_MULTIPLE * multiple_of(task.config.network)
        x = x[:, :side, :side]
    noise = np.random.default_rng(7).standard_normal(x.shape)
    x = (x + sigma.reshape(-1, *[1] * (x.ndim - 1)) * noise).astype(np.float32)
    arrays = {"score/in/x": x, "score/in/sigma": sigma}
    np.savez_compressed(path, **arrays, **{"score/out/score": module.score(x, sigma)["score"]})


def describe(task: ScoreTask, folder: pathlib.Path) -> dict:
    """Return the card's front matter."""
    config = task.config
    done = json.loads((pathlib.Path(config.workdir) / "score" / "done.json").read_text())
    prior = {
        "event_shape": list(task.source.event_shape),
        "std": round(task.std, 6),
        "sigma": [float(f"{sigma:.6g}") for sigma in task.sigma_range],
    }
    if task.power is not None:
        table = zip(("wavenumber", "power"), task.power, strict=True)
        prior["multiple_of"] = multiple_of(config.network)
        prior["power"] = {name: [float(f"{v:.6g}") for v in values] for name, values in table}
    return {
        "spec_version": 1,
        "name": config.export.name,
        "version": config.export.version,
        "kind": "score_prior",
        "summary": config.export.summary,
        "licence": config.export.licence,
        "created": datetime.date.today().isoformat(),
        "authors": ["galsim_hub developers"],
        "cite": list(CITE),
        "inputs": [],
        "random_input": None,
        "pixel_size": task.source.pixel_scale,
        "prior": prior,
        "signatures": ["score"],
        "files": program_files(folder),
        "golden": {
            "file": "golden.npz",
            "sha256": sha256_of(folder / "golden.npz"),
            "relative_tolerance": RELATIVE_TOLERANCE,
        },
        "training": {
            # Where the samples lay is of no use elsewhere.
            "data": dataclasses.asdict(config.data) | {"directory": None},
            "network": dataclasses.asdict(config.network),
            "steps": done["steps"],
            "batch": config.fit_score.batch,
            "recipe": fingerprint(config.fit_score),
        },
    }


def save_card(path: pathlib.Path, front: dict) -> None:
    """Write front matter and prose; the table of fidelity is made from the front matter."""
    source = front["training"]["data"]["source"]
    low, high = front["prior"]["sigma"]
    text = read_template("card_score").substitute(
        name=front["name"],
        version=front["version"],
        summary=front["summary"],
        trained_on=read_template(f"card_score_{source}").substitute(),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        fidelity=fidelity_table(front.get("fidelity")),
    )
    write_text(path, front, text)


def add_fidelity(folder: pathlib.Path, fidelity: dict) -> None:
    """Put measured numbers into the card of a module folder."""
    path = folder / "card.md"
    front = yaml.safe_load(path.read_text().split("---\n", 2)[1])
    save_card(path, front | {"fidelity": fidelity})


def fidelity_table(fidelity: dict | None) -> str:
    """Return what was measured as a Markdown table."""
    if not fidelity:
        return "Not measured yet: run `python -m training validate CONFIG --update-card`."
    rows = [f"| {row['quantity']} | {row['value']} | {row['bar']} |" for row in fidelity["rows"]]
    return "\n".join(
        [fidelity["protocol"], "", "| quantity | value | bar |", "|---|---|---|", *rows]
    )

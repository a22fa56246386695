"""Write the module of a score prior: SavedModel, golden sample, cover and card."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from ..config import ScoreConfig, fingerprint
from ..release import (
    begin_card,
    fidelity_table,
    folder_of,
    new_version,
    read_card,
    read_template,
    require_finished,
    write_program,
)
from ..release import save_card as save_with_prose
from ..tasks import load_fitted
from .network import ScoreNetwork, multiple_of
from .task import ScoreTask

GOLDEN_LEVELS = 4
GOLDEN_MULTIPLE = 8  # sides of the golden images, in units of what they must be a multiple of
COMMAND = "python -m training validate CONFIG --update-card"
HOW = {
    "gaussian": (
        "The network\nadds to the Gaussian score of the data's power spectrum what that one lacks, "
        "and every level counts by\nwhat the Gaussian score alone would leave there."
    ),
    "flat": "The network\nadds to the score of white noise with the data's variance what it lacks.",
    "galaxies": "The network\ngives every pixel a gate and a residual, in units of the noise.",
}
MADE = (
    "Under `training.maps` the head of this card has the numbers of the recipe that made them, and "
    "the hashes of what they\nwere made from."
)
PATHS = {"directory", "planes", "catalogue"}  # of no use elsewhere
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
    require_finished(workdir, ("score",))
    with new_version(config.export, replace=replace) as folder:
        task = ScoreTask(config)
        load_fitted(task, config.fit_score, workdir / "score")
        module = ScoreModule(task.model, task.source.event_shape)
        write_program(module, module.signatures(), folder)
        write_golden(module, task, folder / "golden.npz")
        task.picture(folder / "cover.png")
        save_card(folder, describe(task, folder))
    return folder_of(config.export)


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
    if task.source.smoothing is not None:
        prior["smoothing"] = task.source.smoothing
    if config.density_level is not None:
        prior["density_sigma"] = float(f"{config.density_level * task.std:.6g}")
    if task.power is not None:
        table = zip(("wavenumber", "power"), task.power, strict=True)
        prior["multiple_of"] = multiple_of(config.network)
        prior["power"] = {name: [float(f"{v:.6g}") for v in values] for name, values in table}
    return begin_card(config.export, "score_prior", folder) | {
        "cite": list(CITE),
        "inputs": [],
        "random_input": None,
        "pixel_size": task.source.pixel_scale,
        "prior": prior,
        "signatures": ["score"],
        "training": {
            "data": dataclasses.asdict(config.data) | {"directory": None},
            "network": dataclasses.asdict(config.network),
            "steps": done["steps"],
            "batch": config.fit_score.batch,
            "recipe": fingerprint(config.fit_score),
            **_made_with(getattr(task.source, "manifest", {})),
        },
    }


def _made_with(manifest: dict) -> dict:
    """Return the numbers with which maps were made, as far as their manifest tells."""
    if not {"config", "inputs"} <= set(manifest):
        return {}
    numbers = {k: v for k, v in manifest["config"].items() if k not in PATHS}
    return {"maps": {"config": numbers, "inputs": manifest["inputs"]}}


def save_card(folder: pathlib.Path, front: dict) -> None:
    """Write front matter and prose; the table of fidelity is made from the front matter."""
    source = front["training"]["data"]["source"]
    low, high = front["prior"]["sigma"]
    save_with_prose(
        folder,
        front,
        "card_score",
        trained_on=read_template(f"card_score_{source}").substitute(
            made=MADE if "maps" in front["training"] else ""
        ),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        how=HOW[_kind_of_network(front["training"])],
        fidelity=fidelity_table(front.get("fidelity"), COMMAND),
    )


def _kind_of_network(training: dict) -> str:
    if training["data"]["source"] == "galaxies":
        return "galaxies"
    return "gaussian" if training["network"]["gaussian"] else "flat"


def add_fidelity(folder: pathlib.Path, fidelity: dict) -> None:
    """Put measured numbers into the card of a module folder."""
    save_card(folder, read_card(folder) | {"fidelity": fidelity})

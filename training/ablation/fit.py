"""Train one variant: auto-encoder, then flow, resumable as any fit."""

import dataclasses
import pathlib

import keras
import numpy as np

from ..config import Config
from ..latents import cached_latents
from ..loop import Fit
from ..models.flow import ConditionalFlow
from ..models.vae import VAE
from ..tasks import FlowTask, VAETask, load_best
from .switches import SwitchedStamps, without_spread


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained variant, the stamps as it sees them, and its posteriors by split."""

    vae: VAE
    flow: ConditionalFlow
    stamps: SwitchedStamps
    latents: dict[str, dict[str, np.ndarray]]


def fit_variant(recipe: Config, switch: str | None) -> Fitted:
    """Train both models in the recipe's workdir, or go on, and load the best weights of each."""
    workdir = pathlib.Path(recipe.workdir)
    stamps = SwitchedStamps(recipe.data.directory, recipe.half, switch)
    keras.utils.set_random_seed(recipe.fit_vae.seed)
    task = VAETask(recipe, stamps)
    Fit(task, recipe.fit_vae, workdir / "vae").run()
    load_best(task.model, workdir / "vae")
    latents = cached_latents(task.vae, stamps, workdir / "latents.npz")
    keras.utils.set_random_seed(recipe.fit_flow.seed)
    is_narrow = switch == "posterior_means"
    flow = FlowTask(recipe, without_spread(latents) if is_narrow else latents)
    Fit(flow, recipe.fit_flow, workdir / "flow").run()
    load_best(flow.model, workdir / "flow")
    return Fitted(task.vae, flow.flow, stamps, latents)

"""``training train``: fit the auto-encoder, then the flow on its latents."""

import argparse
import json
import pathlib

from ..config import Config, Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("--only", choices=("vae", "flow"), help="fit one of the two models")
    parser.add_argument(
        "--until", type=int, default=None, help="stop after this step; resume later"
    )


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Fit what is asked for and print where each run ended."""
    if config.kind == "cosmic_rim":
        from ..rim.train import train

        print(json.dumps({"rim": train(config, args.until)}))
        return
    for name in ("vae", "flow"):
        if args.only in (None, name):
            print(json.dumps({name: fit(name, config, args.until)}))


def fit(name: str, config: Config, until: int | None = None) -> dict[str, float]:
    """Fit one model in its folder of the recipe's workdir."""
    import keras

    from ..loop import Fit
    from ..tasks import VAETask

    recipe = getattr(config, f"fit_{name}")
    keras.utils.set_random_seed(recipe.seed)  # of the weights that the fit starts from
    task = VAETask(config) if name == "vae" else flow_task(config)
    return Fit(task, recipe, pathlib.Path(config.workdir) / name).run(until)


def flow_task(config: Config):
    """Return the flow's task, on the posteriors of the auto-encoder's best weights."""
    from ..latents import cached_latents
    from ..tasks import FlowTask, VAETask, load_best

    task = VAETask(config)
    load_best(task.model, pathlib.Path(config.workdir) / "vae")
    latents = cached_latents(task.vae, task.stamps, pathlib.Path(config.workdir) / "latents.npz")
    return FlowTask(config, latents)

"""Write a module folder: SavedModel, light files, golden sample, cover and card, all or nothing."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from galsim_hub.population import FILE_NAME as CONDITIONS

from .card import write_card
from .config import Config, ExportConfig
from .data.fetch import sha256_of
from .data.pipeline import StampSet
from .errors import ConfigError
from .latents import cached_latents
from .light import check_light, write_light
from .models.conditions import fit_population
from .models.flow import ConditionalFlow
from .models.generator import GalaxyModule
from .models.vae import VAE
from .tasks import Pair, load_best

GOLDEN_ROWS = 4
COVER_ROWS = 50


def export(config: Config, *, replace: bool = False) -> pathlib.Path:
    """Build the module of a trained recipe and move it into place.

    Raises
    ------
    ConfigError
        If training is not finished, or the version exists already and `replace` is not given:
        a released version never changes.
    """

    def fill(folder: pathlib.Path) -> None:
        module, conditions = assemble(config)
        write_program(module, folder)
        fit_population(conditions).save(folder)
        write_golden(module, folder / "golden.npz", conditions[:GOLDEN_ROWS])
        write_light(module, folder)
        check_light(folder, folder / "golden.npz")
        write_cover(module, folder / "cover.png", conditions[:COVER_ROWS])
        write_card(config, folder, conditions, module.random_size)

    require_unused(config.export, replace=replace)
    require_finished(pathlib.Path(config.workdir), ("vae", "flow"))
    return put_in_place(config.export, fill)


def require_unused(export: ExportConfig, *, replace: bool) -> None:
    """Raise `ConfigError` if the version exists already and may not be replaced."""
    target = folder_of(export)
    if target.exists() and not replace:
        raise ConfigError(
            f"{target} exists, and a released version never changes: raise export.version."
        )


def put_in_place(export: ExportConfig, fill: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Have a folder filled, then move it to where the module belongs, all or nothing."""
    target = folder_of(export)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = pathlib.Path(temporary) / "module"
        fill(folder)
        folder.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(folder, target)
    return target


def folder_of(export: ExportConfig) -> pathlib.Path:
    """Return where a module belongs."""
    return pathlib.Path(export.directory) / export.name / str(export.version)


def require_finished(workdir: pathlib.Path, names: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless all fits of a recipe have ended."""
    open_fits = [n for n in names if not (workdir / n / "done.json").is_file()]
    if open_fits:
        raise ConfigError(
            f"The fit of {' and '.join(open_fits)} in {workdir} has not ended: run "
            "'python -m training train CONFIG' until it has."
        )


def assemble(config: Config) -> tuple[GalaxyModule, np.ndarray]:
    """Return the trained module and the training set's conditions (n, 3), in random order."""
    workdir = pathlib.Path(config.workdir)
    vae = VAE(config.vae, config.data)
    load_best(Pair(vae.networks), workdir / "vae")
    latents = cached_latents(
        vae, StampSet(config.data.directory, config.half), workdir / "latents.npz"
    )
    flow = ConditionalFlow(config.flow, config.vae.latent_size)
    load_best(flow, workdir / "flow")
    conditions = np.random.default_rng(0).permutation(latents["train"]["conditions"])
    return GalaxyModule(vae, flow, config.data.stamp_size, config.data.psf_size), conditions


def write_program(module: tf.Module, folder: pathlib.Path) -> None:
    """Save the module and keep only what a reader needs."""
    tf.saved_model.save(module, str(folder), signatures=module.signatures())
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    shutil.rmtree(folder / "assets", ignore_errors=True)


def write_golden(module: GalaxyModule, path: pathlib.Path, conditions: np.ndarray) -> None:
    """Save inputs and outputs of every signature, as the model in memory computes them."""
    rng = np.random.default_rng(7)
    size, psf_size = module.stamp_size, module.psf_size
    columns = dict(
        zip(("flux_radius", "mag_auto", "zphot"), conditions.T.astype(np.float32), strict=True)
    )
    normal = rng.standard_normal((len(conditions), module.random_size)).astype(np.float32)
    image = module.generate(*columns.values(), normal)["image"].numpy()
    axis = np.arange(psf_size) - psf_size // 2
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    psf = np.repeat((psf / psf.sum())[None], len(image), axis=0).astype(np.float32)
    noise_variance = np.full(len(image), 7e-6, np.float32)
    noisy = (image + np.sqrt(7e-6) * rng.standard_normal((len(image), size, size))).astype(
        np.float32
    )
    latents = normal[:, :-1]
    calls = {
        "generate": columns | {"random_normal": normal},
        "encode": {"image": noisy, "psf": psf, "noise_variance": noise_variance},
        "decode": {"latents": latents},
        "latent_log_prob": {"latents": latents} | columns,
    }
    arrays = {}
    for name, inputs in calls.items():
        arrays |= {f"{name}/in/{k}": v for k, v in inputs.items()}
        arrays |= {f"{name}/out/{k}": v.numpy() for k, v in getattr(module, name)(**inputs).items()}
    np.savez_compressed(path, **arrays)


def write_cover(module: GalaxyModule, path: pathlib.Path, conditions: np.ndarray) -> None:
    """Save a contact sheet of galaxies drawn at conditions of the training set."""
    from galsim_hub.figures import contact_sheet

    rng = np.random.default_rng(11)
    normal = rng.standard_normal((len(conditions), module.random_size)).astype(np.float32)
    images = module.generate(*conditions.T.astype(np.float32), normal)["image"].numpy()
    captions = [f"{r:.1f} px  {m:.1f} mag  z {z:.2f}" for r, m, z in conditions]
    contact_sheet(images, captions).savefig(path, dpi=60)


def program_files(folder: pathlib.Path) -> dict[str, str]:
    """Return the sha256 of each file that decides what a module gives, by path in the folder."""
    names = [
        "saved_model.pb",
        *sorted(f"variables/{p.name}" for p in (folder / "variables").iterdir()),
        *sorted(f"light/{p.name}" for p in (folder / "light").glob("*")),
    ]
    if (folder / CONDITIONS).is_file():
        names.append(CONDITIONS)
    return {name: sha256_of(folder / name) for name in names}

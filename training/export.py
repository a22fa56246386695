"""Write a module folder: SavedModel, light files, golden sample, cover and card, all or nothing."""

import pathlib

import numpy as np

from .card import write_card
from .config import Config
from .data.pipeline import StampSet
from .latents import cached_latents
from .light import check_light, write_light
from .models.clumps import Clumpiness
from .models.conditions import fit_population
from .models.flow import ConditionalFlow
from .models.generator import GalaxyModule
from .models.resampling import Resampling
from .models.vae import VAE
from .release import folder_of, new_version, require_finished, write_program
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
    require_finished(pathlib.Path(config.workdir), config.fits)
    with new_version(config.export, replace=replace) as folder:
        module, conditions = assemble(config)
        write_program(module, module.signatures(), folder)
        fit_population(conditions).save(folder)
        write_golden(module, folder / "golden.npz", conditions[:GOLDEN_ROWS])
        write_light(module, folder)
        check_light(folder, folder / "golden.npz")
        write_cover(module, folder / "cover.png", conditions[:COVER_ROWS])
        write_card(config, folder, conditions, module)
    return folder_of(config.export)


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
    clumpiness = None
    if config.fit_clumps:
        clumpiness = Clumpiness(config.vae.latent_size + len(config.data.columns))
        load_best(clumpiness, workdir / "clumps")
    resampling = None
    if config.candidates > 1:
        resampling = Resampling(config.candidates, config.vae.components)
        load_best(resampling, workdir / "resampling")
    return GalaxyModule(vae, flow, config.data.psf_size, clumpiness, resampling), conditions


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
    latents = normal[:, : module.vae.code_size]
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

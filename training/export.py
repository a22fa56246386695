"""Write a module folder: SavedModel, light files, golden sample, cover and card, all or nothing."""

import hashlib
import pathlib

import keras
import numpy as np

from .card import write_card
from .clumpiness import ClumpTask, cached_tables
from .config import CONDITIONS, Config
from .data.pipeline import StampSet
from .latents import cached_latents
from .light import check_light, write_light
from .models.conditions import fit_population
from .models.generator import GalaxyModule
from .models.resampling import Resampling
from .release import folder_of, new_version, require_finished, write_program
from .run_folder import require_claim
from .tables import weights_hash
from .tasks import FlowTask, VAETask, load_best, load_fitted

GOLDEN_ROWS = 4
COVER_ROWS = 50


def export(config: Config, *, replace: bool = False) -> pathlib.Path:
    """Build the module of a trained recipe and move it into place.

    Raises
    ------
    ConfigError
        If training is not finished or was of another recipe, or the version exists already and
        `replace` is not given: a released version never changes.
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
    """Return the trained module and the training set's conditions (n, 3), in random order.

    Raises
    ------
    ConfigError
        If a model is not fitted, or not by this recipe on the models before it as they are now.
    """
    workdir = pathlib.Path(config.workdir)
    coder = VAETask(config)
    load_fitted(coder, config.fit_vae, workdir / "vae")
    latents = cached_latents(coder.vae, coder.stamps, workdir / "latents.npz")
    flow = FlowTask(config, latents)
    load_fitted(flow, config.fit_flow, workdir / "flow")
    clumpiness = None
    if config.fit_clumps:
        tables = cached_tables(coder.vae, coder.stamps, workdir / "clumps.npz")
        clumps = ClumpTask(config, tables)
        load_fitted(clumps, config.fit_clumps, workdir / "clumps")
        clumpiness = clumps.model
    resampling = None
    if config.candidates > 1:
        resampling = Resampling(config.candidates, config.vae.components)
        fitted = [*coder.vae.networks, flow.flow, *([clumpiness] if clumpiness else [])]
        require_claim(workdir / "resampling", resampling_claim(config, coder.stamps, fitted))
        load_best(resampling, workdir / "resampling")
    module = GalaxyModule(coder.vae, flow.flow, config.data.psf_size, clumpiness, resampling)
    conditions = np.random.default_rng(0).permutation(latents["train"]["conditions"])
    return module, conditions


def resampling_claim(config: Config, stamps: StampSet, networks: list[keras.Model]) -> str:
    """Return what marks a resampling as fitted to these networks on these stamps."""
    parts = f"{config.candidates}/{stamps.identity}/{weights_hash(networks)}"
    return hashlib.sha256(parts.encode()).hexdigest()


def write_golden(module: GalaxyModule, path: pathlib.Path, conditions: np.ndarray) -> None:
    """Save inputs and outputs of every signature, as the model in memory computes them."""
    rng = np.random.default_rng(7)
    size, psf_size = module.stamp_size, module.psf_size
    columns = dict(zip(CONDITIONS, conditions.T.astype(np.float32), strict=True))
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

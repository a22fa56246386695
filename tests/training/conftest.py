"""A synthetic catalogue of fits, a tiny stamp set drawn from it, a tiny recipe trained on that."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table

from training.config import (
    Config,
    DataConfig,
    ExportConfig,
    FitConfig,
    FlowConfig,
    VAEConfig,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
N_GALAXIES = 120
BAD_FIT, NO_REDSHIFT, NO_SIZE = 3, 5, 8  # rows that no stamp may be made of
NO_SELECTION = {BAD_FIT, NO_REDSHIFT, NO_SIZE}


def pytest_collection_modifyitems(items):
    """Let Keras 3.15 save weights under numpy 2: it calls `__array__` in the old way."""
    ignore = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(ignore)


@pytest.fixture(scope="session")
def shared_data():
    """Give the folder of real PSFs and stamps, which lies beside the repository or not at all."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def catalogue_table() -> Table:
    """Give plausible fits in the columns of GalSim's parametric COSMOS catalogue."""
    rng = np.random.default_rng(3)
    count = N_GALAXIES
    two_components = np.arange(count) % 2 == 1
    flux = 10 ** rng.uniform(0.0, 1.5, count)
    hlr = rng.uniform(0.1, 0.3, (count, 3)) * [1.0, 0.5, 1.2]
    disk_share = rng.uniform(0.3, 1.0, count)
    axis_ratio, angle = rng.uniform(0.3, 1.0, count), rng.uniform(-np.pi, np.pi, count)
    sersic = np.zeros((count, 8))
    sersic[:, 2] = rng.uniform(0.5, 4.0, count)
    sersic[:, 3], sersic[:, 7] = axis_ratio, angle
    sersic[:, 1] = hlr[:, 0] / 0.03 / np.sqrt(axis_ratio)
    bulge = np.zeros((count, 16))
    bulge[:, 3], bulge[:, 7] = axis_ratio, angle
    bulge[:, 11], bulge[:, 15] = rng.uniform(0.6, 1.0, count), angle
    table = Table()
    table["IDENT"] = (100_000 + 37 * np.arange(count)).astype(np.int32)
    table["mag_auto"] = 25.94 - 2.5 * np.log10(flux)
    table["flux_radius"] = hlr[:, 0] / 0.03
    table["zphot"] = rng.uniform(0.1, 2.0, count)
    table["sersicfit"], table["bulgefit"] = sersic, bulge
    table["fit_status"] = np.ones((count, 5), dtype=np.int32)
    table["use_bulgefit"] = two_components.astype(np.int32)
    table["viable_sersic"] = np.ones(count, dtype=np.int32)
    table["hlr"] = hlr
    table["flux"] = np.stack([flux, flux * (1 - disk_share), flux * disk_share, flux], axis=1)
    table["fit_status"][BAD_FIT] = 0
    table["zphot"][NO_REDSHIFT] = 0.0
    table["flux_radius"][NO_SIZE] = np.nan
    return table


@pytest.fixture(scope="session")
def catalogue_file(catalogue_table, tmp_path_factory) -> Path:
    """Give that catalogue as the FITS file that `galsim.COSMOSCatalog` reads."""
    path = tmp_path_factory.mktemp("catalogue") / "fits.fits"
    catalogue_table.write(path)
    return path


@pytest.fixture(scope="session")
def make_data_config(catalogue_file, tmp_path_factory):
    """Give a function that returns a tiny stamp set's configuration, with some entries changed."""

    def make(**changes) -> DataConfig:
        entries = {"catalogue": str(catalogue_file), "stamp_size": 32, "psf_size": 17}
        entries |= {"shard_size": 32} | changes
        if "directory" not in entries:
            entries["directory"] = str(tmp_path_factory.mktemp("stamps") / "set")
        return DataConfig(**entries)

    return make


@pytest.fixture(scope="session")
def build_here():
    """Give `build`, drawing in this process: starting others costs 10 s each."""
    from training.data import build

    drawn = []

    def draw(config, tasks, processes):
        build._start(config)
        for task in tasks:
            build._draw_shard(task)
            drawn.append(task.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_draw_all", draw)

        def run(config) -> tuple[dict, list[str]]:
            drawn.clear()
            return build.build(config), list(drawn)

        yield run


@pytest.fixture(scope="session")
def stamp_config(make_data_config, build_here) -> DataConfig:
    """Give the configuration of a tiny stamp set that stands on disk."""
    config = make_data_config()
    build_here(config)
    return config


@pytest.fixture(scope="session")
def make_recipe(stamp_config, tmp_path_factory):
    """Give a function that returns a tiny recipe in a folder of its own."""

    def make(**changes) -> Config:
        folder = tmp_path_factory.mktemp("recipe")
        fit = FitConfig(
            steps=12,
            batch=16,
            learning_rate=3e-3,
            warmup=2,
            ema=0.5,
            kl_warmup=4,
            validate_every=4,
            picture_every=12,
            checkpoint_minutes=60.0,  # a checkpoint costs more than a step: one, at the end
        )
        entries = {
            "workdir": str(folder / "work"),
            "data": stamp_config,
            "vae": VAEConfig(
                latent_size=4,
                stem=4,
                widths=(8, 8),
                decoder_widths=(8, 8),
                decoder_top=16,
                blocks=1,
                top_blocks=1,
                hidden=16,
            ),
            "flow": FlowConfig(layers=2, hidden=(16, 16)),
            "fit_vae": fit,
            "fit_flow": fit,
            "export": ExportConfig("tiny", 1, "A module for tests", directory=str(folder / "hub")),
        }
        return Config(**entries | changes)

    return make


@pytest.fixture(scope="session")
def write_recipe(tmp_path_factory):
    """Give a function that writes a recipe as the YAML file that the command line takes."""

    def write(recipe: Config) -> Path:
        path = tmp_path_factory.mktemp("yaml") / "recipe.yaml"
        path.write_text(yaml.safe_dump(dataclasses.asdict(recipe)))
        return path

    return write


@pytest.fixture(scope="session")
def trained(make_recipe) -> Config:
    """Give a recipe whose two models have been fitted for a dozen steps, every step reported."""
    from training import loop
    from training.commands.train import fit

    recipe = make_recipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "REPORT_EVERY", 1)
        fit("vae", recipe)
        fit("flow", recipe)
    return recipe


@pytest.fixture(scope="session")
def module_folder(trained) -> Path:
    """Give the module folder of that recipe."""
    from training.export import export

    return export(trained)

"""A configuration of COSMOSGalaxy draws generated galaxies when its types are renamed."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml
from astropy.table import Table

import galsim_hub
from galsim_hub import GenerativeCatalog, GenerativeGalaxy, GenerativeGalaxyModel, lookahead
from galsim_hub.chromatic import find_generated
from galsim_hub.errors import CatalogError

N_FITS = 8

# In the manner of GalSim's demo11: a PSF that is an image, the shear and magnification of a power
# spectrum of a table, galaxies anywhere in a curved field, of a telescope that is not Hubble's.
DEMO11 = """
psf: {{ type: InterpolatedImage, image: {folder}/psf.fits, scale: 0.2, flux: 1.0 }}
gal:
  type: COSMOSGalaxy
  gal_type: parametric
  noise_pad_size: 8
  scale_flux: '$(2.4**2 * (1 - 0.33**2))**-1 * 4.0**2 * 300'
  rotate: {{ type: Random }}
  magnify: {{ type: PowerSpectrumMagnification }}
  shear: {{ type: PowerSpectrumShear }}
image:
  type: Scattered
  size: 200
  nobjects: 6
  wcs:
    type: Tan
    dudx: 0.2
    dudy: 0
    dvdx: 0
    dvdy: 0.2
    origin: center
    ra: 19.3 hours
    dec: -33.1 degrees
  world_pos:
    type: RADec
    ra: 19.3 hours
    dec: {{ type: Degrees, theta: {{ type: Random, min: -33.102, max: -33.098 }} }}
  noise: {{ type: COSMOS, variance: 10 }}
  random_seed: 24783923
input:
  cosmos_catalog:
    dir: {folder}
    file_name: real_galaxy_catalog_25.2_fits.fits
    use_real: False
    exclusion_level: bad_fits
  power_spectrum:
    e_power_function: {folder}/power.txt
    delta2: True
    units: radians
    grid_spacing: 5
output:
  dir: {folder}
  file_name: {name}.fits
  truth:
    columns: {{ row: '$(@gal).original.index', flux: '$(@gal).flux' }}
"""

COSMOS_GALAXY = """
gal: {{ type: COSMOSGalaxy, gal_type: parametric, index: {{ type: Sequence }}, exptime: 100 }}
psf: {{ type: Gaussian, fwhm: 0.2 }}
image: {{ type: Tiled, nx_tiles: 4, ny_tiles: 2, stamp_size: 24, pixel_scale: 0.1, random_seed: 5 }}
input:
  cosmos_catalog:
    file_name: {folder}/real_galaxy_catalog_25.2_fits.fits
    use_real: False
    exclusion_level: bad_fits
    min_flux: 0.1
output:
  file_name: {folder}/{name}.fits
  truth: {{ columns: {{ z: {{ type: COSMOSValue, key: zphot, index: $obj_num }} }} }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder of all that the configurations read, in COSMOS's layout."""
    folder = tmp_path_factory.mktemp("data")
    fit = np.zeros((N_FITS, 16))
    fit[:, 2], fit[:, 3] = 1.0, 0.7  # Sersic index and axis ratio
    flux = np.geomspace(3.0, 30.0, N_FITS)
    table = Table({"mag_auto": 25.94 - 2.5 * np.log10(flux)})
    table["IDENT"] = np.arange(N_FITS) + 900
    table["flux_radius"] = np.linspace(5.0, 12.0, N_FITS)
    table["zphot"] = np.linspace(0.2, 1.6, N_FITS)
    table["sersicfit"], table["bulgefit"] = fit[:, :8], fit
    table["fit_status"] = np.ones((N_FITS, 5), int)
    table["use_bulgefit"], table["viable_sersic"] = 0, 1
    table["hlr"] = np.outer(table["flux_radius"] * 0.03, np.ones(3))
    table["flux"] = np.outer(flux, np.ones(4))
    table.write(folder / "real_galaxy_catalog_25.2_fits.fits")
    wavenumber = np.geomspace(10.0, 1e7, 50)
    np.savetxt(folder / "power.txt", np.column_stack([wavenumber, 1e-5 * np.ones(50)]))
    galsim.Moffat(beta=3, fwhm=0.8).drawImage(nx=32, ny=32, scale=0.2).write(
        str(folder / "psf.fits")
    )
    return folder


def _run(text, folder, name):
    """Draw a configuration; return its picture and its truth."""
    config = yaml.safe_load(text.format(folder=folder, name=name))
    truth = config["output"]["truth"]
    truth["file_name"] = f"{name}_truth.fits"
    truth["dir"] = str(folder)
    galsim.config.Process(config)
    return galsim.fits.read(str(folder / f"{name}.fits")), Table.read(folder / f"{name}_truth.fits")


def _rename(text):
    """Change the types of a configuration, and nothing else."""
    for old, new in (
        ("cosmos_catalog", "generative_catalog"),
        ("COSMOSGalaxy", "GenerativeCOSMOSGalaxy"),
        ("COSMOSValue", "GenerativeCatalogValue"),
    ):
        text = text.replace(old, new)
    return "modules: [galsim_hub]\n" + text


@pytest.mark.filterwarnings("ignore:Selecting random object without:galsim.GalSimWarning")
@pytest.mark.filterwarnings("ignore:power_function:galsim.GalSimWarning")
def test_demo11_draws_generated_galaxies_when_its_types_are_renamed(folder):
    images = {}
    for name, text in (("fits", DEMO11), ("learned", _rename(DEMO11))):
        images[name], truth = _run(text, folder, name)
        assert truth["flux"].min() > 0
        assert set(truth["row"]) <= set(range(N_FITS))
    assert images["fits"] != images["learned"]
    assert images["fits"].bounds == images["learned"].bounds
    # Brighter than the noise, whose variance is 10, by far.
    assert all(image.array.max() > 20 * 10**0.5 for image in images.values())


def test_a_cosmos_galaxy_draws_the_generated_ones_of_the_same_rows(folder):
    (fits, truth), (learned, same) = (
        _run(text, folder, name)
        for name, text in (("rows", COSMOS_GALAXY), ("learned_rows", _rename(COSMOS_GALAXY)))
    )
    assert truth["z"].tolist() == same["z"].tolist()
    assert learned != fits
    for index in range(N_FITS):
        tile = galsim.BoundsI(1, 24, 1, 24).shift(
            galsim.PositionI(24 * (index % 4), 24 * (index // 4))
        )
        # The module scatters a galaxy's flux about its magnitude's, by far less than a factor of 2.
        assert 0.5 < learned[tile].array.sum() / fits[tile].array.sum() < 2


@pytest.fixture
def base(module_folder, catalog, tmp_path):
    """Give the configuration of one small image of a catalogue."""
    Table({**catalog, "obj_id": np.arange(7) + 40}).write(tmp_path / "mine.fits")
    return {
        "modules": ["galsim_hub"],
        "input": {
            "generative_catalog": {
                "model": str(module_folder),
                "file_name": str(tmp_path / "mine.fits"),
            }
        },
        "gal": {"type": "GenerativeCatalogGalaxy", "shear": {"type": "G1G2", "g1": 0.1, "g2": 0}},
        "psf": {"type": "Gaussian", "fwhm": 0.2},
        "image": {
            "type": "Tiled",
            "nx_tiles": 3,
            "ny_tiles": 2,
            "stamp_size": 24,
            "pixel_scale": 0.1,
            "random_seed": 8675309,
        },
        "output": {
            "dir": str(tmp_path),
            "file_name": "image.fits",
            "truth": {
                "file_name": "truth.fits",
                "columns": {
                    name: {"type": "GenerativeTruth", "key": name}
                    for name in ("flux_radius", "mag_auto", "zphot", "seed", "module", "sha256")
                },
            },
        },
    }


def _build(base, obj_num=0):
    """Build one galaxy as GalSim does."""
    config = copy.deepcopy(base)
    galsim.config.ImportModules(config)
    galsim.config.ProcessInput(config)
    config.update(obj_num=obj_num, rng=galsim.BaseDeviate(5 + obj_num), index_key="obj_num")
    return galsim.config.BuildGSObject(config, "gal")[0]


def test_a_random_row_follows_the_objects_rng(base, model):
    del base["gal"]["shear"]
    table = Table.read(base["input"]["generative_catalog"]["file_name"])
    galaxies = GenerativeCatalog(model=model, catalog=table)
    assert _build(base, obj_num=2) == galaxies.makeGalaxy(rng=galsim.BaseDeviate(7))


SEQUENCE = {"type": "Sequence", "first": 0, "last": 6}


@pytest.mark.parametrize(
    ("options", "index", "variables"),
    [
        ({}, {"type": "Sequence"}, {}),
        ({"exptime": 2.0}, {"type": "Sequence"}, {}),
        ({}, "$row", {"irow": SEQUENCE}),
    ],
)
def test_galaxies_of_known_rows_are_made_ahead_and_are_the_same(
    base, options, index, variables, model, monkeypatch
):
    calls = []

    def count(self, conditions, seeds, generate=GenerativeGalaxyModel.generate):
        calls.append(len(seeds))
        return generate(self, conditions, seeds)

    table = Table.read(base["input"]["generative_catalog"]["file_name"])
    galaxies = GenerativeCatalog(model=model, catalog=table)
    base["gal"].update(index=index, **options)
    base["eval_variables"] = variables
    psf = galsim.Gaussian(fwhm=0.2)
    alone = [galaxies.makeGalaxy(k, **options).shear(g1=0.1) for k in range(6)]
    stamps = [galsim.Convolve(psf, one).drawImage(nx=24, ny=24, scale=0.1).array for one in alone]
    monkeypatch.setattr(GenerativeGalaxyModel, "generate", count)
    monkeypatch.setattr(lookahead, "_kept", type(lookahead._kept)())
    image = galsim.config.BuildImage(base)
    assert calls == [7]  # a Sequence begins again after the last row
    np.testing.assert_array_equal(image.array, np.block([stamps[:3], stamps[3:]]))


def test_the_options_of_a_model_stand_beside_it(base, module_folder):
    del base["gal"]["shear"]
    base["input"]["generative_catalog"].update(engine="tensorflow", on_extrapolate="clip")
    base["input"]["generative_catalog"]["allow_unverified"] = True
    expected = galsim_hub.GenerativeGalaxyModel(module_folder, "clip", "tensorflow")
    assert _build(base).model == expected


def test_an_index_past_the_end_is_refused(base):
    base["gal"]["index"] = 7
    with pytest.raises(CatalogError, match="integer from 0 to 6, got 7"):
        _build(base)


def test_the_truth_makes_every_galaxy_again(base, model, tmp_path):
    galsim.config.Process(copy.deepcopy(base))
    truth = Table.read(tmp_path / "truth.fits")
    image = galsim.fits.read(str(tmp_path / "image.fits"))
    assert len(truth) == 6
    psf = galsim.Gaussian(fwhm=0.2)
    for number, row in enumerate(truth):
        assert row["module"].strip() == "analytic@1"
        assert row["sha256"].strip() == model.sha256
        conditions = {name: row[name] for name in model.quantities}
        galaxy = GenerativeGalaxy(model, seed=int(row["seed"]), **conditions)
        tile = galsim.BoundsI(1, 24, 1, 24).shift(
            galsim.PositionI(24 * (number % 3), 24 * (number // 3))
        )
        again = galsim.Convolve(psf, galaxy.shear(g1=0.1)).drawImage(image[tile].copy())
        np.testing.assert_array_equal(again.array, image[tile].array)


def test_two_processes_draw_the_same_bits_and_truth(base, tmp_path):
    galsim.config.Process(copy.deepcopy(base))
    single = [(tmp_path / name).read_bytes() for name in ("image.fits", "truth.fits")]
    base["image"]["nproc"] = 2
    (tmp_path / "double.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    executable = Path(sys.executable).with_name("galsim")
    subprocess.run([executable, "-v", "1", tmp_path / "double.yaml"], check=True, timeout=120)
    assert [(tmp_path / name).read_bytes() for name in ("image.fits", "truth.fits")] == single


def test_pins_and_the_plain_name_of_the_type(base, tmp_path):
    base["gal"] |= {"type": "GenerativeCatalog", "mag": 22.0, "zeropoint": 27.0}
    assert find_generated(_build(base)).pins.flux == pytest.approx(100.0)
    columns = {"flux": "pinned_flux", "size": "pinned_half_light_radius"}
    truth = {name: {"type": "GenerativeTruth", "key": key} for name, key in columns.items()}
    base["output"]["truth"]["columns"] = truth
    galsim.config.Process(base)
    table = Table.read(tmp_path / "truth.fits")
    np.testing.assert_allclose(table["flux"], 100.0)
    assert np.isnan(np.ma.filled(table["size"], np.nan)).all()


def test_a_truth_column_of_empty_texts_is_blank(base, tmp_path):
    seed = {"type": "GenerativeTruth", "key": "seed", "object": "psf", "default": ""}
    band = {"type": "GenerativeTruth", "key": "band"}
    base["output"]["truth"]["columns"] = {"seed": seed, "band": band, "n": "obj_num"}
    galsim.config.Process(base)
    table = Table.read(tmp_path / "truth.fits")
    assert table["n"].tolist() == list(range(len(table)))
    for name in ("seed", "band"):
        assert set(np.ma.filled(table[name], "")) == {""}


def test_what_is_no_generated_galaxy_has_the_default_in_the_truth(base, tmp_path):
    smooth = {"type": "Exponential", "half_light_radius": 0.3, "flux": 10}
    index = {"type": "Sequence", "first": 0, "last": 1}
    base["gal"] = {"type": "List", "items": [base["gal"], smooth], "index": index}
    truth = base["output"]["truth"]["columns"]
    base["output"]["truth"]["columns"] = {
        "zphot": truth["zphot"] | {"default": -1.0},
        "mag_auto": truth["mag_auto"] | {"default": -1},
        "flux_radius": truth["flux_radius"] | {"default": "$obj_num - 1"},
        "module": truth["module"] | {"default": "none"},
        "seed": truth["seed"] | {"default": ""},
        "sha256": truth["sha256"] | {"default": 0},
    }
    galsim.config.Process(base)
    table = Table.read(tmp_path / "truth.fits")
    assert (table["zphot"][1::2] == -1.0).all()
    assert (table["zphot"][::2] > 0).all()
    assert (table["mag_auto"][1::2] == -1.0).all()
    assert table["flux_radius"][1::2].tolist() == [0.0, 2.0, 4.0]
    assert table["module"][1] == "none"
    assert np.ma.filled(table["seed"], "").tolist()[1::2] == [""] * 3
    assert all(int(seed) for seed in table["seed"][::2])
    assert table["sha256"][1] == "0"


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"key": "zfot"}, "knows no key 'zfot'.*Did you mean 'zphot'"),
        ({"key": "seed", "object": "psf"}, "no generated galaxy in the field 'psf'"),
        ({"key": "zphot", "object": "psf", "default": "none"}, "must be a float.*got 'none'"),
        ({"key": "zphot", "object": "psf", "default": ""}, "must be a float.*got ''"),
        ({"key": "band", "object": "psf", "default": {"type": "Random"}}, "must be a str"),
        ({"key": "zphot", "object": "psf", "default": None}, "must be a float.*got None"),
    ],
)
def test_a_truth_that_cannot_be_told_is_refused(base, truth, said):
    base["output"]["truth"]["columns"] = {"one": {"type": "GenerativeTruth", **truth}}
    with pytest.raises(CatalogError, match=said):
        galsim.config.Process(base)

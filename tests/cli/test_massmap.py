"""``galsim-hub massmap``: from a catalogue to maps on the sky, and again after an interruption."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galsim_hub.cli import main
from galsim_hub.mass_mapping import (
    field_around,
    kaiser_squires,
    make_shear_map,
    posterior,
    read_catalogue,
)

HALO = (10.1, 20.05)  # [deg]
EINSTEIN_RADIUS = 0.5  # [arcmin]
FILES = [
    "kaiser_squires.fits",
    "massmap.png",
    "peaks.ecsv",
    "posterior_mean.fits",
    "posterior_std.fits",
    "samples.fits",
    "wiener.fits",
]
COSMOS = Path(__file__).parents[3] / "shared/data/lensing/cosmos_shear_catalogue.fits.gz"
# Finoguenov et al. 2007, ApJS 172, 182, table 1, number 106, at z = 0.73.
CLUSTER = (149.917, 2.515)


@pytest.fixture
def catalogue(tmp_path):
    """Write galaxies behind a halo, on a patch small enough for plain trigonometry."""
    rng = np.random.default_rng(6)
    n, cosine = 20_000, math.cos(math.radians(HALO[1]))
    ra, dec = 10.0 + rng.uniform(-0.3, 0.3, n) / cosine, 20.0 + rng.uniform(-0.3, 0.3, n)
    west, north = -(ra - HALO[0]) * cosine * 60, (dec - HALO[1]) * 60
    angle = np.arctan2(north, west)
    tangential = EINSTEIN_RADIUS / (2 * np.maximum(np.hypot(west, north), 0.5))
    e1, e2 = 0.1 * rng.standard_normal((2, n))
    table = Table({"ra": ra, "dec": dec, "weight": np.ones(n)})
    table["g1"] = e1 - tangential * np.cos(2 * angle)
    table["g2"] = e2 - tangential * np.sin(2 * angle)
    table.write(tmp_path / "shear.fits")
    return tmp_path / "shear.fits"


@pytest.fixture
def run(catalogue, tmp_path, capsys):
    """Give a function that maps the catalogue: exit code, stdout and stderr."""

    def run_command(*options):
        words = [catalogue, "--columns", "e1=g1", "e2=g2", "--output", tmp_path / "maps"]
        settings = ["--prior", "gaussian", "--pixel-scale", "1", "--samples", "4"]
        code = main(["massmap", *map(str, words), *settings, *options])
        return code, *capsys.readouterr()

    return run_command


def offset(ra, dec, place=HALO) -> float:
    """Return the distance from a place [arcmin]."""
    return 60 * math.hypot((ra - place[0]) * math.cos(math.radians(place[1])), dec - place[1])


def test_all_maps_are_written_and_put_the_halo_on_its_place(run, tmp_path):
    code, out, err = run()
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == FILES
    for name in ("kaiser_squires", "wiener", "posterior_mean"):
        with fits.open(tmp_path / "maps" / f"{name}.fits") as file:
            y, x = np.unravel_index(np.nanargmax(file[0].data), file[0].data.shape)
            assert offset(*WCS(file[0].header).wcs_pix2world(x, y, 0)) < 1.5
            assert file[0].header["PRIOR"] == "gaussian"
    peak = Table.read(tmp_path / "maps" / "peaks.ecsv")[0]
    assert offset(peak["ra"], peak["dec"]) < 1.5
    assert min(peak["significance"], peak["kaiser_squires_significance"]) > 5
    assert f"{peak['ra']:.4f}" in out


def test_mean_is_exact_and_scatter_that_of_the_samples(run, tmp_path):
    run()
    samples, mean, std, wiener = (
        fits.getdata(tmp_path / "maps" / f"{name}.fits")
        for name in ("samples", "posterior_mean", "posterior_std", "wiener")
    )
    assert samples.shape == (4, *mean.shape)
    np.testing.assert_array_equal(mean, wiener)  # of a Gaussian posterior
    off = (samples.mean(axis=0) - mean) / (std / 2)  # four samples: Student's t of 3 degrees
    assert np.sqrt(np.mean(off**2)) == pytest.approx(np.sqrt(3.0), rel=0.3)
    np.testing.assert_allclose(std, samples.std(axis=0, ddof=1), atol=1e-7)


def test_interrupted_run_goes_on_where_it_stopped(run, tmp_path, monkeypatch):
    run()
    whole = (tmp_path / "maps" / "samples.fits").read_bytes()
    draw, drawn = posterior.GaussianPosterior.sample, []

    def interrupted(self, seed, number=0):
        if number == 2 and len(drawn) < 3:
            drawn.append("stop")
            raise KeyboardInterrupt
        drawn.append(number)
        return draw(self, seed, number)

    monkeypatch.setattr(posterior.GaussianPosterior, "sample", interrupted)
    assert run()[0] == 130
    assert (tmp_path / "maps" / "checkpoint.npz").is_file()
    assert run()[0] == 0
    assert drawn == [0, 1, "stop", 2, 3]
    assert (tmp_path / "maps" / "samples.fits").read_bytes() == whole
    assert not (tmp_path / "maps" / "checkpoint.npz").exists()


def test_fixed_field_and_own_spectrum(run, tmp_path):
    Table({"ell": [10.0, 1e5], "power": [1e-9, 1e-9]}).write(tmp_path / "power.ecsv")
    code, _, err = run(
        "--centre", "10", "20", "--size", "24x36", "--power", str(tmp_path / "power.ecsv")
    )
    assert code == 0, err
    header = fits.getheader(tmp_path / "maps" / "wiener.fits")
    assert (header["NAXIS2"], header["NAXIS1"], header["CRVAL1"]) == (24, 36, 10.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "e1=g3"], "no column 'g3'"),
        (["--centre", "80", "20", "--size", "48"], "masked everywhere"),
        (["--size", "2000"], "A flat map may reach 5"),
        (["--smoothing", "0"], "smoothing of 0.0"),
        (["--smoothing", "1e300"], "not above the map's"),
        (["--centre", "510", "2"], "ra from 0 to 360"),
        (["--centre", "10", "95"], "dec from -90 to 90"),
        (["--centre", "nan", "2"], "a centre in degrees"),
        (["--seed", "-1"], "seed must be 0 or more"),
        (["--prior", "hub:no_such_prior"], "no_such_prior"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, options, message):
    code, _, err = run(*options)
    assert code == 3
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "options",
    [
        ["--columns", "shear=g1"],
        ["--samples", "1"],
        ["--samples", "many"],
        ["--size", "0"],
        ["--size", "10x"],
        ["--size", "x10"],
        ["--size", "3.5"],
        ["--threshold", "nan"],
        ["--threshold", "inf"],
        ["--pixel-scale", "1e-300"],
        ["--pixel-scale", "1000"],
        ["--pixel-scale", "nan"],
    ],
)
def test_command_line_that_makes_no_sense_is_refused(run, options):
    with pytest.raises(SystemExit) as stop:
        run(*options)
    assert stop.value.code == 2


def test_maps_say_how_they_were_made(run, tmp_path):
    run("--flip-e2", "--unweighted", "--shape-noise", "0.1")
    for name in FILES:
        if name.endswith(".fits"):
            header = fits.getheader(tmp_path / "maps" / name)
            assert (header["CATALOG"], header["COLUMNS"]) == ("shear.fits", "e1=g1 e2=g2")
            assert [header[name] for name in ("FLIP_E1", "FLIP_E2", "WEIGHTED")] == [0, 1, 0]
            assert (header["SHAPESTD"], header["POWER"]) == (0.1, "default")
            assert header["CREATOR"].startswith("galsim_hub ")


def test_one_column_is_not_two_quantities(run, tmp_path):
    code, _, told = run("--columns", "e1=g2", "e2=g2")
    assert code == 3
    assert "Column 'g2' would be e1 and e2" in told
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("text", [None, "ra dec\n1 2\n", "name ra dec\nA496 68.4 south\n"])
def test_marks_that_are_none_are_refused_before_any_work(run, tmp_path, text):
    path = tmp_path / "marks.txt"
    if text is not None:
        path.write_text(text)
    code, _, err = run("--marks", str(path))
    assert code == 3
    assert "No marks can be read" in err
    assert "name, ra and dec" in err
    assert not (tmp_path / "maps").exists()


def test_a_file_is_no_folder_for_maps(run, tmp_path):
    (tmp_path / "maps").write_text("mine")
    code, _, err = run()
    assert code == 3
    assert "no folder" in err
    assert (tmp_path / "maps").read_text() == "mine"


@pytest.mark.parametrize("name", ["wiener.fits", "peaks.ecsv", "massmap.png", "checkpoint.npz"])
def test_a_folder_in_the_way_of_a_file_is_found_before_any_map_is_replaced(run, tmp_path, name):
    (tmp_path / "maps" / name).mkdir(parents=True)
    code, _, err = run()
    assert code == 3
    assert name in err
    assert "sampling" not in err
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [name]


def test_maps_of_another_run_stay_whole_when_a_file_cannot_be_written(run, tmp_path, monkeypatch):
    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()}

    def fail(self, *args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(Table, "write", fail)  # of the peaks, which come last
    code, _, err = run("--seed", "2")
    assert code == 3
    assert "No space left" in err
    (tmp_path / "maps" / "checkpoint.npz").unlink()  # of the samples, for the next try
    assert {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()} == before


def test_real_cosmos_field_shows_its_cluster_and_less_b_mode():
    if not COSMOS.is_file():
        pytest.skip(f"real data not at {COSMOS}")
    catalogue = read_catalogue(COSMOS)
    field = field_around(catalogue)
    direct = kaiser_squires(make_shear_map(catalogue, field))
    significance = direct.convergence / direct.noise_std
    y, x = np.unravel_index(np.nanargmax(significance), field.shape)
    (ra,), (dec,) = field.to_sky(x, y)
    assert offset(ra, dec, CLUSTER) < 1.5
    # Noise alone, of some 2,000 independent patches: 3.5 is expected, 4.5 is one in 300.
    assert np.nanmax(np.abs(direct.b_mode / direct.noise_std)) < 4.5 < significance[y, x]

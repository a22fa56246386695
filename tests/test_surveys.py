"""The survey recipes run as they are, at a small size, on the published module."""

import runpy
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from galsim import roman
from PIL import Image

import galsim_hub
from galsim_hub.chromatic import find_generated
from galsim_hub.pins import measure_half_light_radius

ROOT = Path(__file__).parents[1]
SURVEYS = ROOT / "examples" / "surveys"
PICTURES = ROOT / "docs" / "images" / "surveys"
NAMES = ["lsst", "hsc", "euclid_vis", "roman", "great3", "blends"]
LARGEST_PICTURE = 300_000  # [byte]


@pytest.fixture(autouse=True)
def _away(monkeypatch, tmp_path):
    """Stand in an empty folder from which the path of the catalogue starts as from the root."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)


def read(name, **image):
    """Read a recipe, ready to be built, with some entries of its image changed."""
    config = galsim.config.ReadConfig(f"examples/surveys/{name}.yaml")[0]
    config["image"].update(image)
    galsim.config.ImportModules(config)
    return config


def draw(name, **image):
    """Draw a recipe without writing it."""
    config = read(name, **image)
    del config["output"]
    galsim.config.ProcessInput(config)
    return galsim.config.BuildImage(config)


def build(name, field, obj_num=0):
    """Build one object of a recipe."""
    config = read(name)
    galsim.config.ProcessInput(config)
    config.update(obj_num=obj_num, rng=galsim.BaseDeviate(5), index_key="obj_num")
    return galsim.config.BuildGSObject(config, field)[0]


def run(name):
    """Load the functions of a script."""
    return runpy.run_path(f"examples/surveys/{name}.py")


def sky_noise(name):
    """Measure the noise of a recipe where there is no galaxy."""
    return draw(name, nobjects=0, size=200).array.std()


@pytest.mark.parametrize(
    ("name", "pixel", "zeropoint", "depth"),
    [
        ("lsst", 0.2, 28.17 + 2.5 * np.log10(30), 24.13),  # SMTN-002
        ("hsc", 0.168, 27.0, 26.2),  # Aihara et al. 2019
    ],
)
def test_a_point_source_at_the_published_depth_has_a_signal_of_five(name, pixel, zeropoint, depth):
    star = build(name, "psf").drawImage(scale=pixel).array
    noise = sky_noise(name) / np.sqrt(np.sum(star**2))  # of the flux that a matched filter finds
    # What the handbooks' Gaussian of the same width leaves out: the wings and the pixel.
    assert zeropoint - 2.5 * np.log10(5 * noise) == pytest.approx(depth, abs=0.15)


def test_euclid_reaches_its_published_depth_in_an_aperture():
    pixels = np.pi * (1.3 / 2 / 0.1) ** 2
    counts = 10 * np.sqrt(pixels) * sky_noise("euclid_vis")
    zeropoint = 25.6 + 2.5 * np.log10(4 * 565 / 3.4)
    # arXiv:2503.15303, whose stacks have two short exposures more.
    assert zeropoint - 2.5 * np.log10(counts) == pytest.approx(25.6, abs=0.25)


def test_euclids_psf_and_pixel_have_the_published_width():
    effective = galsim.Convolve(build("euclid_vis", "psf"), galsim.Pixel(0.1))
    assert effective.calculateFWHM() == pytest.approx(0.16, rel=0.05)


@pytest.mark.parametrize(
    ("name", "zeropoint"), [("hsc", 27.0), ("euclid_vis", 25.6 + 2.5 * np.log10(4 * 565 / 3.4))]
)
def test_a_field_has_the_fluxes_of_its_magnitudes(name, zeropoint, tmp_path):
    config = read(name, nobjects=12, size=64)
    galsim.config.Process(config)
    with fits.open(tmp_path / "output" / f"{name}.fits") as hdus:
        truth, side = hdus[1].data, hdus[0].data.shape[0]
    assert (len(truth), side) == (12, 64)
    flux = 10 ** (-0.4 * (truth["mag_auto"] - zeropoint))
    # The module scatters about a magnitude; an error of the zero point would be far more.
    assert np.median(truth["flux"] / flux) == pytest.approx(1, abs=0.1)


def test_a_field_has_the_density_of_the_sky():
    config = read("hsc")
    galsim.config.ProcessInput(config)
    number = galsim.config.ParseValue(config["image"], "nobjects", config, int)[0]
    assert number == pytest.approx(53 * (360 * 0.168 / 60) ** 2, abs=0.5)


@pytest.mark.parametrize("row", [0, 3, 20])
def test_lsst_keeps_flux_size_and_lensing_of_the_catalogue(row):
    line = np.loadtxt("examples/surveys/lsst_catalogue.txt")[row]
    mag, a, b, gamma1, gamma2, kappa = line[[3, 5, 6, 9, 10, 11]]
    galaxy = build("lsst", "gal", row)
    # As imSim makes its Sersic profiles of such a line.
    g1, g2 = gamma1 / (1 - kappa), -gamma2 / (1 - kappa)
    mu = 1 / ((1 - kappa) ** 2 - gamma1**2 - gamma2**2)
    flux = 10 ** (0.4 * (28.17 - mag)) * 30
    theirs = galsim.Sersic(1, half_light_radius=np.sqrt(a * b), flux=flux).lens(g1, g2, mu)
    np.testing.assert_allclose(galaxy.jac, theirs.jac, rtol=0, atol=1e-12)
    assert galaxy.flux == pytest.approx(theirs.flux, rel=1e-6)
    radius = np.sqrt(a * b)
    assert galaxy.original.calculateHLR(scale=radius / 40) == pytest.approx(radius, rel=0.005)


def test_lsst_puts_each_galaxy_where_the_catalogue_has_it():
    catalogue = np.loadtxt("examples/surveys/lsst_catalogue.txt")
    image = draw("lsst")
    ra, dec = catalogue[np.argmin(catalogue[:, 3]), [1, 2]] * galsim.degrees
    expected = image.wcs.toImage(galsim.CelestialCoord(ra, dec))
    y, x = np.unravel_index(np.argmax(image.array), image.array.shape)
    assert np.hypot(x + 1 - expected.x, y + 1 - expected.y) < 2  # pixels, with its noise


def test_roman_gives_a_galaxy_its_magnitude_and_its_photons():
    recipe = run("roman")
    galaxies = recipe["make_galaxies"](3, galsim.BaseDeviate(1))
    band = roman.getBandpasses()["H158"]
    light = recipe["draw_light"](galaxies[:1], [galsim.PositionD(64, 64)], band, 128)
    photons = galaxies[0].calculateFlux(band) * roman.collecting_area * roman.exptime
    assert light.array.sum() == pytest.approx(photons, rel=0.03)  # the rest is in the wings
    for galaxy in galaxies:
        magnitude = 25.94 - 2.5 * np.log10(find_generated(galaxy).flux)  # the card's zero point
        assert galaxy.calculateMagnitude(recipe["F814W"]) == pytest.approx(magnitude, abs=1e-3)


def test_romans_sky_has_the_noise_of_its_parts():
    recipe = run("roman")
    band = roman.getBandpasses()["F184"]
    blank = galsim.Image(200, 200, scale=roman.pixel_scale)
    exposed = recipe["expose"](blank, band, galsim.BaseDeviate(2)).array
    sky = 1.1 * roman.getSkyLevel(band, world_pos=recipe["POINTING"]) * roman.pixel_scale**2
    electrons = sky + (roman.thermal_backgrounds["F184"] + roman.dark_current) * roman.exptime
    # The capacitance between pixels smooths the noise of photons by some per cent.
    expected = np.sqrt(electrons * np.sum(roman.ipc_kernel.array**2) + roman.read_noise**2)
    assert exposed.std() == pytest.approx(expected, rel=0.02)
    assert exposed.mean() == pytest.approx(0, abs=1)  # the detector is not quite linear


def test_roman_writes_a_small_field(tmp_path):
    images = run("roman")["main"](side=60)
    assert len(images) == 3
    with fits.open(tmp_path / "output" / "roman.fits") as hdus:
        assert hdus[0].data.shape == (60, 60)


def test_great3_recovers_the_shear_to_a_few_per_cent(capsys):
    results = run("great3")["main"](4)
    printed = capsys.readouterr().out
    assert printed.count("m1 = ") == 2
    assert "4 learned" in printed
    for biases in results.values():
        for name, (bias, error) in biases.items():
            assert np.isfinite(error)
            # Re-Gaussianization is good to some per cent; the rest is noise of four galaxies.
            assert abs(bias) < 5 * error + (0.05 if name.startswith("m") else 0.002)


def test_great3_finds_a_bias_that_is_planted(monkeypatch):
    recipe = run("great3")
    galaxy = galsim.Sersic(1.5, half_light_radius=0.7, flux=10.0)
    names = recipe["calibrate"].__globals__
    monkeypatch.setitem(names, "SNR", 1e4)
    honest = recipe["calibrate"]([galaxy, galaxy])
    stretched = [(1.1 * g1 + 0.003, 1.1 * g2) for g1, g2 in names["TRUE"]]
    monkeypatch.setitem(names, "TRUE", stretched)
    planted = recipe["calibrate"]([galaxy, galaxy])
    difference = {name: planted[name][0] - honest[name][0] for name in honest}
    # To the noise and the second order of the shear.
    assert difference["m1"] == pytest.approx(0.1, abs=0.01)
    assert difference["m2"] == pytest.approx(0.1, abs=0.01)
    assert difference["c1"] == pytest.approx(0.003, abs=3e-4)


def test_a_sersic_rival_has_flux_size_and_ellipticity():
    shear = galsim.Shear(g1=0.2, g2=-0.1)
    galaxy = galsim.Sersic(1, half_light_radius=0.4, flux=7).shear(shear)
    rival = run("great3")["sersic_like"](galaxy, 1.0)
    assert rival.flux == pytest.approx(7)
    # Of the ellipticity, measured with a weight.
    np.testing.assert_allclose(rival.jac, 0.4 / 0.5 * shear.getMatrix(), rtol=0, atol=0.02)


def test_a_sersic_rival_of_a_learned_galaxy_is_as_large_on_the_sky():
    galaxy = galsim_hub.GenerativeGalaxy(
        galsim_hub.GenerativeGalaxyModel("hub:cosmos@2"),
        seed=3,
        flux_radius=12.0,
        mag_auto=22.0,
        zphot=0.5,
    )
    rival = run("great3")["sersic_like"](galaxy, 1.0)
    radius = measure_half_light_radius(galaxy)
    assert measure_half_light_radius(rival) == pytest.approx(radius, rel=0.02)


def test_a_blended_scene_is_its_galaxies_and_noise(tmp_path):
    recipe = run("blends")
    scene, alone, table = recipe["main"](5)
    zeropoint, sky, _, visits = recipe["BANDS"]["i"]
    noise = np.sqrt((10 ** (0.4 * (zeropoint - sky)) * 0.2**2 + 9**2) / visits)
    residual = (scene - alone.sum(axis=0))[2]
    assert residual.std() == pytest.approx(noise, rel=0.05)
    assert ((table["blendedness"] > -1e-6) & (table["blendedness"] < 1)).all()
    with fits.open(tmp_path / "output" / "blends.fits") as hdus:
        assert hdus[1].data.shape == alone.shape


def test_a_galaxy_of_a_flat_spectrum_has_its_magnitude_in_every_band():
    recipe = run("blends")
    model = galsim_hub.GenerativeGalaxyModel("hub:cosmos@2")
    galaxy = model.sample({"flux_radius": [8.0], "mag_auto": [22.0], "zphot": [0.5]}, seeds=[1])[0]
    images = recipe["draw_alone"](galaxy, galsim.SED("1", "nm", "fnu"), 75, 75)
    zeropoints = np.array([band[0] for band in recipe["BANDS"].values()])
    magnitudes = zeropoints - 2.5 * np.log10(images.sum(axis=(1, 2)))
    expected = 25.94 - 2.5 * np.log10(galaxy.flux)
    np.testing.assert_allclose(magnitudes, expected, rtol=0, atol=0.02)  # some is off the image


@pytest.mark.parametrize("name", NAMES)
def test_picture_is_small_and_as_old_as_its_recipe(name):
    path = PICTURES / f"{name}.png"
    assert path.stat().st_size < LARGEST_PICTURE
    current = runpy.run_path(str(ROOT / "docs" / "pictures.py"))["fingerprint"](name)
    with Image.open(path) as picture:
        assert picture.text["Source"] == current, f"run python docs/pictures.py {name}"


def test_every_recipe_is_in_the_manual_with_its_picture():
    page = (ROOT / "docs" / "how_to" / "surveys.md").read_text()
    for path in SURVEYS.iterdir():
        assert path.name in page
    for name in NAMES:
        assert f"../images/surveys/{name}.png" in page

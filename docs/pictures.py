"""Draw pictures of recipes and examples: python docs/pictures.py [NAME ...], from the root.

Each picture carries the hash of what it was drawn from, so that a test can tell one that is older
than its recipe or the module.
"""

from __future__ import annotations

import hashlib
import io
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from astropy.visualization import make_lupton_rgb
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

import galsim_hub
from galsim_hub.figures import arcsinh_stretch

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "examples" / "surveys"
PICTURES = ROOT / "docs" / "images" / "surveys"
# Examples whose variable `figure` is a picture of the manual, and the modules that they show.
EXAMPLES = {
    "particle_mesh": (),
    "initial_conditions": (),
    "two_moons": ("hub:two_moons_score@1",),
    "power_ratio": (),
    "convergence_prior": (),
    "masked_fourier": ("hub:galaxy_score@1", "hub:cosmos@2"),
}
VISITS = 184  # of ten years of LSST in i: Ivezic et al. 2019, ApJ 873, 111, table 1
N_CALIBRATION = 200  # galaxies of the ring test


def picture_of(name: str) -> Path:
    """Return where a picture is kept."""
    return (PICTURES.parent if name in EXAMPLES else PICTURES) / f"{name}.png"


def script_of(name: str) -> Path:
    """Return the example that draws a picture."""
    (script,) = (ROOT / "examples").glob(f"[0-9][0-9]_{name}.py")
    return script


def fingerprint(name: str) -> str:
    """Hash what a picture shows: its recipe or example, and the modules."""
    digest = hashlib.sha256()
    for module in EXAMPLES.get(name, ("hub:cosmos@2",)):
        digest.update(galsim_hub.load(module).spec.sha256.encode())
    sources = [script_of(name)] if name in EXAMPLES else sorted(RECIPES.glob(f"{name}[._]*"))
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_image(name: str, variables: Mapping[str, Any] = {}, gal: Any = None) -> np.ndarray:
    """Draw the image of a YAML recipe, with other variables or another type of galaxy."""
    config = galsim.config.ReadConfig(str(RECIPES / f"{name}.yaml"))[0]
    del config["output"]
    config["eval_variables"].update(variables)
    if gal is not None:
        config["gal"] = {**gal, "lens": config["gal"]["lens"]}
    galsim.config.ImportModules(config)
    galsim.config.ProcessInput(config)
    return galsim.config.BuildImage(config).array


def noise_of(image: np.ndarray) -> float:
    """Measure the noise of an image that is mostly sky."""
    return 1.4826 * float(np.median(np.abs(image - np.median(image))))


def show(axes: Axes, image: np.ndarray, title: str) -> None:
    """Show an image of the sky, from its noise to the brightest galaxy."""
    pixels = image - np.median(image)
    noise = noise_of(image) / pixels.max()
    shown = arcsinh_stretch(pixels, softening=4 * noise, black=-noise)
    axes.imshow(shown, origin="lower", cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def lsst() -> Figure:
    """Show one visit and ten years, of learned galaxies and of the catalogue's Sersic profiles."""
    years = {"fexptime": 30 * VISITS, "fread_noise": 9 * VISITS**0.5}
    columns = {"fpa": {"type": "Catalog", "col": 7}}
    sersic = {
        "type": "Sersic",
        "n": {"type": "Catalog", "col": 8},
        "half_light_radius": "$hlr",
        "flux": "$10**(0.4 * (exposure_zeropoint - mag))",
        "ellip": {"type": "QBeta", "q": "$b / a", "beta": "$(90 - pa) * galsim.degrees"},
    }
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    one, ten, profiles = figure.subplots(1, 3)
    show(one, build_image("lsst"), "one visit")
    show(ten, build_image("lsst", years), f"{VISITS} visits, ten years")
    show(profiles, build_image("lsst", years | columns, sersic), "the same, as Sersic profiles")
    return figure


def field(name: str, title: str) -> Figure:
    """Show the image of a YAML recipe."""
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    show(figure.subplots(), build_image(name), title)
    return figure


def run(name: str) -> dict[str, Any]:
    """Load the functions of a Python recipe."""
    return runpy.run_path(str(RECIPES / f"{name}.py"))


def colour(axes: Axes, bands: Sequence[np.ndarray], noise: float, title: str) -> None:
    """Show three bands, the bluest first, stretched by their noise."""
    shown = make_lupton_rgb(*bands[::-1], minimum=0.5 * noise, stretch=8 * noise, Q=6)
    axes.imshow(shown, origin="lower", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def roman() -> Figure:
    """Show Roman's three bands as one image in colour."""
    bands = [image.array for image in run("roman")["main"]()]
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    title = "Roman, Y106 + J129 + H158, 140 s each, 44 arcsec"
    colour(figure.subplots(), bands, noise_of(bands[0]), title)
    return figure


def great3() -> Figure:
    """Show rings of stamps, and the biases of the estimator for either kind of galaxy."""
    recipe = run("great3")
    results = recipe["main"](N_CALIBRATION)
    catalog = galsim_hub.GenerativeCatalog(model="hub:cosmos@2", sample="23.5", min_hlr=0.3)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2)
    for number, panels in enumerate(left.subplots(3, 4)):
        galaxy = catalog.makeGalaxy(number)
        for axes, angle in zip(panels, recipe["ANGLES"], strict=True):
            seen = galsim.Convolve(galaxy.rotate(angle).shear(g1=recipe["SHEAR"]), recipe["PSF"])
            stamp = seen.drawImage(nx=48, ny=48, scale=recipe["PIXEL"])
            stamp.addNoiseSNR(galsim.GaussianNoise(galsim.BaseDeviate(1)), recipe["SNR"])
            show(axes, stamp.array, f"{angle.deg:.0f} degrees" if number == 0 else "")
    for axes, letter in zip(right.subplots(1, 2), "mc", strict=True):
        for kind, shift in (("learned", -0.08), ("Sersic", 0.08)):
            values, errors = np.transpose([results[kind][f"{letter}{i}"] for i in (1, 2)])
            axes.errorbar(np.arange(2) + shift, values, errors, fmt="o", capsize=3, label=kind)
        axes.axhline(0, color="grey", lw=0.8)
        axes.set(xlim=(-0.5, 1.5), xticks=[0, 1], xticklabels=[f"{letter}1", f"{letter}2"])
        axes.legend(fontsize=8)
    title = f"biases, {N_CALIBRATION} galaxies of either kind, S/N {recipe['SNR']:.0f}"
    right.suptitle(title, fontsize=9)
    return figure


def blends() -> Figure:
    """Show the scene, whose light is whose, and how blended each galaxy is."""
    recipe = run("blends")
    scene, alone, table = recipe["main"]()
    # Of the zero point of i, so that a flat spectrum is grey.
    gains = [10 ** (-0.4 * (band[0] - 28.17)) for band in recipe["BANDS"].values()]
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    observed, owned, blended = figure.subplots(1, 3)
    bands = [image * gain for image, gain in zip(scene, gains, strict=True)]
    colour(observed, bands, noise_of(bands[2]), "g, r and i after ten years of LSST")
    hues = hsv_to_rgb([(0.618 * i % 1, 0.8, 1) for i in range(len(alone))])
    owners = np.tensordot(hues, alone[:, 2], axes=(0, 0))
    colour(owned, owners[::-1], noise_of(scene[2]), "the same, a hue for each galaxy")
    blended.scatter(table["mag_auto"], table["blendedness"], s=14, c=hues)
    blended.set_xlabel("magnitude", fontsize=9)
    blended.set_title("blendedness", fontsize=9)
    return figure


def example(name: str) -> Figure:
    """Run an example, and take its figure."""
    return runpy.run_path(str(script_of(name)))["figure"]


DRAW = {
    "lsst": lsst,
    "hsc": lambda: field("hsc", "HSC Wide, i, 60 arcsec"),
    "euclid_vis": lambda: field("euclid_vis", "Euclid VIS, four exposures, 48 arcsec"),
    "roman": roman,
    "great3": great3,
    "blends": blends,
    **{name: partial(example, name) for name in EXAMPLES},
}


def save(figure: Figure, name: str) -> None:
    """Write a picture of 256 colours, a third of the size that matplotlib writes."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    text = PngImagePlugin.PngInfo()
    text.add_text("Source", fingerprint(name))
    # Of the whole range of colours, not of the most frequent ones: few pixels are bright.
    colours = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    picture = Image.open(drawn).convert("RGB").quantize(256, **colours)
    picture.save(picture_of(name), pnginfo=text, optimize=True)


def main(names: list[str]) -> None:
    """Draw some pictures, or all."""
    os.chdir(ROOT)  # where the path of a catalogue starts
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in names or DRAW:
        save(DRAW[name](), name)


if __name__ == "__main__":
    main(sys.argv[1:])

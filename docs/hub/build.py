"""Build the web page of the hub: python docs/hub/build.py docs/_build/html/hub.

Everything on it comes from the modules' cards and from galaxies that the modules draw here. The
pages need no server and ask no other host for anything. Drawing takes a minute a module and is
done once for each module and each version of sheets.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jinja2
import sheets
from markdown_it import MarkdownIt
from markupsafe import Markup

import galsim_hub
from galsim_hub.registries import bundled_root
from galsim_hub.spec import ModuleSpec, read_spec

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / "_build" / "hub_sheets"

PYTHON = """import galsim
import galsim_hub

model = galsim_hub.GenerativeGalaxyModel("{address}"{band})
catalog = {{{catalog}}}
for galaxy in model.sample(catalog, rng=galsim.BaseDeviate(42)):
    image = galaxy.drawImage(scale=0.2)
"""
SCORE = """import galsim_hub

prior = galsim_hub.load("{address}")
samples = prior.sample(4, seed=42{shape})
scores = prior.score(samples, 0.1 * prior.std)
"""
YAML = """modules: [galsim_hub]
input:
  generative_model: {{ file_name: '{address}'{band} }}
gal:
  type: GenerativeModelGalaxy
{fields}
psf: {{ type: Moffat, beta: 3.5, fwhm: 0.7 }}
image: {{ pixel_scale: 0.2, size: 64, random_seed: 42 }}
output: {{ file_name: galaxy.fits }}
"""
SHELL = """galsim-hub info {address}
galsim-hub verify {address}
galsim-hub sample {address}{band} \\
  {assignments} \\
  -n 25 -o galaxies.fits -o galaxies.png
galsim-hub cite {address} --bibtex
"""


def build(modules: Path, output: Path, manual: str, cache: Path) -> None:
    """Write the pages of every module in a folder of modules, the newest versions first.

    `manual` leads from the pages to the manual; `cache` keeps what was drawn.
    """
    output.mkdir(parents=True, exist_ok=True)
    for path in (HERE / "static").iterdir():
        shutil.copy(path, output)
    folders = [card.parent for card in modules.glob("*/*/card.md") if card.parent.name.isdigit()]
    folders.sort(key=lambda folder: (folder.parent.name, -int(folder.name)))
    described = [describe(folder, output, cache) for folder in folders]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"manual": manual, "version": galsim_hub.__version__}
    featured = next((module for module in described if module["gallery"]), None)
    index = environment.get_template("index.html")
    (output / "index.html").write_text(
        index.render(modules=described, featured=featured), encoding="utf-8"
    )
    page = environment.get_template("module.html")
    for module in described:
        (output / module["page"]).write_text(page.render(module=module), encoding="utf-8")


def describe(folder: Path, output: Path, cache: Path) -> dict[str, Any]:
    """Collect what the pages say of a module, and put its pictures beside them."""
    spec = read_spec(folder)
    stem = f"{spec.name}-{spec.version}"
    cover = None
    if (folder / "cover.png").is_file():
        cover = f"{stem}-cover.png"
        shutil.copy(folder / "cover.png", output / cover)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    gallery = make_gallery(folder, spec, output, cache) if spec.kind == "galaxy" else None
    return {
        "label": spec.label,
        "name": spec.name,
        "version": spec.version,
        "kind": spec.kind,
        "summary": spec.summary,
        "licence": spec.licence,
        "created": spec.created,
        "size": f"{size / 1e6:.1f} MB",
        "page": f"{stem}.html",
        "cover": cover,
        "inputs": spec.inputs,
        "identity": spec.sha256,
        "prose": Markup(render_prose(folder / "card.md")),
        "gallery": gallery,
        "strip": frame_strip(gallery) if gallery else "",
        "snippets": make_snippets(spec),
    }


def render_prose(card: Path) -> str:
    """Turn the prose of a card, without its title, into HTML; HTML in it stays text."""
    prose = card.read_text(encoding="utf-8").split("\n---\n", 1)[1].strip()
    if prose.startswith("# "):
        prose = prose.partition("\n")[2]
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(prose)


def make_snippets(spec: ModuleSpec) -> list[dict[str, str]]:
    """Write the lines that use a module, at the middle of its ranges."""
    if spec.kind == "score_prior":
        side = 8 * spec.prior.get("multiple_of", 1)
        shape = f", shape=({side}, {side})" if None in spec.prior["event_shape"] else ""
        text = SCORE.format(address=f"hub:{spec.label}", shape=shape)
        return [{"title": "From Python", "text": text}]
    if spec.kind != "galaxy":
        return []
    values = {condition.name: f"{condition.at(0.5):.3g}" for condition in spec.inputs}
    address, band = f"hub:{spec.label}", show_band(spec)
    return [
        {
            "title": "From Python",
            "text": PYTHON.format(
                address=address,
                band=f', band="{band}"' if band else "",
                catalog=", ".join(f'"{name}": [{value}]' for name, value in values.items()),
            ),
        },
        {
            "title": "From YAML",
            "text": YAML.format(
                address=address,
                band=f", band: {band}" if band else "",
                fields="\n".join(f"  {name}: {value}" for name, value in values.items()),
            ),
        },
        {
            "title": "On the command line",
            "text": SHELL.format(
                address=address,
                band=f" --band {band}" if band else "",
                assignments=" ".join(f"{name}={value}" for name, value in values.items()),
            ),
        },
    ]


def frame_strip(gallery: dict[str, Any]) -> str:
    """Give the style that shows one row of a sheet: the one before its middle."""
    columns, *others = [len(axis["values"]) for axis in gallery["axes"]]
    rows = math.prod(others)
    place = 100 * max(rows // 2 - 1, 0) / max(rows - 1, 1)
    return f"aspect-ratio: {columns} / 1; background-position: 0 {place:.2f}%"


def show_band(spec: ModuleSpec) -> str | None:
    """Choose the band to show: the middle one."""
    return spec.bands[len(spec.bands) // 2] if spec.bands else None


def make_gallery(folder: Path, spec: ModuleSpec, output: Path, cache: Path) -> dict[str, Any]:
    """Draw a module's gallery, or take it from an earlier build of the same module."""
    recipe = spec.sha256.encode() + Path(sheets.__file__).read_bytes()
    cached = cache / f"{spec.name}-{spec.version}-{hashlib.sha256(recipe).hexdigest()[:16]}"
    if not cached.is_dir():
        model = galsim_hub.GenerativeGalaxyModel(folder, "ignore", band=show_band(spec))
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            drawn = Path(temporary) / "drawn"
            drawn.mkdir()
            gallery = sheets.draw_gallery(model, drawn)
            (drawn / "gallery.json").write_text(json.dumps(gallery))
            drawn.rename(cached)
    for path in cached.glob("*.webp"):
        shutil.copy(path, output)
    gallery = json.loads((cached / "gallery.json").read_text())
    return gallery | {"address": f"hub:{spec.label}", "band": show_band(spec)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--modules", type=Path, default=bundled_root(), help="(the bundled ones)")
    parser.add_argument("--manual", default="../", help="where the manual is, from the page")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where drawn galaxies are kept")
    arguments = parser.parse_args()
    build(arguments.modules, arguments.output, arguments.manual, arguments.cache)

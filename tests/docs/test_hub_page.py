"""The web page of the hub: its sliders choose galaxies, from a folder, in a real browser."""

from __future__ import annotations

import importlib
import json
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import galsim
import pytest
import yaml
from astropy.io import fits

from galsim_hub.cli import main
from galsim_hub.registries import bundled_root
from galsim_hub.spec import read_spec

BUILD = Path(__file__).parents[2] / "docs" / "hub" / "build.py"
ARROW_RIGHT, ARROW_LEFT = ("ArrowRight", 39), ("ArrowLeft", 37)
MOST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory, discs_folder, bands_folder):
    """Build the page of three modules: with three sliders and views, with bands, a score prior."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(discs_folder, folder / "modules" / "discs" / "1")
    shutil.copytree(bands_folder, folder / "modules" / "bands" / "1")
    moons = bundled_root() / "two_moons_score" / "1"
    shutil.copytree(moons, folder / "modules" / "two_moons_score" / "1")
    command = [sys.executable, BUILD, folder / "hub", "--modules", folder / "modules"]
    command += ["--cache", folder / "cache"]
    subprocess.run(command, check=True, timeout=300)
    return folder / "hub"


@pytest.fixture(scope="module")
def builder():
    """Import the program that builds the pages, which is in no package."""
    sys.path.insert(0, str(BUILD.parent))
    try:
        return importlib.import_module("build")
    finally:
        sys.path.pop(0)


@pytest.fixture
def discs_page(browser, site):
    browser.open(f"file://{site}/discs-1.html")
    return browser


def read(path):
    """Collect the tags of a page with their attributes."""
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(path.read_text())
    return tags


def test_every_module_has_a_page_and_is_on_the_first(site):
    links = [attributes.get("href") for _, attributes in read(site / "index.html")]
    assert {"discs-1.html", "bands-1.html"} <= set(links)
    assert {path.name for path in site.glob("*.html")} == {
        "index.html",
        "discs-1.html",
        "bands-1.html",
        "two_moons_score-1.html",
    }


def test_the_page_of_a_score_prior_speaks_of_no_conditions(site, builder):
    page = (site / "two_moons_score-1.html").read_text()
    assert "Conditions" not in page
    assert "C2ST" in page  # of its card
    (snippet,) = builder.make_snippets(read_spec(bundled_root() / "two_moons_score" / "1"))
    names = {}
    exec(snippet["text"], names)
    assert names["scores"].shape == (4, 2)


def test_everything_a_page_shows_is_beside_it(site):
    for page in site.glob("*.html"):
        for tag, attributes in read(page):
            target = attributes.get("src") or (tag == "link" and attributes.get("href"))
            assert not target or (site / target).is_file()


def test_the_site_is_light(site):
    assert sum(path.stat().st_size for path in site.iterdir()) < MOST_BYTES


def test_html_in_a_card_stays_text(builder, tmp_path):
    card = tmp_path / "card.md"
    card.write_text("---\nname: x\n---\n# X\n\n<script>alert(1)</script>\n\n| a |\n|---|\n| 1 |\n")
    html = builder.render_prose(card)
    assert "<script" not in html
    assert "<table>" in html


@pytest.fixture
def snippets(builder, discs_folder, tmp_path, monkeypatch):
    """Give the lines to copy, by their titles, for a module that is a folder here."""
    monkeypatch.chdir(tmp_path)
    return {
        snippet["title"]: snippet["text"].replace("hub:discs@1", str(discs_folder))
        for snippet in builder.make_snippets(read_spec(discs_folder))
    }


def test_the_python_to_copy_draws_a_galaxy(snippets):
    names = {}
    exec(snippets["From Python"], names)
    assert names["image"].array.sum() > 0


def test_the_yaml_to_copy_writes_a_galaxy(snippets, tmp_path):
    galsim.config.Process(yaml.safe_load(snippets["From YAML"]))
    assert galsim.fits.read(str(tmp_path / "galaxy.fits")).array.shape == (64, 64)


def test_the_commands_to_copy_work(snippets, tmp_path):
    lines = snippets["On the command line"].replace("\\\n", "").splitlines()
    assert [main(shlex.split(line)[1:]) for line in lines] == [0] * 4
    assert fits.getdata(tmp_path / "galaxies.fits").shape == (25, 48, 48)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slider_changes_the_picture_and_says_so(discs_page, axis):
    before = discs_page.picture(".sky")
    label = discs_page.evaluate("document.querySelector('.sky').ariaLabel")
    discs_page.evaluate(f"document.getElementById('axis-{axis}').focus()")
    discs_page.press(*ARROW_LEFT)
    assert discs_page.evaluate("document.querySelector('.sky').ariaLabel") != label
    assert discs_page.picture(".sky") != before
    discs_page.press(*ARROW_RIGHT)
    assert discs_page.picture(".sky") == before


def test_the_code_is_that_of_the_galaxy_shown(discs_page):
    gallery = json.loads(
        discs_page.evaluate("document.querySelector('[data-description]').textContent")
    )
    discs_page.evaluate("document.getElementById('axis-1').focus()")
    for _ in range(9):
        discs_page.press(*ARROW_RIGHT)
    code = discs_page.evaluate("document.querySelector('[data-code]').textContent")
    faintest = gallery["axes"][1]["values"][-1]
    assert f"magnitude={faintest}, " in code
    assert 'GenerativeGalaxyModel("hub:discs@1")' in code
    compile(code, "snippet", "exec")


def test_another_telescope_is_another_picture_of_the_same_galaxy(discs_page):
    pictures = []
    for view in range(3):
        discs_page.evaluate(f"document.querySelectorAll('[name=view]')[{view}].click()")
        pictures.append(discs_page.picture(".sky"))
    assert len(set(pictures)) == 3


def test_another_seed_is_another_galaxy(browser, site):
    browser.open(f"file://{site}/bands-1.html")
    before = browser.picture(".sky")
    browser.evaluate("document.querySelector('[data-another]').click()")
    assert browser.picture(".sky") != before
    assert 'band="r"' in browser.evaluate("document.querySelector('[data-code]').textContent")


@pytest.mark.parametrize("page", ["index.html", "discs-1.html", "bands-1.html"])
def test_a_page_asks_no_other_host_and_has_no_error(browser, site, page):
    browser.open(f"file://{site}/{page}")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")  # the pictures fetched ahead
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith(f"file://{site}/")] == []
    assert len(browser.requests()) > 3


@pytest.mark.parametrize("page", ["index.html", "discs-1.html"])
def test_a_page_is_legible_on_a_phone(browser, site, page):
    browser.open(f"file://{site}/{page}", width=360, height=740)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    smallest = browser.evaluate(
        "Math.min(...[...document.querySelectorAll('main *')].filter(e => e.innerText?.trim())"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12


@pytest.mark.parametrize("page", ["index.html", "discs-1.html"])
def test_controls_have_labels_and_pictures_words(browser, site, page):
    browser.open(f"file://{site}/{page}")
    assert browser.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
    assert browser.evaluate("[...document.querySelectorAll('input')].every(i => i.labels.length)")
    assert browser.evaluate("[...document.querySelectorAll('[role=img]')].every(e => e.ariaLabel)")
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1

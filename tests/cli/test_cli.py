"""The command does what it says, says what it did, and its exit code says whether that was well."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galsim_hub import GenerativeGalaxyModel
from galsim_hub.cli import main
from galsim_hub.registries import bundled_index

CONDITIONS = ["flux_radius=8", "mag_auto=22:24", "zphot=0.7"]
COMMAND = [sys.executable, "-m", "galsim_hub"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Give a function that runs the command in an empty folder: its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments):
        code = main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run_command


def spoil(path):
    """Change one byte of a file, and leave its size."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def as_json(result):
    code, out, _ = result
    assert code == 0
    return json.loads(out)


def test_info_shows_the_card(run, module_folder):
    code, out, err = run("info", module_folder)
    assert (code, err) == (0, "")
    assert out.startswith("analytic@1: Exponential ellipses, for tests\n")
    assert "flux_radius  pixel  2.9   35" in out


def test_info_as_json_has_the_identity_and_the_inputs(run, module_folder, model):
    card = as_json(run("info", module_folder, "--json"))
    assert card["identity"] == model.sha256
    assert [condition["name"] for condition in card["inputs"]] == list(model.quantities)


def test_info_names_the_bands(run, bands_folder):
    assert "g, r, i" in run("info", bands_folder)[1]


def test_list_has_the_bundled_modules(run):
    listed = {module["address"]: module for module in as_json(run("list", "--json"))}
    assert listed["hub:cosmos@1"]["where"] == "installed"
    assert "hub:cosmos@1" in run("list")[1]


def test_an_unknown_module_is_one_line_on_stderr_and_code_3(run):
    code, out, err = run("info", "hub:cosmso")
    assert (code, out) == (3, "")
    assert err.startswith("error: No module is called 'hub:cosmso'. Did you mean 'hub:cosmos'?")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "sample",
        "sing",
        "sample a -o galaxies.gif",
        "sample a -o a.fits --seed 99999999999999999999",
        "info a b",
        "validate a -n 0",
        "launch --tasks 2 --grace -1 a.py",
    ],
)
def test_a_wrong_command_line_is_code_2(run, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments.split())
    assert caught.value.code == 2


def test_verify_takes_a_sound_module(run, module_folder):
    code, out, _ = run("verify", module_folder)
    assert code == 0
    assert re.search(r"ok +.*analytic/1 +\d as published", out)


def test_verify_names_the_file_that_changed(run, module_folder, tmp_path):
    folder = shutil.copytree(module_folder, tmp_path / "copy")
    with (folder / "saved_model.pb").open("ab") as stream:
        stream.write(b"\0")
    code, out, _ = run("verify", module_folder, folder)
    assert code == 1
    assert "FAULT" in out
    assert "missing or changed: saved_model.pb; get the folder again" in out


def test_verify_without_names_takes_every_module_of_this_machine(run):
    found = {row["module"]: row["sound"] for row in as_json(run("verify", "--json"))}
    assert {f"hub:{release.label}" for release in bundled_index().releases} <= found.keys()
    assert all(found.values())


def test_sample_writes_what_the_model_draws(run, module_folder, model, tmp_path):
    code, _, err = run("sample", module_folder, *CONDITIONS, "-n", 3, "--seed", 5, "-o", "a/b.fits")
    assert code == 0
    assert "3 galaxies of analytic@1 -> a/b.fits" in err
    catalog = {"flux_radius": 8.0, "mag_auto": [22.0, 23.0, 24.0], "zphot": 0.7}
    expected = model.sample_images(catalog, rng=galsim.BaseDeviate(5))
    with fits.open(tmp_path / "a/b.fits") as hdus:
        np.testing.assert_array_equal(hdus[0].data, expected)
        assert hdus[0].header["IDENTITY"] == model.sha256
        table = hdus["CONDITIONS"].data
        np.testing.assert_array_equal(table["mag_auto"], [22.0, 23.0, 24.0])
        again = model.sample_images(catalog, seeds=map(int, table["seed"]))
    np.testing.assert_array_equal(again, expected)


def test_sample_reads_a_catalogue_with_ids(run, module_folder, model, tmp_path):
    (tmp_path / "cat.csv").write_text("name,flux_radius,mag_auto\nm31,8,22\nm33,9,23\n")
    arguments = ("--catalogue", "cat.csv", "--id", "name", "zphot=0.5", "-o", "cat.fits")
    assert run("sample", module_folder, *arguments)[0] == 0
    catalog = {"flux_radius": [8, 9], "mag_auto": [22, 23], "zphot": 0.5}
    expected = model.sample_images(catalog, obj_ids=["m31", "m33"])
    np.testing.assert_array_equal(fits.getdata(tmp_path / "cat.fits"), expected)


def test_sample_draws_a_picture_of_one_band(run, bands_folder, tmp_path):
    arguments = (
        "sersic_radius=5",
        "colour=0:2",
        "-n",
        4,
        "--band",
        "i",
        "-o",
        "i.png",
        "-o",
        "i.fits",
    )
    assert run("sample", bands_folder, *arguments)[0] == 0
    assert (tmp_path / "i.png").read_bytes().startswith(b"\x89PNG")
    assert fits.getheader(tmp_path / "i.fits")["BAND"] == "i"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flux_radius=8"], "Condition 'mag_auto' is missing"),
        (["flux_radus=8"], "'flux_radus' is no condition.*Did you mean 'flux_radius'"),
        (["flux_radius=wide"], "'flux_radius=wide' cannot be read"),
        (["--catalogue", "none.csv"], "No such file"),
        (["--catalogue", "empty.csv"], "empty.csv has no rows"),
        (["--catalogue", "bad.xyz"], "Give a file that astropy's Table.read"),
        (["--id", "name", *CONDITIONS], "no column 'name' of ids"),
        (["--band", "r", *CONDITIONS], "knows of no bands"),
        (["--catalogue", "blank.csv", "--id", "id"], "'id' has no id in row 1, as in 1 of 3 rows"),
        ([*CONDITIONS, "zphot=0.8"], "zphot is given twice"),
        (["flux_radius=40", "mag_auto=22", "zphot=1", "--on-extrapolate", "error"], "= 40 pixel"),
    ],
)
def test_sample_explains_what_it_cannot_do(run, module_folder, tmp_path, arguments, message):
    (tmp_path / "bad.xyz").write_bytes(b"\0\1\2")
    (tmp_path / "empty.csv").write_text("flux_radius,mag_auto,zphot\n")
    rows = "0,8,22,0.5\n,9,23,0.7\n2,9,23,0.7\n"
    (tmp_path / "blank.csv").write_text(f"id,flux_radius,mag_auto,zphot\n{rows}")
    code, _, err = run("sample", module_folder, *arguments, "-o", "a.fits")
    assert code == 3
    assert err.startswith("error: ")
    assert re.search(message, err)
    assert not (tmp_path / "a.fits").exists()


def test_sample_does_not_replace_its_catalogue(run, module_folder, tmp_path):
    table = Table({"flux_radius": [8.0], "mag_auto": [22.0], "zphot": [0.5], "mine": [1]})
    table.write(tmp_path / "mine.fits")
    code, _, err = run(
        "sample", module_folder, "--catalogue", "mine.fits", "-o", tmp_path / "mine.fits"
    )
    assert code == 3
    assert "is the catalogue itself" in err
    assert "mine" in Table.read(tmp_path / "mine.fits").colnames


def test_what_a_picture_takes_is_missed_before_anything_is_drawn(run, module_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(GenerativeGalaxyModel, "generate", pytest.fail)
    code, _, err = run("sample", module_folder, *CONDITIONS, "-o", "a.png")
    assert code == 3
    assert "pip install matplotlib" in err


def test_a_warning_is_one_line_without_code(run, module_folder):
    conditions = ("flux_radius=40", "mag_auto=22", "zphot=0.7")
    code, _, err = run("sample", module_folder, *conditions, "-o", "a.fits")
    assert code == 0
    assert err.startswith("warning: flux_radius = 40 pixel")
    assert err.count("\n") == 2


def test_validate_measures_a_module_that_works(run, discs_folder):
    found = {
        finding["name"]: finding for finding in as_json(run("validate", discs_folder, "--json"))
    }
    assert all(finding["holds"] for finding in found.values())
    assert found["another seed gives"]["value"] == "the same galaxy"
    assert found["median flux bias"]["value"] in ("+0.0%", "-0.0%")


def test_validate_finds_what_a_card_promises_too_much(run, discs_folder, copy_module):
    flux = {"unit": "count", "zeropoint": 26.0}
    code, out, _ = run("validate", copy_module(discs_folder, flux=flux))
    assert code == 1
    # A zero point that is 1 mag too faint makes every galaxy 10**0.4 times too bright.
    assert "FAULT  median flux bias" in out
    assert "+151.2%" in out


def test_cite_names_the_module_and_its_references(run):
    module, *references = as_json(run("cite", "hub:cosmos@1", "--json"))
    assert "cosmos@1" in module
    assert any("Lanusse" in reference for reference in references)
    bibtex = run("cite", "hub:cosmos@1", "--bibtex")[1]
    assert bibtex.count("@misc{") == 1 + len(references)
    assert "eprint = {2008.03833}" in bibtex
    assert bibtex.count("{") == bibtex.count("}")


def test_cache_says_where_it_is_and_that_it_is_empty(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(tmp_path / "cache"))
    assert run("cache", "path")[1].strip() == str(tmp_path / "cache")
    assert as_json(run("cache", "list", "--json")) == []
    assert run("cache", "prune")[2] == "deleted 0, 0.0 MB\n"


def test_index_takes_no_option_that_it_does_not_know(run, module_folder, tmp_path):
    shutil.copytree(module_folder, tmp_path / "analytic" / "1")
    with pytest.raises(SystemExit) as stop:
        run("index", tmp_path, "--chek")
    assert stop.value.code == 2
    assert not (tmp_path / "index.json").exists()


def test_index_as_it_was_called_before_says_what_to_call(tmp_path):
    command = [sys.executable, "-m", "galsim_hub.publish", str(tmp_path), "--check"]
    called = subprocess.run(command, capture_output=True, text=True)
    assert called.returncode == 1
    assert "galsim-hub index" in called.stderr


def test_index_makes_a_registry_whose_modules_are_downloaded_listed_and_pruned(
    run, module_folder, tmp_path, monkeypatch
):
    registry = tmp_path / "modules"
    shutil.copytree(module_folder, registry / "analytic" / "1")
    assert run("index", registry)[0] == 0
    assert run("index", registry, "--check")[0] == 0
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GALSIM_HUB_REGISTRY", str(registry / "index.json"))
    code, out, _ = run("download", "hub:analytic@1")
    assert code == 0
    assert GenerativeGalaxyModel(out.strip()).name == "analytic"
    assert "hub:analytic@1 galaxy" in " ".join(run("list")[1].split())
    assert as_json(run("cache", "list", "--json"))[0]["module"] == "analytic@1"
    assert as_json(run("verify", "hub:analytic@1", "--json"))[0]["sound"]
    spoil(Path(out.strip()) / "card.md")
    code, verified, _ = run("verify")
    assert code == 1
    assert re.search("FAULT +analytic@1 .* is damaged; 'galsim-hub cache prune'", verified)
    assert run("cache", "prune")[2].startswith("deleted 1, ")
    assert as_json(run("cache", "list", "--json")) == []


def test_a_stale_index_is_code_1(run, module_folder, tmp_path):
    registry = tmp_path / "modules"
    shutil.copytree(module_folder, registry / "analytic" / "1")
    run("index", registry)
    card = registry / "analytic" / "1" / "card.md"
    card.write_text(card.read_text() + "\nMore.\n")
    assert run("index", registry, "--check")[0] == 1


def test_the_module_can_be_run_as_a_program():
    result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert "exit codes:" in result.stdout
    for verb in (
        "list",
        "info",
        "download",
        "verify",
        "sample",
        "validate",
        "cite",
        "new",
        "check",
    ):
        assert f"    {verb} " in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(module_folder):
    command = f"{' '.join(COMMAND)} info {module_folder} | head -n 0"
    script = ["bash", "-c", f"set -o pipefail; {command}"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_terminal_that_knows_ascii_alone_is_no_error():
    result = subprocess.run(
        [*COMMAND, "info", "hub:cosmos"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_closed_streams_are_no_error():
    command = f"{' '.join(COMMAND)} info hub:cosmos >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], check=False).returncode == 0


def test_progress_is_shown_on_a_terminal_only(module_folder, tmp_path):
    command = [*COMMAND, "sample", str(module_folder), *CONDITIONS, "-n", "3"]
    plain = subprocess.run([*command, "-o", tmp_path / "a.fits"], capture_output=True, check=True)
    assert b"\r" not in plain.stderr
    ours, theirs = pty.openpty()
    subprocess.run([*command, "-o", tmp_path / "a.fits"], stderr=theirs, check=True)
    assert b"\r0 of 3 galaxies" in os.read(ours, 4096)


def test_download_of_what_is_no_module_is_no_success(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GALSIM_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("Dear all,")
    with tarfile.open(tmp_path / "letters.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "letters", "letters")
    tarfile.open(tmp_path / "none.tar.gz", "w:gz").close()
    for address in ("letters", "letters.tar.gz", "none.tar.gz"):
        code, out, err = run("download", address)
        assert (code, out) == (3, "")
        assert "card.md" in err
    assert as_json(run("cache", "list", "--json")) == []

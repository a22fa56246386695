"""The two real models: killed and resumed, they go on as if nothing had happened."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training import loop
from training.commands.train import fit
from training.errors import ConfigError, DivergedError

# oneDNN and Eigen share sums over threads, so that two runs may differ in the last digit of a
# float32; a dozen steps carry that to a few 1e-5 of the loss at worst.
ROOT = Path(__file__).parents[2]
SAME = {"rtol": 1e-4, "atol": 1e-4}
KILLED_AT = 5
KILL_AFTER_A_REPORT = f"""
import os, signal, sys
from training import __main__, loop

class Journal(loop.Journal):
    def note(self, metrics, bar):
        super().note(metrics, bar)
        if int(self.fit.step) == {KILLED_AT}:
            os.kill(os.getpid(), signal.SIGKILL)

loop.Journal, loop.REPORT_EVERY = Journal, 1
__main__.main(sys.argv[1:])
"""


def read_losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    pairs = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    assert len(dict(pairs)) == len(pairs), "a step is in the journal twice"
    return dict(pairs)


def assert_same_losses(folder: Path, expected: Path) -> None:
    got, want = read_losses(folder), read_losses(expected)
    assert got.keys() == want.keys()
    np.testing.assert_allclose(list(got.values()), list(want.values()), **SAME)


@pytest.fixture(autouse=True)
def _every_step_reported(monkeypatch):
    monkeypatch.setattr(loop, "REPORT_EVERY", 1)


def test_auto_encoder_killed_without_warning_resumes_with_the_same_losses(
    trained, make_recipe, write_recipe
):
    often = dataclasses.replace(trained.fit_vae, checkpoint_minutes=0.0)  # after every step
    recipe = make_recipe(fit_vae=often)
    folder = Path(recipe.workdir) / "vae"
    arguments = ["train", str(write_recipe(recipe)), "--only", "vae"]
    command = [sys.executable, "-c", KILL_AFTER_A_REPORT, *arguments]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert max(read_losses(folder)) == KILLED_AT
    assert fit("vae", recipe)["steps"] == 12
    assert_same_losses(folder, Path(trained.workdir) / "vae")


def test_flow_resumes_with_the_same_losses(trained, make_recipe):
    workdir = make_recipe().workdir
    Path(workdir).mkdir(parents=True)
    (Path(workdir) / "vae").symlink_to(Path(trained.workdir) / "vae")
    recipe = dataclasses.replace(trained, workdir=workdir)
    fit("flow", recipe, until=5)
    fit("flow", recipe)
    assert_same_losses(Path(workdir) / "flow", Path(trained.workdir) / "flow")


def test_trained_recipe_leaves_journal_pictures_weights_and_summary(trained):
    for name in ("vae", "flow"):
        folder = Path(trained.workdir) / name
        assert len(read_losses(folder)) == 12
        assert (folder / "best.weights.h5").is_file()
        assert (folder / "pictures" / "0000012.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads((folder / "done.json").read_text())["steps"] == 12


def test_auto_encoder_learns(trained):
    lines = (Path(trained.workdir) / "vae" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["validation"]["loss"] for line in lines if "validation" in line]
    assert losses == sorted(losses, reverse=True)


def test_no_trained_convolution_outgrows_its_bound(trained):
    from training.tasks import VAETask, load_best

    task = VAETask(trained)
    load_best(task.model, Path(trained.workdir) / "vae")
    norms = [
        np.linalg.norm(weight.numpy().reshape(-1, weight.shape[-1]), axis=0).max()
        for weight in task.model.trainable_variables
        if weight.constraint is not None
    ]
    assert norms
    # The average is taken before the constraint: one step of 3e-3 in 72 weights may stick out.
    assert max(norms) <= 1 + 3e-3 * np.sqrt(72)


def test_journal_of_the_auto_encoder_has_the_parts_of_its_loss(trained):
    lines = (Path(trained.workdir) / "vae" / "metrics.jsonl").read_text().splitlines()
    assert {"loss", "misfit", "kl", "excess_chi2", "images_per_s"} <= json.loads(lines[0]).keys()


def test_flow_without_an_auto_encoder_says_what_to_run(make_recipe):
    with pytest.raises(ConfigError, match="python -m training train"):
        fit("flow", make_recipe())


def test_finished_fit_is_not_taken_for_that_of_another_recipe(trained):
    other = dataclasses.replace(trained, fit_vae=dataclasses.replace(trained.fit_vae, steps=24))
    with pytest.raises(ConfigError, match="another recipe"):
        fit("vae", other)


def test_folder_of_another_architecture_is_refused(trained):
    other = dataclasses.replace(trained, vae=dataclasses.replace(trained.vae, hidden=24))
    with pytest.raises(ConfigError, match="another recipe"):
        fit("vae", other)


def test_latents_of_an_auto_encoder_that_was_trained_further_are_not_used(trained, tmp_path):
    import tensorflow as tf

    from training.latents import cached_latents
    from training.tasks import VAETask

    task, path = VAETask(trained), tmp_path / "latents.npz"
    before = cached_latents(task.vae, task.stamps, path)["train"]["mean"]
    for weight in task.model.trainable_variables:
        weight.assign_add(tf.ones_like(weight) * 0.01)
    after = cached_latents(task.vae, task.stamps, path)["train"]["mean"]
    assert not np.array_equal(before, after)


def test_exploding_auto_encoder_stops_with_an_error(make_recipe, trained):
    recipe = make_recipe(
        fit_vae=dataclasses.replace(trained.fit_vae, learning_rate=float("nan"), warmup=0, steps=6)
    )
    with pytest.raises(DivergedError):
        fit("vae", recipe)

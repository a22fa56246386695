"""The training loop, on a model of three numbers: what it keeps, resumes, refuses and reports."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import loop
from training.config import FitConfig
from training.errors import ConfigError, DamagedRunError, DivergedError

FIT = FitConfig(
    steps=12, batch=8, learning_rate=0.05, warmup=2, ema=0.9, validate_every=4, picture_every=6
)


class LineTask:
    """Fit a plane to noisy points, some of which may be poisoned with NaN."""

    identity = "a line"

    def __init__(self, poisoned: tuple[int, ...] = (), validation: float | None = None):
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        self.poisoned, self.validation = poisoned, validation
        self.seen_weights = []

    def batches(self, step):
        while True:
            self.seen_weights.append(self.model.get_weights())
            x = np.random.default_rng([1, step]).normal(size=(8, 2)).astype(np.float32)
            y = x @ np.array([[1.0], [-2.0]], np.float32) + 0.5
            yield {
                "x": tf.constant(x),
                "y": tf.constant(np.nan * y if step in self.poisoned else y),
            }
            step += 1

    def loss(self, batch, step, seed):
        noise = 0.1 * tf.random.stateless_normal(tf.shape(batch["y"]), seed)
        return {"loss": tf.reduce_mean((self.model(batch["x"]) - batch["y"] + noise) ** 2)}

    def validate(self):
        batch = next(LineTask.batches(self, 10_000))
        loss = self.loss(batch, tf.constant(0), tf.constant([0, 0]))["loss"]
        return {"loss": float(loss) if self.validation is None else self.validation}

    def picture(self, path):
        path.write_bytes(b"a picture")


@pytest.fixture
def every_step_reported(monkeypatch):
    monkeypatch.setattr(loop, "REPORT_EVERY", 1)


def read_journal(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def read_losses(folder) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_journal(folder) if "loss" in line}


@pytest.mark.usefixtures("every_step_reported")
@pytest.mark.parametrize("stops", [[1], [5], [4, 8], [3, 4, 11]])
def test_interrupted_run_has_the_losses_of_an_uninterrupted_one(tmp_path, stops):
    whole = loop.Fit(LineTask(), FIT, tmp_path / "whole")
    expected = whole.run()
    for stop in stops:
        loop.Fit(LineTask(), FIT, tmp_path / "parts").run(until=stop)
    parts = loop.Fit(LineTask(), FIT, tmp_path / "parts")
    assert parts.run() == expected
    assert read_losses(tmp_path / "parts") == read_losses(tmp_path / "whole")  # bit for bit
    with whole.averaged_weights(), parts.averaged_weights():
        for one, other in zip(
            whole.task.model.get_weights(), parts.task.model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("every_step_reported")
def test_loss_falls(tmp_path):
    loop.Fit(LineTask(), dataclasses.replace(FIT, steps=60), tmp_path).run()
    losses = read_losses(tmp_path)
    assert losses[60] < 0.2 * losses[1]


@pytest.mark.usefixtures("every_step_reported")
def test_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    loop.Fit(LineTask(), FIT, tmp_path).run(until=5)
    with pytest.raises(DivergedError, match=r"nan at step 8.*learning rate"):
        loop.Fit(LineTask(poisoned=(7,)), FIT, tmp_path).run()
    healed = loop.Fit(LineTask(), FIT, tmp_path)
    assert healed.run()["steps"] == 12
    assert all(np.isfinite(loss) for loss in read_losses(tmp_path).values())


def test_nan_between_two_reports_reaches_no_checkpoint(tmp_path):
    fit = dataclasses.replace(FIT, steps=12, checkpoint_minutes=0.0)
    with pytest.raises(DivergedError):
        loop.Fit(LineTask(poisoned=(7,)), fit, tmp_path).run()
    healed = loop.Fit(LineTask(), fit, tmp_path)
    healed.run()
    assert all(np.all(np.isfinite(w)) for w in healed.task.model.get_weights())


def test_run_of_another_recipe_in_the_same_folder_is_refused(tmp_path):
    loop.Fit(LineTask(), FIT, tmp_path).run(until=2)
    other = dataclasses.replace(FIT, learning_rate=0.01)
    with pytest.raises(ConfigError, match="another recipe"):
        loop.Fit(LineTask(), other, tmp_path).run()


def test_start_that_failed_does_not_keep_the_folder(tmp_path):
    class FailingTask(LineTask):
        def batches(self, step):
            raise ConfigError("too few stamps")

    with pytest.raises(ConfigError, match="too few"):
        loop.Fit(FailingTask(), dataclasses.replace(FIT, batch=4096), tmp_path).run()
    assert loop.Fit(LineTask(), FIT, tmp_path).run()["steps"] == 12


def test_run_that_diverged_before_any_checkpoint_leaves_the_folder_to_a_lower_rate(tmp_path):
    with pytest.raises(DivergedError, match="another workdir, or remove"):
        loop.Fit(LineTask(poisoned=(1,)), FIT, tmp_path).run()
    lower = dataclasses.replace(FIT, learning_rate=0.01)
    assert loop.Fit(LineTask(), lower, tmp_path).run()["steps"] == 12


def test_second_training_in_one_folder_is_refused(tmp_path):
    class NestedTask(LineTask):
        def validate(self):
            with pytest.raises(ConfigError, match="Another process"):
                loop.Fit(LineTask(), FIT, tmp_path).run()
            return super().validate()

    assert loop.Fit(NestedTask(), FIT, tmp_path).run()["steps"] == 12
    assert loop.Fit(LineTask(), FIT, tmp_path).run()["steps"] == 12  # the lock is gone


@pytest.mark.usefixtures("every_step_reported")
@pytest.mark.parametrize("keep", [0, 100])
def test_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(tmp_path, keep):
    expected = loop.Fit(LineTask(), FIT, tmp_path / "whole").run()
    for stop in (4, 8):
        loop.Fit(LineTask(), FIT, tmp_path / "parts").run(until=stop)
    data = next((tmp_path / "parts" / "checkpoints").glob("ckpt-8.data*"))
    data.write_bytes(data.read_bytes()[:keep])
    assert loop.Fit(LineTask(), FIT, tmp_path / "parts").run() == expected
    assert read_losses(tmp_path / "parts") == read_losses(tmp_path / "whole")


def test_run_without_any_sound_checkpoint_says_what_to_remove(tmp_path):
    loop.Fit(LineTask(), FIT, tmp_path).run(until=4)
    next((tmp_path / "checkpoints").glob("ckpt-4.data*")).write_bytes(b"")
    with pytest.raises(DamagedRunError, match="remove"):
        loop.Fit(LineTask(), FIT, tmp_path).run()


@pytest.mark.parametrize("keep", [0, 20])
def test_run_whose_list_of_checkpoints_is_damaged_goes_on(tmp_path, keep):
    loop.Fit(LineTask(), FIT, tmp_path).run(until=8)
    listed = tmp_path / "checkpoints" / "checkpoint"
    listed.write_bytes(listed.read_bytes()[:keep])
    run = loop.Fit(LineTask(), FIT, tmp_path)
    assert run.run()["steps"] == 12
    assert len(run.task.seen_weights) == 4 + 1  # steps, and the batch of a validation


@pytest.mark.parametrize("text", ["", '{"steps": '])
def test_run_whose_last_word_was_cut_short_has_not_ended(tmp_path, text):
    loop.Fit(LineTask(), FIT, tmp_path).run()
    (tmp_path / "done.json").write_text(text)
    run = loop.Fit(LineTask(), FIT, tmp_path)
    assert not run.done
    run.run()
    assert run.done


def test_run_stops_early_when_validation_no_longer_improves(tmp_path):
    fit = dataclasses.replace(FIT, steps=40, validate_every=2, patience=3)
    run = loop.Fit(LineTask(validation=1.0), fit, tmp_path)
    # The first validation, at step 2, is the best; the third after it, at step 8, ends the run.
    assert run.run() == {"steps": 8, "best_validation_loss": 1.0}
    assert run.done


def test_finished_run_takes_no_further_step(tmp_path):
    first = loop.Fit(LineTask(), FIT, tmp_path).run()
    again = loop.Fit(LineTask(), FIT, tmp_path)
    assert again.done
    assert again.run() == first
    assert len(again.task.seen_weights) == 0


def test_run_until_zero_takes_no_step(tmp_path):
    assert loop.Fit(LineTask(), FIT, tmp_path).run(until=0)["steps"] == 0


def test_averaged_weights_are_the_exponential_average_and_are_given_back(tmp_path):
    run = loop.Fit(
        LineTask(), dataclasses.replace(FIT, validate_every=99, picture_every=99), tmp_path
    )
    run.run(until=6)
    last = run.task.model.get_weights()
    after_steps = [*run.task.seen_weights[1:], last]
    expected = after_steps[0]
    for weights in after_steps[1:]:
        expected = [0.9 * a + 0.1 * w for a, w in zip(expected, weights, strict=True)]
    with run.averaged_weights():
        inside = run.task.model.get_weights()
    for got, want in zip(inside, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)
    for got, want in zip(run.task.model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(got, want)


def test_weights_come_back_even_if_validation_fails(tmp_path):
    run = loop.Fit(LineTask(), FIT, tmp_path)
    run.run(until=3)
    before = run.task.model.get_weights()
    with pytest.raises(RuntimeError), run.averaged_weights():
        raise RuntimeError
    for got, want in zip(run.task.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_best_weights_are_those_of_the_best_validation(tmp_path):
    run = loop.Fit(LineTask(), FIT, tmp_path)
    best = run.run()["best_validation_loss"]
    other = LineTask()
    other.model.load_weights(tmp_path / "best.weights.h5")
    assert other.validate()["loss"] == pytest.approx(best, rel=1e-6)
    validations = [
        line["validation"]["loss"] for line in read_journal(tmp_path) if "validation" in line
    ]
    assert best == min(validations)


def test_journal_has_loss_speed_and_validation_and_pictures_stand(tmp_path):
    loop.Fit(LineTask(), FIT, tmp_path).run()
    lines = read_journal(tmp_path)
    reports = [line for line in lines if "loss" in line]
    assert [line["step"] for line in reports][:3] == [1, 2, 3]
    assert all(line["images_per_s"] > 0 for line in reports)
    assert [line["step"] for line in lines if "validation" in line] == [4, 8, 12]
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "0000006.png",
        "0000012.png",
    ]


def test_rate_rises_linearly_then_falls_as_a_cosine():
    fit = FitConfig(steps=110, warmup=10, learning_rate=1.0, final_rate=0.1)
    rates = [float(loop.Rate(fit)(step)) for step in (0, 4, 10, 60, 110, 500)]
    np.testing.assert_allclose(rates, [0.1, 0.5, 1.0, 0.55, 0.1, 0.1], rtol=1e-6)

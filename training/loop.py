"""The one training loop: any model whose task says what a step, a validation and a picture are.

A run lives in a folder: ``checkpoints/`` (the newest few), ``metrics.jsonl`` (one line a report),
``pictures/``, ``best.weights.h5`` and ``done.json``. Killed at any moment, the run goes on from its
last checkpoint with the same batches and the same random numbers, hence the same losses.
"""

import json
import logging
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from .config import FitConfig
from .errors import DamagedRunError, DivergedError
from .run_folder import WEIGHTS, alone_in, claim_folder, claim_of, read_done, write_done

logger = logging.getLogger(__name__)

REPORT_EVERY = 25  # steps between lines of metrics.jsonl


class Task(Protocol):
    """What the loop must know of a model."""

    model: keras.Model
    identity: str  # hash of what shapes the fit beside its FitConfig: data and architecture

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield training batches as if `step` of them had been drawn."""

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the loss (key ``loss``) and its parts."""

    def validate(self) -> dict[str, float]:
        """Return validation metrics; ``loss`` decides which weights are best."""

    def picture(self, path: pathlib.Path) -> None:
        """Save a picture that shows how the model does."""


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine from `learning_rate` to `final_rate` times it."""

    def __init__(self, fit: FitConfig):
        self.fit = fit

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate at a step."""
        fit, step = self.fit, tf.cast(step, tf.float32)
        done = tf.clip_by_value((step - fit.warmup) / max(fit.steps - fit.warmup, 1), 0.0, 1.0)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * done))
        rise = tf.minimum(1.0, (step + 1.0) / max(fit.warmup, 1))
        return fit.learning_rate * rise * (fit.final_rate + (1.0 - fit.final_rate) * cosine)

    def get_config(self) -> dict:
        """Return nothing: the schedule is rebuilt from the recipe, never from a file."""
        return {}


class Fit:
    """A resumable run of a task in a folder."""

    def __init__(self, task: Task, config: FitConfig, folder: pathlib.Path):
        self.task, self.config, self.folder = task, config, pathlib.Path(folder)
        self.optimizer = keras.optimizers.Adam(
            Rate(config), global_clipnorm=config.clip_norm, use_ema=True, ema_momentum=config.ema
        )
        self.optimizer.build(task.model.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64)
        self.best = tf.Variable(np.inf, dtype=tf.float64)
        self.waited = tf.Variable(0, dtype=tf.int64)
        parts = {"model": task.model, "optimizer": self.optimizer}
        parts |= {"step": self.step, "best": self.best, "waited": self.waited}
        self.checkpoint = tf.train.Checkpoint(**parts)
        # Losses have no control flow on tensors, and without autograph a step is traced sooner.
        self._train_step = tf.function(self._one_step, autograph=False)

    @property
    def done(self) -> bool:
        """Whether the run has ended for good."""
        return read_done(self.folder) is not None

    @property
    def best_weights(self) -> pathlib.Path:
        """File with the averaged weights of the best validation so far."""
        return self.folder / WEIGHTS

    def run(self, until: int | None = None) -> dict[str, float]:
        """Train up to `until` (or the recipe's steps), resuming if a checkpoint stands.

        A run that is done is left as it is.

        Raises
        ------
        DivergedError
            If the loss is not finite. The last checkpoint stays.
        ConfigError
            If the folder holds a run of another recipe, architecture or stamp set, or another
            process is training there.
        DamagedRunError
            If checkpoints stand and none can be read.
        """
        with alone_in(self.folder):
            claim_folder(self.folder, claim_of(self.config, self.task.identity))
            (self.folder / "pictures").mkdir(exist_ok=True)
            self._resume()
            last = self.config.steps if until is None else min(until, self.config.steps)
            self._loop(last)
            self._save()
            summary = {"steps": int(self.step), "best_validation_loss": float(self.best)}
            if int(self.step) >= self.config.steps or self._tired():
                write_done(self.folder, summary)
        return summary

    def _loop(self, last: int) -> None:
        from tqdm import tqdm

        saved = time.monotonic()
        batches = self.task.batches(int(self.step))
        with (
            tqdm(
                total=last, initial=int(self.step), unit="step", disable=None, mininterval=2.0
            ) as bar,
            Journal(self) as journal,
        ):
            while int(self.step) < last and not self._tired():
                metrics = self._train_step(next(batches))
                self.step.assign_add(1)
                self._check_finite(float(metrics["loss"]))
                journal.note(metrics, bar)
                self._now_and_then(journal)
                if time.monotonic() - saved > 60.0 * self.config.checkpoint_minutes:
                    self._save()
                    saved = time.monotonic()

    def _now_and_then(self, journal: "Journal") -> None:
        step, config = int(self.step), self.config
        if step % config.validate_every == 0 or step == config.steps:
            with self.averaged_weights():
                journal.write({"validation": self._validate()})
        if step % config.picture_every == 0 or step == config.steps:
            with self.averaged_weights():
                self.task.picture(self.folder / "pictures" / f"{step:07d}.png")

    def _validate(self) -> dict[str, float]:
        metrics = self.task.validate()
        self.waited.assign_add(1)
        if metrics["loss"] < float(self.best):
            self.best.assign(metrics["loss"])
            self.waited.assign(0)
            self.task.model.save_weights(self.best_weights)
        return metrics

    def averaged_weights(self) -> "AveragedWeights":
        """Return a context in which the model holds its running-average weights."""
        return AveragedWeights(self)

    def _one_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), self.step])
        variables = self.task.model.trainable_variables
        with tf.GradientTape() as tape:
            metrics = self.task.loss(batch, self.step, seed)
        self.optimizer.apply(tape.gradient(metrics["loss"], variables), variables)
        return metrics

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss became {loss} at step {int(self.step)}. Lower the learning rate and "
                f"train in another workdir, or remove {self.folder} first: its checkpoints, if "
                "any, are of this learning rate and go on with no other."
            )

    def _tired(self) -> bool:
        return int(self.waited) >= self.config.patience

    def _save(self) -> None:
        self.manager.save(checkpoint_number=int(self.step))

    def _resume(self) -> None:
        """Go on from the newest checkpoint that can be read, if any stands."""
        folder = self.folder / "checkpoints"
        self.manager = self._keep_two(folder)
        found = sorted((int(path.stem[5:]) for path in folder.glob("ckpt-*.index")), reverse=True)
        for number in found:
            try:
                restored = self.checkpoint.restore(str(folder / f"ckpt-{number}"))
            except (tf.errors.OpError, IndexError, RuntimeError, ValueError):
                logger.warning("Checkpoint %d in %s is damaged.", number, folder)
                continue
            restored.assert_existing_objects_matched()
            return
        if found:
            raise DamagedRunError(
                f"No checkpoint in {folder} can be read: remove {self.folder} and train again."
            )

    def _keep_two(self, folder: pathlib.Path) -> tf.train.CheckpointManager:
        try:
            return tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=2)
        except ValueError:  # an empty list of checkpoints, which are there all the same
            (folder / "checkpoint").unlink()
            return tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=2)


class AveragedWeights:
    """Swap the optimizer's running averages into the model for a while."""

    def __init__(self, fit: Fit):
        self.variables = fit.task.model.trainable_variables
        self.averages = fit.optimizer._model_variables_moving_average

    def __enter__(self) -> None:
        self.kept = [v.numpy() for v in self.variables]
        for variable, average in zip(self.variables, self.averages, strict=True):
            variable.assign(average)

    def __exit__(self, *exception: object) -> None:
        for variable, value in zip(self.variables, self.kept, strict=True):
            variable.assign(value)


class Journal:
    """Write metrics.jsonl, the progress bar and, when TensorBoard is installed, its events."""

    def __init__(self, fit: Fit):
        self.fit = fit
        self.first, self.last = int(fit.step), (int(fit.step), time.monotonic())

    def __enter__(self) -> "Journal":
        path = self.fit.folder / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        self.file = open(path, "w", buffering=1)
        # What a killed run wrote after its last checkpoint is about to be written again.
        self.file.writelines(x for x in lines if _step_of(x) <= self.first)
        self.board = tensorboard_writer(self.fit.folder / "events")
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def note(self, metrics: dict[str, tf.Tensor], bar: Any) -> None:
        """Report now and then."""
        step = int(self.fit.step)
        bar.update(1)
        if step % REPORT_EVERY and step - self.first > 3:
            return
        values = {k: float(v) for k, v in metrics.items()}
        rate = self._rate(step)
        bar.set_postfix(loss=f"{values['loss']:.2f}", images_per_s=f"{rate:.0f}")
        self.write(values | {"images_per_s": round(rate, 1)})

    def _rate(self, step: int) -> float:
        """Return images per second since the last report."""
        now, (before, then) = time.monotonic(), self.last
        self.last = (step, now)
        return (step - before) * self.fit.config.batch / (now - then)

    def write(self, values: dict) -> None:
        """Append one line."""
        step = int(self.fit.step)
        self.file.write(json.dumps({"step": step} | values) + "\n")
        if self.board:
            for name, value in values.items():
                if isinstance(value, float):
                    tf.summary.scalar(name, value, step=step)


def _step_of(line: str) -> float:
    """Return the step of a line of metrics.jsonl, infinity if a kill cut the line short."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf


def tensorboard_writer(folder: pathlib.Path) -> Any:
    """Return the default event writer, or None when TensorBoard is not installed."""
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        return None
    writer = tf.summary.create_file_writer(str(folder))
    writer.set_as_default()
    return writer

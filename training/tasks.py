"""What the training loop does for each of the two models."""

import hashlib
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from . import losses
from .config import Config, FitConfig, fingerprint
from .data.pipeline import StampSet
from .errors import ConfigError, DamagedRunError
from .loop import Task
from .models.flow import ConditionalFlow
from .models.vae import VAE, VAELoss
from .run_folder import WEIGHTS, claim_of, require_claim
from .tables import random_rows

VALIDATION_STAMPS = 2048


class Pair(keras.Model):
    """The networks of a VAE under one roof, so that weights save and restore together."""

    def __init__(self, networks: list[keras.Model]):
        super().__init__()
        self.networks = networks
        self.built = True


class VAETask:
    """Fit the auto-encoder to a stamp set, by default the recipe's."""

    def __init__(self, config: Config, stamps: StampSet | None = None):
        self.config = config
        self.stamps = stamps or StampSet(config.data.directory, config.half)
        self.stamps.require_made_by(config.data)
        self.vae = VAE(config.vae, config.data)
        self.identity = f"{self.stamps.identity}/{fingerprint(config.vae)}"
        prior = self._prior()
        if config.start_from:
            self.identity += "/" + self._start_from(pathlib.Path(config.start_from), prior)
        self.model = Pair([*self.vae.networks, *([prior] if prior else [])])
        mag_column = self.stamps.manifest["conditions"].index("mag_auto")
        self.loss = VAELoss(self.vae, config.fit_vae, self.stamps.noise_power, mag_column, prior)
        self._validation_loss = tf.function(
            lambda b: self.loss(b, tf.int64.max, tf.constant([0, 0], tf.int64)), autograph=False
        )

    def _prior(self) -> ConditionalFlow | None:
        """Return the flow that is the prior of the latents, None for a standard normal."""
        config, size = self.config, self.config.vae.latent_size
        if config.start_from:  # which says how conditions are standardised, too
            return ConditionalFlow(config.flow, size)
        if not config.learned_prior:
            return None
        self.identity += f"/{fingerprint(config.flow)}"
        held_out = [batch["conditions"] for batch in self.stamps.ordered("validation", 512)]
        conditions = tf.concat(held_out, 0).numpy()
        return ConditionalFlow.create(config.flow, size, np.zeros(size), np.ones(size), conditions)

    def _start_from(self, workdir: pathlib.Path, prior: ConditionalFlow) -> str:
        """Take the networks and the flow of another run; return the hash of their weights."""
        try:
            load_best(Pair(self.vae.networks), workdir / "vae")
            load_best(prior, workdir / "flow")
        except ValueError as error:
            raise ConfigError(
                f"The networks fitted in {workdir} have other shapes than this recipe's: give both "
                "recipes the same vae and flow sections."
            ) from error
        files = [workdir / name / WEIGHTS for name in ("vae", "flow")]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield augmented training stamps."""
        fit = self.config.fit_vae
        return self.stamps.training("train", fit.batch, fit.seed, step)

    def validate(self) -> dict[str, float]:
        """Return the loss and its parts on the first batches of the validation split."""
        batches = self.stamps.ordered("validation", self.config.fit_vae.batch).take(
            max(1, VALIDATION_STAMPS // self.config.fit_vae.batch)
        )
        rows = [self._validation_loss(batch) for batch in batches]
        return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}

    def picture(self, path: pathlib.Path) -> None:
        """Save data, reconstruction, residual and PSF-free galaxy of eight validation stamps."""
        from .pictures import reconstruction_figure

        stamps = next(iter(self.stamps.ordered("validation", 8)))
        images = self.vae.decode(self.vae.posterior(stamps)[0])[0]
        seen = losses.convolve(images, stamps["psf"])
        figure = reconstruction_figure(
            stamps["image"].numpy(), seen.numpy(), images.numpy(), stamps["noise_variance"].numpy()
        )
        figure.savefig(path, dpi=80)


class FlowTask:
    """Fit the conditional flow to samples of the training set's posteriors."""

    def __init__(self, config: Config, latents: dict[str, dict[str, np.ndarray]]):
        self.config, self.fit = config, config.fit_flow
        self.latents = latents
        train = latents["train"]
        self.identity = f"{fingerprint(config.flow)}/{_content(train)}"
        spread = np.sqrt(
            np.var(train["mean"], axis=0) + np.mean(np.exp(2.0 * train["log_scale"]), axis=0)
        )
        self.flow = ConditionalFlow.create(
            config.flow,
            config.vae.latent_size,
            train["mean"].mean(axis=0),
            spread,
            train["conditions"],
        )
        self.model = self.flow

    def batches(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Yield random rows of the posterior table, a function of seed and step."""
        return random_rows(self.latents["train"], self.fit, step)

    def loss(
        self, batch: dict[str, tf.Tensor], step: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the mean negative log likelihood of posterior samples [nat]."""
        noise = tf.random.stateless_normal(tf.shape(batch["mean"]), seed)
        latents = batch["mean"] + tf.exp(batch["log_scale"]) * noise
        return {"loss": -tf.reduce_mean(self.flow.log_prob(latents, batch["conditions"]))}

    def validate(self) -> dict[str, float]:
        """Return the loss on the whole validation split, with fixed posterior samples."""
        held_out = {k: tf.constant(v) for k, v in self.latents["validation"].items()}
        return {"loss": float(self.loss(held_out, tf.constant(0), tf.constant([0, 0]))["loss"])}

    def picture(self, path: pathlib.Path) -> None:
        """Save histograms of each latent: posterior samples against flow samples."""
        from .pictures import latent_figure

        held_out = self.latents["validation"]
        rng = np.random.default_rng(0)
        truth = held_out["mean"] + np.exp(held_out["log_scale"]) * rng.standard_normal(
            held_out["mean"].shape
        )
        noise = tf.constant(rng.standard_normal(truth.shape), tf.float32)
        drawn = self.flow.sample(noise, tf.constant(held_out["conditions"])).numpy()
        latent_figure(truth, drawn).savefig(path, dpi=80)


def _content(table: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(b"".join(column.tobytes() for column in table.values())).hexdigest()


def load_fitted(task: Task, fit: FitConfig, folder: pathlib.Path) -> None:
    """Load the weights of a run's best validation, if it is the run of this very recipe.

    Raises
    ------
    ConfigError
        If the run has not got that far, or is of another recipe, of other stamps or of other
        weights of the fit before it.
    DamagedRunError
        If the weights cannot be read.
    """
    require_claim(folder, claim_of(fit, task.identity))
    load_best(task.model, folder)


def load_best(model: keras.Model, folder: pathlib.Path) -> None:
    """Load the weights of a run's best validation, whatever its recipe.

    Raises
    ------
    ConfigError
        If the run has not got that far.
    DamagedRunError
        If the weights cannot be read.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ConfigError(
            f"No trained weights in {folder}: run 'python -m training train CONFIG' first."
        )
    try:
        model.load_weights(path)
    except OSError as error:
        raise DamagedRunError(
            f"{path} cannot be read ({error}): remove {folder} and train again."
        ) from error

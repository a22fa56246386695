"""Write the light files of a module: what drawing needs, for ONNX Runtime.

Three files, so that no weight is stored twice: a latent code, its turn and its clumps are drawn for
``generate``, or these are none for ``decode``, and one decoder serves both. The batch size of
each file is fixed (see `galsim_hub.backend.light`): the flow's many small steps cost hardly more
for eight galaxies than for one, the decoder fills a core with a single one.
"""

import pathlib

import numpy as np
import tensorflow as tf

from .config import CONDITIONS
from .errors import ExportError
from .models.generator import GalaxyModule

OPSET = 18
LATENTS, UPRIGHT, DECODE = "light/latents.onnx", "light/upright.onnx", "light/decode.onnx"
CHAINS = {"generate": [LATENTS, DECODE], "decode": [UPRIGHT, DECODE]}
LATENTS_BATCH = 8
TOLERANCE = 1.0e-5  # of the peak, against the SavedModel


def write_light(module: GalaxyModule, folder: pathlib.Path) -> None:
    """Write the light files below a module's folder."""
    batch = LATENTS_BATCH
    conditions = [tf.TensorSpec([batch], tf.float32, name=name) for name in CONDITIONS]
    random_normal = tf.TensorSpec([batch, module.random_size], tf.float32, name="random_normal")
    latents = tf.TensorSpec([1, module.vae.code_size], tf.float32, name="latents")
    turn = tf.TensorSpec([1], tf.int32, name="turn")
    clumps = [
        tf.TensorSpec([1], tf.float32, name="clump_share"),
        tf.TensorSpec([1, module.clump_noise_size], tf.float32, name="clump_noise"),
    ]
    (folder / "light").mkdir()
    convert_to_onnx(module.draw_latents, [*conditions, random_normal], folder / LATENTS)
    convert_to_onnx(module.keep_upright, [latents], folder / UPRIGHT)
    drawn = [latents, turn, *(clumps if module.clumpiness else [])]
    convert_to_onnx(module.decode_turned, drawn, folder / DECODE)


def check_light(folder: pathlib.Path, golden: pathlib.Path) -> None:
    """Run the light files on the golden sample, because converters lose weights silently.

    Raises
    ------
    ExportError
        If a pixel differs from the SavedModel's by more than `TOLERANCE` of its image's peak.
    """
    from galsim_hub.backend.light import LightEngine

    engine = LightEngine(folder, CHAINS)
    with np.load(golden) as arrays:
        for name in CHAINS:
            inputs = {k.split("/")[2]: arrays[k] for k in arrays if k.startswith(f"{name}/in/")}
            images = arrays[f"{name}/out/image"]
            error = np.abs(engine.run(name, inputs)["image"] - images) / images.max(
                axis=(1, 2), keepdims=True
            )
            if not error.max() <= TOLERANCE:
                raise ExportError(
                    f"The light files of {name!r} differ from the SavedModel by {error.max():.1e} "
                    f"of the peak, more than {TOLERANCE:g}: try another version of tf2onnx."
                )


def convert_to_onnx(function, signature: list[tf.TensorSpec], path: pathlib.Path) -> None:
    """Write a TensorFlow function of fixed shapes as an ONNX file, weights included."""
    import tf2onnx  # here: slow to import, and only an export needs it

    program = tf.function(function, autograph=False)
    model, _ = tf2onnx.convert.from_function(program, input_signature=signature, opset=OPSET)
    # A tensor made outside of the function would become an input without a word.
    names = [entry.name for entry in model.graph.input]
    if sorted(names) != sorted(spec.name for spec in signature):
        raise ExportError(f"{path} would take {names}: make its constants inside the function.")
    # Of what tf2onnx imports, only ONNX's own operators are used and allowed.
    own = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(own)
    path.write_bytes(model.SerializeToString(deterministic=True))

"""Write a module as the package of 2020 had them, with TensorFlow's interface of version 1.

Run in a process of its own: ``python make_legacy.py FOLDER RANK OP``. RANK is that of the output,
3 or 4; OP, if given, is one that no module may hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

STAMP_SIZE = 24
PIXEL_SIZE = 0.05
N_RANDOM = 5


def build(tf, rank, op):
    """Build the graph: a Gaussian of the given size and flux, blurred by the random input."""
    v1 = tf.compat.v1
    flux_radius = v1.placeholder(tf.float32, [None], "flux_radius")
    mag_auto = v1.placeholder(tf.float32, [None], "mag_auto")
    noise = v1.placeholder(tf.float32, [None, N_RANDOM], "noise")
    # As layers had them: drawn initial values, in a variable that is no resource.
    weights = v1.get_variable("weights", [N_RANDOM, 1], use_resource=False)
    sigma = flux_radius / 1.178 * tf.exp(0.1 * tf.tanh(tf.matmul(noise, weights)[:, 0]))
    axis = tf.constant(np.arange(STAMP_SIZE) - (STAMP_SIZE - 1) / 2, tf.float32)
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    image = tf.exp(-squared[None] / (2 * sigma[:, None, None] ** 2))
    image /= tf.reduce_sum(image, axis=(1, 2), keepdims=True)
    image *= tf.pow(10.0, -0.4 * (mag_auto - 25.94))[:, None, None]
    if op == "ReadFile":
        with tf.control_dependencies([tf.io.read_file("/etc/hostname")]):
            image = tf.identity(image)
    output = image[..., None] if rank == 4 else image
    inputs = {"flux_radius": flux_radius, "mag_auto": mag_auto, "random_normal": noise}
    return inputs, output


def attach(meta_graph, key, message):
    """Attach a message under a key, as ``hub.attach_message`` did."""
    value = message.SerializeToString()
    encoded = b"\x0a" + bytes([len(key)]) + key.encode() + b"\x12" + bytes([len(value)]) + value
    meta_graph.collection_def["hub_module_attachments"].bytes_list.value.append(encoded)


def write(folder, rank, op):
    """Write the module's files."""
    import tensorflow as tf  # here: 5 s that a mere collection of tests need not wait
    from tensorflow.core.protobuf import saved_model_pb2

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.set_random_seed(1)
        inputs, output = build(tf, rank, op)
        meta_graph = v1.train.export_meta_graph(strip_default_attrs=True)
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def(
            {name: info(tensor) for name, tensor in inputs.items()}, {"default": info(output)}
        )
        meta_graph.signature_def["default"].CopyFrom(signature)
        int64s, floats = tf.train.Int64List, tf.train.FloatList
        attach(meta_graph, "stamp_size", int64s(value=[STAMP_SIZE]))
        attach(meta_graph, "pixel_size", floats(value=[PIXEL_SIZE]))
        with graph.as_default():
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(sharded=True)
            (folder / "variables").mkdir(parents=True)
            prefix = str(folder / "variables" / "variables")
            saver.save(session, prefix, write_meta_graph=False, write_state=False)
    saved_model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    saved_model.meta_graphs.append(meta_graph)
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")

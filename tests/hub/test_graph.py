"""A network that could do more than compute is refused before TensorFlow runs any of it."""

from __future__ import annotations

import pytest

from galsim_hub.backend.graph import check_graph, scan
from galsim_hub.backend.tensorflow import TensorFlowEngine
from galsim_hub.errors import CorruptedModuleError, UnsafeModuleError


@pytest.fixture(scope="module")
def tf():
    import tensorflow  # here, not above: it takes seconds that a mere collection need not wait

    return tensorflow


def read_file(tf, x):
    return x + tf.strings.to_number(tf.io.read_file("/etc/hostname")) * 0


def write_file(tf, x):
    tf.io.write_file("/tmp/galsim_hub_was_here", "x")
    return x


def match_files(tf, x):
    return x + tf.cast(tf.size(tf.io.matching_files("/etc/*")), tf.float32)


def print_to_file(tf, x):
    tf.print(x, output_stream="file:///tmp/galsim_hub_was_here")
    return x


def call_python(tf, x):
    return tf.reshape(tf.py_function(lambda y: y, [x], tf.float32), [-1])


def call_numpy(tf, x):
    return tf.reshape(tf.numpy_function(lambda y: y, [x], tf.float32), [-1])


def save_variables(tf, x):
    tf.raw_ops.SaveV2(
        prefix="/tmp/galsim_hub_was_here", tensor_names=["x"], shape_and_slices=[""], tensors=[x]
    )
    return x


def restore_variables(tf, x):
    read = tf.raw_ops.RestoreV2(
        prefix="/tmp/x", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return x + read[0]


def read_a_data_set(tf, x):
    lines = tf.data.TextLineDataset("/etc/passwd").take(1)
    return x + tf.cast(lines.reduce(tf.constant(0), lambda n, _: n + 1), tf.float32)


def read_in_a_branch(tf, x):
    return tf.cond(tf.reduce_sum(x) > 1e30, lambda: read_file(tf, x), lambda: x)


def decode_an_image(tf, x):
    return x + tf.cast(tf.io.decode_png(tf.io.encode_png(tf.zeros([1, 1, 3], tf.uint8)))[0, 0, 0],
                       tf.float32)  # fmt: skip


HOSTILE = {
    read_file: "ReadFile",
    write_file: "WriteFile",
    match_files: "MatchingFiles",
    print_to_file: "PrintV2",
    call_python: "EagerPyFunc",
    call_numpy: "PyFunc",
    save_variables: "SaveV2",
    restore_variables: "RestoreV2",
    read_a_data_set: "TextLineDataset",
    read_in_a_branch: "ReadFile",
    decode_an_image: "DecodePng",
}


def save(tf, folder, compute):
    """Save a model of one variable whose only signature computes what it is given."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def generate(self, x):
            return {"image": compute(tf, x * self.weight)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"generate": model.generate})


@pytest.mark.parametrize("compute", HOSTILE, ids=lambda function: function.__name__)
def test_a_hostile_op_is_refused_by_name(tf, tmp_path, compute):
    save(tf, tmp_path, compute)
    assert HOSTILE[compute] in scan(tmp_path)
    with pytest.raises(UnsafeModuleError, match=HOSTILE[compute]) as caught:
        TensorFlowEngine(tmp_path)
    assert HOSTILE[compute] in caught.value.found


def test_a_sound_network_with_variables_is_accepted(tf, tmp_path):
    save(tf, tmp_path, lambda tf, x: tf.nn.relu(x))
    assert scan(tmp_path) == []
    assert TensorFlowEngine(tmp_path).run("generate", {"x": [3.0]})["image"] == 6.0


def test_the_modules_for_tests_are_accepted(module_folder):
    assert scan(module_folder) == []


def test_assets_are_refused(tf, tmp_path):
    (tmp_path / "words.txt").write_text("1\n2\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"), tf.int64, 0, tf.int64, 0, delimiter=" "
        ),
        -1,
    )

    def look_up(tf, x):
        return x + tf.cast(table.lookup(tf.cast(x, tf.int64)), tf.float32)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = table

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def generate(self, x):
            return {"image": look_up(tf, x)}

    model = Model()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures={"generate": model.generate})
    found = scan(tmp_path / "m")
    assert "the asset assets/words.txt" in found
    assert "InitializeTableFromTextFileV2" in found


def edit(folder, change):
    """Change a saved graph as an attacker would."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    change(saved_model.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())


def add_to_restoring(graph):
    node = graph.graph_def.node.add(name="evil", op="WriteFile")
    next(n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name).input.append(
        f"^{node.name}"
    )


def save_while_restoring(graph):
    graph.saver_def.restore_op_name = graph.saver_def.save_tensor_name.partition(":")[0]


def call_the_saver_at_start(graph):
    name = graph.saver_def.save_tensor_name.partition(":")[0]
    graph.collection_def["saved_model_main_op"].node_list.value.append(name)


def name_a_function_like_an_op(graph):
    graph.graph_def.library.function.add().signature.name = "ReadFile"
    graph.graph_def.node.add(name="evil", op="ReadFile")


def call_an_unknown_op(graph):
    graph.graph_def.node.add(name="evil", op="LoadedFromSomewhere>Evil")


@pytest.mark.parametrize(
    ("change", "op"),
    [
        (add_to_restoring, "WriteFile"),
        (save_while_restoring, "SaveV2"),
        (call_the_saver_at_start, "SaveV2"),
        (name_a_function_like_an_op, "ReadFile"),
        (call_an_unknown_op, "LoadedFromSomewhere>Evil"),
    ],
)
def test_a_graph_made_to_deceive_is_refused(tf, tmp_path, change, op):
    save(tf, tmp_path, lambda tf, x: x)
    edit(tmp_path, change)
    assert op in scan(tmp_path)


def test_a_graph_that_cannot_be_read_is_corrupted(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"not a graph")
    with pytest.raises(CorruptedModuleError, match="cannot be read"):
        check_graph(tmp_path)

"""A box on many devices is the box on one, to rounding; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, CheckpointError, DeviceMeshError
from galsim_hub.particle_mesh import distributed
from galsim_hub.particle_mesh.distributed.checkpoint import Checkpoints
from galsim_hub.particle_mesh.distributed.collective import CollectiveCommunicator

# Slabs of two processes, and pencils of four devices; `test_communicator` has more, less costly.
MESHES = ["2x1_0", "2x1_1", "2x2_0"]
STAGES = [0.1, 0.3, 0.6, 1.0]


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize(
    ("name", "tolerance"),
    # In double precision, where only the order of sums differs: far below 1e-6 and 1e-5.
    [("linear", 1e-14), ("density", 1e-12), ("by_field", 1e-12), ("by_omega", 1e-11)],
)
def test_a_mesh_of_devices_agrees_with_one(simulated, mesh, name, tolerance):
    alone, ours = (simulated[run][name] for run in ("0x0_0", mesh))
    assert np.linalg.norm(alone) > 0
    assert np.linalg.norm(ours - alone) <= tolerance * np.linalg.norm(alone)


@pytest.mark.parametrize("mesh", ["4x1_0", "2x2_0"])
@pytest.mark.parametrize("name", ["linear", "density", "by_field"])
def test_single_precision_is_the_same_to_the_bit_however_the_box_is_cut(
    simulated_in_single_precision, mesh, name
):
    alone, ours = (simulated_in_single_precision[run][name] for run in ("1x1_0", mesh))
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, alone)


def refuse(mesh, n=32, largest=20.0, side=320.0, **options):
    """Make a share of a box on a mesh of devices that is not there."""
    communicator = CollectiveCommunicator(mesh, 0, timeout=1.0)
    return distributed.DistributedBox(
        pm.Box(n, side), communicator, largest_displacement=largest, **options
    )


@pytest.mark.parametrize("mesh", [(3, 1), (1, 3), (64, 1)])
def test_a_mesh_that_does_not_divide_the_box_is_refused(mesh):
    with pytest.raises(DeviceMeshError, match="Choose other numbers"):
        refuse(mesh)


@pytest.mark.parametrize(("mesh", "largest"), [((4, 1), 51.0), ((1, 4), 51.0), ((8, 1), 20.0)])
def test_a_halo_wider_than_a_block_is_refused(mesh, largest):
    with pytest.raises(DeviceMeshError, match="narrower than the halo"):
        refuse(mesh, largest=largest)
    refuse((4, 1), largest=50.0)


@pytest.mark.parametrize("largest", [0.0, -1.0, np.nan, np.inf])
def test_a_senseless_largest_displacement_is_refused(largest):
    with pytest.raises(BoxError, match="positive"):
        refuse((2, 1), largest=largest)


def test_a_field_of_the_whole_box_is_no_share():
    share = refuse((2, 1))
    with pytest.raises(BoxError, match="shape"):
        share.start(tf.zeros([32, 32, 32]), pm.Growth(pm.Planck15()), 0.1)


@pytest.mark.parametrize("mesh", [0, None, (2, 0), (2, 2, 2), (1.5, 1)])
def test_a_mesh_of_no_devices_is_refused(mesh):
    with pytest.raises(DeviceMeshError, match="whole numbers"):
        distributed.launch(lambda communicator: None, mesh)


def test_processes_that_cannot_share_a_mesh_are_refused():
    peers = distributed.Peers(("127.0.0.1:2000", "127.0.0.1:2001"), 0)
    with pytest.raises(DeviceMeshError, match="equal shares"):
        distributed.launch(lambda communicator: None, 3, peers=peers)


def test_devices_after_tensorflow_started_are_refused():
    tf.constant(1.0)
    with pytest.raises(DeviceMeshError, match="Call launch first"):
        distributed.launch(lambda communicator: None, 4)


@pytest.fixture(scope="module")
def share(box):
    """Give the only share of a box, compiled once."""
    return distributed.DistributedBox(
        box, distributed.SerialCommunicator(), largest_displacement=20.0
    )


def test_the_only_share_is_the_box(share, box, cosmology, growth):
    power = pm.EisensteinHu(cosmology)
    linear = share.linear_field(power, seed=3, dtype=tf.float64)
    np.testing.assert_allclose(linear, pm.linear_field(box, power, 3, dtype=tf.float64), atol=1e-13)

    def slope(start, evolve, density):
        with tf.GradientTape() as tape:
            tape.watch(linear)
            end = evolve(start(linear, growth, STAGES[0]), growth, STAGES)
            figure = tf.reduce_sum(density(end.displacement) ** 2)
        return figure, tape.gradient(figure, linear)

    alone = slope(
        lambda field, *rest: pm.start(field, box, *rest),
        lambda particles, *rest: pm.evolve(particles, box, *rest),
        lambda displacement: pm.density(displacement, box),
    )
    for ours, theirs in zip(slope(share.start, share.evolve, share.density), alone, strict=True):
        assert np.linalg.norm(theirs) > 0
        assert np.linalg.norm(ours - theirs) <= 1e-12 * np.linalg.norm(theirs)


def test_an_interrupted_run_goes_on_from_its_checkpoints(
    share, linear, growth, tmp_path, monkeypatch
):
    particles = share.start(linear, growth, STAGES[0])
    whole = share.evolve(particles, growth, STAGES)
    save = Checkpoints.save

    def save_and_stop(self, step, x, p):
        save(self, step, x, p)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        share.evolve(particles, growth, STAGES, checkpoints=tmp_path)
    monkeypatch.undo()
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["step_0002_rank_0000.npz", "step_0003_rank_0000.npz"]
    (tmp_path / found[1]).unlink()  # as if the end had come before it was written
    again = share.evolve(particles, growth, STAGES, checkpoints=tmp_path)
    np.testing.assert_array_equal(again.displacement, whole.displacement)
    np.testing.assert_array_equal(again.momentum, whole.momentum)


def test_checkpoints_of_another_run_are_refused(share, linear, growth, tmp_path):
    Checkpoints(tmp_path, share.communicator, "another").save(1, tf.zeros([3]), tf.zeros([3]))
    particles = share.start(linear, growth, STAGES[0])
    with pytest.raises(CheckpointError, match="another folder"):
        share.evolve(particles, growth, STAGES, checkpoints=tmp_path)


def test_a_damaged_checkpoint_is_refused(share, linear, growth, tmp_path):
    (tmp_path / "step_0001_rank_0000.npz").write_bytes(b"half a fi")
    particles = share.start(linear, growth, STAGES[0])
    with pytest.raises(CheckpointError, match="damaged"):
        share.evolve(particles, growth, STAGES, checkpoints=tmp_path)

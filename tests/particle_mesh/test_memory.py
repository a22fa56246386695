"""A gradient needs the same memory for any number of steps."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import resource, sys
import tensorflow as tf
from galsim_hub import particle_mesh as pm
box, growth = pm.Box(32, 100.0), pm.Growth(pm.Planck15())
linear = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=1)
for n_steps in (2, 40):
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    with tf.GradientTape() as tape:
        tape.watch(linear)
        end = pm.evolve(pm.start(linear, box, growth, 0.1), box, growth, stages)
        loss = tf.reduce_sum(end.displacement**2)
    tape.gradient(loss, linear)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_forty_steps_take_the_memory_of_two():
    result = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True
    )
    two, forty = (int(line) for line in result.stdout.split())  # [kB]
    state = 2 * 3 * 32**3 * 4 / 1024  # [kB], positions and momenta
    # Autodiff would keep at least 38 more states; a few are the allocator's slack.
    assert forty - two < 10 * state

"""What the power of one box says of a cosmology: python examples/06_fisher_matrix.py.

The derivatives of the simulated power are exact gradients; finite differences are printed beside
them. Everything is in double precision, because finite differences need it.
"""

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm

N_CELLS = 32
BOX = pm.Box(N_CELLS, 6.25 * N_CELLS)  # [Mpc/h]
WHITE = pm.white_modes(BOX, seed=1)
STAGES = pm.scale_factors(0.1, 1.0, 5)
NAMES = ("Omega_c", "sigma8", "n_s")
VALUES = tf.constant([0.26, 0.81, 0.967], tf.float64)
N_SHELLS = 6  # the largest scales
STEP = 1e-4


def log_power(values: tf.Tensor) -> tf.Tensor:
    """Return the logarithm of the power of matter today in shells of wavenumber."""
    cosmology = pm.Planck18(**dict(zip(NAMES, tf.unstack(values), strict=True)))
    growth = pm.Growth(cosmology)
    modes = pm.linear_modes(BOX, pm.EisensteinHu(cosmology), WHITE)
    particles = pm.start(pm.to_field(modes, BOX.shape), BOX, growth, STAGES[0])
    particles = pm.evolve(particles, BOX, growth, STAGES)
    density = pm.density(particles.displacement, BOX)
    return tf.math.log(pm.power_spectrum(density, BOX).power[:N_SHELLS])


with tf.GradientTape(persistent=True) as tape:  # for one gradient a shell
    tape.watch(VALUES)
    power = log_power(VALUES)
exact = tape.jacobian(power, VALUES, experimental_use_pfor=False).numpy()
steps = STEP * np.eye(len(NAMES))
differences = np.stack(
    [(log_power(VALUES + s) - log_power(VALUES - s)).numpy() / (2 * STEP) for s in steps], axis=1
)

# The error of the logarithm of a mean over n modes of a Gaussian field is sqrt(2 / n).
weight = pm.power_spectrum(tf.zeros(BOX.shape, tf.float64), BOX).n_modes[:N_SHELLS] / 2
fisher, check = (slope.T @ (weight[:, None] * slope) for slope in (exact, differences))
print("Fisher matrix of", ", ".join(NAMES))
print(np.array2string(fisher, precision=1, suppress_small=True))
print("the same by finite differences")
print(np.array2string(check, precision=1, suppress_small=True))
print(f"largest relative difference: {np.max(np.abs(fisher / check - 1)):.1e}")
for name, error in zip(NAMES, np.sqrt(np.diag(np.linalg.inv(fisher))), strict=True):
    print(f"error of {name} from one box: {error:.3f}")

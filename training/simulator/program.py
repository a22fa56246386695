"""The simulator as a graph: from normal numbers and a cosmology to densities and displacements."""

import tensorflow as tf

from galsim_hub import particle_mesh as pm

from ..mesh_config import SimulatorConfig

COSMOLOGY = ("Omega_m", "Omega_b", "h", "n_s", "sigma8", "w0", "wa")
OUTPUTS = ("density", "displacement")


class Program(tf.Module):
    """Simulate one box at a time on a grid that is fixed, and pull gradients back through it.

    Lengths inside are in cells, so that the size of the box may be an input.
    """

    def __init__(self, config: SimulatorConfig):
        super().__init__()
        self.config = config
        self.box = pm.Box(config.cells, float(config.cells))

    def simulate(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return densities and displacements at each of the scale factors.

        Between two of them, and before the first, lie `config.steps` steps.
        """
        scalars = {name: tf.reshape(x, []) for name, x in inputs.items() if x.shape.rank == 1}
        cosmology = self._cosmology(scalars)
        growth, outputs = pm.Growth(cosmology), inputs["scale_factors"][0]
        cell = tf.cast(scalars["box_size"], tf.float64) / self.config.cells
        linear = self._linear(inputs["random_normal"], pm.EisensteinHu(cosmology), cell)
        particles = pm.start(linear, self.box, growth, self.config.first_scale_factor)
        states = self._follow(particles, growth, outputs)
        density = tf.map_fn(lambda x: pm.density(x, self.box), states)
        return {
            "density": density[None],
            "displacement": (states * tf.cast(cell, tf.float32))[None],
        }

    def pull_back(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the gradient by every input of the outputs times the gradients that are given."""
        upstream = [inputs.pop(f"{name}_gradient") for name in OUTPUTS]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = self.simulate(**inputs)
        return tape.gradient(
            [outputs[name] for name in OUTPUTS],
            inputs,
            output_gradients=upstream,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return what the SavedModel can be asked."""
        grid = self.box.shape
        inputs = dict.fromkeys((*COSMOLOGY, "box_size"), (1,))
        inputs |= {"random_normal": (1, self.box.n_cells), "scale_factors": (1, None)}
        upstream = {"density_gradient": (1, None, *grid)}
        upstream |= {"displacement_gradient": (1, None, 3, *grid)}
        return {
            "simulate": _trace(self.simulate, inputs),
            "pull_back": _trace(self.pull_back, inputs | upstream),
        }

    def _cosmology(self, scalars: dict[str, tf.Tensor]) -> pm.Cosmology:
        values = {name: tf.cast(scalars[name], tf.float64) for name in COSMOLOGY}
        matter = values.pop("Omega_m")
        return pm.Cosmology(Omega_c=matter - values["Omega_b"], **values)

    def _linear(self, normal: tf.Tensor, power: pm.EisensteinHu, cell: tf.Tensor) -> tf.Tensor:
        """Return the linear density contrast today, shape (x, y, z)."""
        noise = tf.cast(tf.reshape(normal, self.box.shape), tf.float64)
        white = pm.to_modes(noise / self.box.n_cells**0.5)
        modes = pm.linear_modes(self.box, lambda k: power(k / cell) / cell**3, white)
        return tf.cast(pm.to_field(modes, self.box.shape), tf.float32)

    def _follow(self, particles: pm.Particles, growth: pm.Growth, outputs: tf.Tensor) -> tf.Tensor:
        """Return the displacements at each of the scale factors [cell]."""
        before = tf.concat([[self.config.first_scale_factor], outputs[:-1]], axis=0)

        def step(state: tuple, interval: tuple) -> tuple:
            stages = tf.linspace(*(tf.cast(a, tf.float64) for a in interval), self.config.steps + 1)
            return tuple(pm.evolve(pm.Particles(*state), self.box, growth, stages))

        return tf.scan(step, (before, outputs), tuple(particles))[0]


def _trace(function: object, inputs: dict[str, tuple]) -> tf.types.experimental.ConcreteFunction:
    specs = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in inputs.items()}
    return tf.function(function, autograph=False).get_concrete_function(**specs)

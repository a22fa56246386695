"""The recipes of what belongs to the particle mesh: simulator, learned search, halo field."""

import dataclasses
import math

from .config import ExportConfig, FitConfig
from .errors import ConfigError


def check_run(cells: int, first_scale_factor: float, **counts: int) -> None:
    """Check what simulations of a recipe have in common.

    Raises
    ------
    ConfigError
        If the cells make no box, the first scale factor is not in the past, or a count of steps or
        the like, by its name in the recipe, is below 1.
    """
    if cells < 4 or cells % 2:
        raise ConfigError(f"cells must be an even number, 4 or more, got {cells}.")
    if not 1e-4 <= first_scale_factor < 1:
        raise ConfigError(f"first_scale_factor must be 1e-4 to below 1, got {first_scale_factor}.")
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} must be 1 or more, got {count}.")


def check_positive(**lengths: float) -> None:
    """Check quantities of a recipe that have to be positive, by their names there.

    Raises
    ------
    ConfigError
        If one is not.
    """
    for name, value in lengths.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0, got {value}.")


@dataclasses.dataclass(frozen=True)
class SimulatorConfig:
    """The recipe of a published simulator (see `training.simulator`): nothing of it is fitted.

    `cells` are along each side of the box, `steps` lie between two scale factors that are asked for
    and before the first of them.
    """

    kind: str
    cells: int
    steps: int
    first_scale_factor: float
    export: ExportConfig

    def __post_init__(self) -> None:
        check_run(self.cells, self.first_scale_factor, steps=self.steps)


@dataclasses.dataclass(frozen=True)
class RimConfig:
    """The recipe of a learned search for initial conditions (see `training.rim`).

    Boxes have `cells` of `cell` [Mpc/h] along each side, are simulated in `steps` from
    `first_scale_factor` to today and seen with white `noise` in each cell. The network has a scale
    for each of `widths`, remembers `hidden` numbers of a cell and is trained on `iterations` steps
    of a search.
    """

    kind: str
    workdir: str
    fit_rim: FitConfig
    export: ExportConfig
    cells: int = 32
    cell: float = 6.25
    noise: float = 1.0
    steps: int = 5
    first_scale_factor: float = 0.1
    iterations: int = 10
    widths: tuple[int, ...] = (8, 16, 32)
    hidden: int = 8
    validation_fields: int = 4

    def __post_init__(self) -> None:
        check_run(
            self.cells,
            self.first_scale_factor,
            steps=self.steps,
            iterations=self.iterations,
            validation_fields=self.validation_fields,
        )
        check_positive(cell=self.cell, noise=self.noise)


@dataclasses.dataclass(frozen=True)
class HaloDataConfig:
    """The simulations that a halo field learns from (see `training.halo.data`).

    Each box has `cells` of `cell` [Mpc/h] along a side. Haloes are found in a run of `steps` with
    `resolution` force mesh cells along a particle cell, by friends of friends with
    `linking_length` [mean separations]; the density is that of a run of `quick_steps`, as a user
    has it. Both begin at `first_scale_factor`.
    """

    directory: str
    cells: int = 64
    cell: float = 1.5
    steps: int = 40
    resolution: int = 2
    quick_steps: int = 10
    first_scale_factor: float = 0.1
    linking_length: float = 0.2

    def __post_init__(self) -> None:
        check_run(
            self.cells,
            self.first_scale_factor,
            steps=self.steps,
            resolution=self.resolution,
            quick_steps=self.quick_steps,
        )
        check_positive(cell=self.cell, linking_length=self.linking_length)


@dataclasses.dataclass(frozen=True)
class HaloConfig:
    """The recipe of a halo field (see `training.halo`).

    It is the mass of haloes above `least_mass` [Msun/h], to be right once smoothed by `smoothing`
    [Mpc/h]. The network sees features on `scales` [Mpc/h] and has dense layers of `widths`.
    `train`, `validation` and `test` count boxes.
    """

    kind: str
    workdir: str
    data: HaloDataConfig
    fit_halo: FitConfig
    export: ExportConfig
    least_mass: float = 1.0e13
    smoothing: float = 3.0
    scales: tuple[float, ...] = (0.0, 1.5, 3.0, 6.0)
    widths: tuple[int, ...] = (32, 32)
    train: int = 16
    validation: int = 2
    test: int = 4

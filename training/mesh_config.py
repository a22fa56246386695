"""The recipes of what belongs to the particle mesh: simulator, learned search, halo field."""

import dataclasses

from .config import ExportConfig, FitConfig


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

"""Measure the particle mesh on several processes of this machine, and plan larger runs from it.

Each row is one run cut into slabs, one process a slab, and has the largest figures of a process:
the memory of its arrays at the worst moment, the CPU time and the bytes sent a force, forward and
with the gradient; last the memory of the process itself, TensorFlow and compiled code. Then follows
how far fields are from those of one slab, and for --plan what each device of larger runs needs.
Memory and time are fitted as so much a cell of a slab and so much a cell of a slab with its halo.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CELL, LARGEST = 1.5, 30.0  # [Mpc/h] of the planned boxes
BENCH_CELL, BENCH_LARGEST = 5.0, 25.0  # [Mpc/h] of the measured ones: narrower halos
MOST_COMPARED = 96  # cells along a side, for the fields of a run to be compared
MOST_APART = 1e-6, 1e-5  # relative, of densities and of gradients
STENCIL = 3  # cells of a halo beyond the largest displacement


def halo(largest: float, cell: float) -> int:
    """Return the cells of a halo on one end of a slab."""
    return int(np.ceil(largest / cell)) + STENCIL


def resident() -> float:
    """Return the resident memory of this process [bytes]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


def simulate(communicator: Any, n: int, n_steps: int) -> dict[str, Any]:
    """Measure a rank."""
    import tensorflow as tf  # here: the process that prints the table needs none

    from galsim_hub import particle_mesh as pm
    from galsim_hub.particle_mesh import distributed

    sent = [0]
    swap = communicator._swap

    def counted(pieces: Any, ranks: list[int]) -> Any:
        if len(ranks) > 1 and not pieces.dtype.is_complex:  # which comes again as its parts
            sent[0] += (
                pieces.dtype.size * pieces.shape.num_elements() // len(ranks) * (len(ranks) - 1)
            )
        return swap(pieces, ranks)

    communicator._swap = counted
    box, growth = pm.Box(n, BENCH_CELL * n), pm.Growth(pm.Planck15())
    share = distributed.DistributedBox(box, communicator, largest_displacement=BENCH_LARGEST)
    power = pm.EisensteinHu(growth.cosmology)
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    n_forces = n_steps + 1  # kick-drift-kick; in long runs one a step
    result: dict[str, Any] = {}

    def measure(name: str, function: Callable[[], Any]) -> Any:
        arrays = tf.config.experimental.get_memory_info("CPU:0")["current"]
        tf.config.experimental.reset_memory_stats("CPU:0")
        process, cpu, bytes_sent = resident() - arrays, time.process_time(), sent[0]
        value = function()
        result[name] = {
            "memory": tf.config.experimental.get_memory_info("CPU:0")["peak"],
            "cpu": (time.process_time() - cpu) / n_forces,
            "sent": (sent[0] - bytes_sent) / n_forces,
            "process": process,
        }
        return value

    def start(dtype: Any) -> Any:
        return share.start(share.linear_field(power, seed=1, dtype=dtype), growth, stages[0])

    particles = start(tf.float32)
    for _ in range(2):  # the first compiles
        ended = measure("forward", lambda: share.evolve(particles, growth, stages))
        single = share.density(ended.displacement)
        slope = None  # not to be held in the second
        slope = measure("gradient", lambda: slope_of(share, particles, growth, stages))
    if n <= MOST_COMPARED:
        double = start(tf.float64)
        density = share.density(share.evolve(double, growth, stages).displacement)
        fields = {"single": (single, slope)}
        fields["double"] = density, slope_of(share, double, growth, stages)
        result["arrays"] = {
            precision: [share.gather(f).numpy().tolist() for f in both]
            for precision, both in fields.items()
        }
    return result


def slope_of(share: Any, particles: Any, growth: Any, stages: Any) -> Any:
    """Return the gradient of the sum of squares of the last density, by where particles start."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(particles)
        loss = tf.reduce_sum(
            share.density(share.evolve(particles, growth, stages).displacement) ** 2
        )
    return tape.gradient(loss, particles.displacement)


def work(n: int, n_steps: int, n_processes: int, folder: str) -> None:
    """Run the ranks of this process and write what they measured."""
    from galsim_hub.particle_mesh import distributed

    results = distributed.launch(lambda c: simulate(c, n, n_steps), n_processes)
    task = os.environ.get("GALSIM_HUB_TASK", "0")
    Path(folder, f"{task}.json").write_text(json.dumps(results[0]))


def run(n: int, n_steps: int, n_processes: int) -> list[dict[str, Any]]:
    """Start the processes of one run, and return what they measured."""
    with tempfile.TemporaryDirectory() as folder:
        script = [__file__, "--worker", folder, "--cells", str(n), "--steps", str(n_steps)]
        command = [sys.executable, "-m", "galsim_hub", "launch", "--tasks", str(n_processes)]
        command += [*script, "--processes", str(n_processes)]
        # The allocator that counts what arrays take, with those inside of compiled functions.
        environment = {**os.environ, "TF_CPU_ALLOCATOR_USE_BFC": "1"}
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment)
        return [json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())]


def cells(n: int, n_slabs: int, width: int) -> float:
    """Return the cells of a slab with its halo."""
    return n**2 * (n / n_slabs + 2 * width * (n_slabs > 1))


def fit(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return what a cell of a slab, and one of slab and halo, adds to a figure."""
    table = np.array(rows)
    slope, *_ = np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)
    if min(slope) < 0:  # noise has won: one figure for all cells
        return 0.0, float(np.mean(table[:, 2] / table[:, 1]))
    return float(slope[0]), float(slope[1])


def print_plan(rows: dict[str, Any], n_cores: int, bandwidth: float, boxes: Sequence[str]) -> None:
    """Print what a device of larger runs needs."""
    scaling = {name: fit(of) for name, of in rows.items() if not name.endswith("sent")}
    for name, (own, with_halo) in scaling.items():
        unit, factor = ("bytes", 1.0) if name.endswith("memory") else ("CPU us a force", 1e6)
        print(f"{name}: {factor * own:.3g} a cell + {factor * with_halo:.3g} with halo [{unit}]")
    width = halo(LARGEST, CELL)
    print(f"\ncells of {CELL} Mpc/h, displacements to {LARGEST:g} Mpc/h: halos of {width} cells;")
    print(f"{n_cores} cores a device, {bandwidth:g} GB/s between them")
    print(f"{'':14}{'memory [GB]':>24}{'a step [s]':>24}{'sent a step [GB]':>18}")
    print(f"{'box':8}{'slabs':>6}" + f"{'forward':>12}{'gradient':>12}" * 2 + f"{'forward':>18}")
    for planned in boxes:
        n, n_slabs = (int(part) for part in planned.split("/"))
        own, with_halo = n**3 / n_slabs, cells(n, n_slabs, width)
        if n // n_slabs < width:
            print(f"{n:5}^3{n_slabs:6}   slabs of {n // n_slabs} cells are narrower than the halo")
            continue
        figure = {name: a * own + b * with_halo for name, (a, b) in scaling.items()}
        # A force: half the modes, complex, there and back; two halos, each to both sides, of which
        # what was painted is in double precision.
        halos = 2 * (8 + 4) * width * n**2
        sent = (2 * 8 * own / 2 * (n_slabs - 1) / n_slabs + halos) * (n_slabs > 1)
        seconds = [
            figure[f"{name} cpu"] / n_cores + n_forces * sent / 1e9 / bandwidth
            for name, n_forces in (("forward", 1), ("gradient", 3))
        ]
        memory = [figure[f"{name} memory"] / 1e9 for name in ("forward", "gradient")]
        print(
            f"{n:5}^3{n_slabs:6}{memory[0]:12.3g}{memory[1]:12.3g}{seconds[0]:12.3g}"
            f"{seconds[1]:12.3g}{sent / 1e9:18.3g}"
        )


def measure_runs(
    sizes: Sequence[int], counts: Sequence[int], n_steps: int
) -> tuple[dict[str, Any], dict[tuple[int, int], Any]]:
    """Print the table; return its figures, with the cells that they are of, and the fields."""
    width = halo(BENCH_LARGEST, BENCH_CELL)
    print(f"{n_steps} steps, float32, halos of {width} cells")
    print(f"{'':14}{'memory [MB]':>20}{'a force, CPU [s]':>20}{'sent a force [MB]':>20}")
    head = f"{'box':8}{'slabs':>6}" + f"{'forward':>10}{'gradient':>10}" * 3
    print(f"{head}{'process':>10}")
    rows: dict[str, Any] = {}
    fields: dict[tuple[int, int], Any] = {}
    for n, n_slabs in itertools.product(sizes, counts):
        measured = run(n, n_steps, n_slabs)
        fields[n, n_slabs] = measured[0].pop("arrays", None)
        line = f"{n:5}^3{n_slabs:6}"
        for (key, unit), name in itertools.product(
            (("memory", 1e6), ("cpu", 1.0), ("sent", 1e6)), ("forward", "gradient")
        ):
            figure = max(m[name][key] for m in measured)
            line += f"{figure / unit:10.3g}"
            place = n**3 / n_slabs, cells(n, n_slabs, width)
            rows.setdefault(f"{name} {key}", []).append((*place, figure))
        process = max(m["forward"]["process"] for m in measured)
        print(f"{line}{process / 1e6:10.3g}", flush=True)
    return rows, fields


def print_agreement(fields: dict[tuple[int, int], Any]) -> None:
    """Print how far the fields of each mesh of devices are from those of one device.

    In double precision only the order of sums differs. In single precision a particle at the edge
    of a mesh cell may be on either side, where the slope of its weight jumps.
    """
    for (n, n_slabs), arrays in fields.items():
        if n_slabs == 1 or not arrays or not fields.get((n, 1)):
            continue
        for precision, mine in arrays.items():
            pairs = zip(mine, fields[n, 1][precision], strict=True)
            off = [np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b) for a, b in pairs]
            line = f"{n}^3, {n_slabs} slabs less 1, {precision} precision: "
            line += f"density {off[0]:.1e}, gradient {off[1]:.1e}"
            held = [value <= bar for value, bar in zip(off, MOST_APART, strict=True)]
            line += f" (bars {MOST_APART[0]:g}, {MOST_APART[1]:g}): "
            print(line + ("hold" if all(held) else "MISSED"))


def main() -> None:
    """Print the table, the agreement and the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--plan", nargs="*", metavar="CELLS/SLABS", default=[])
    parser.add_argument("--cores", type=int, default=16, help="of a planned device")
    parser.add_argument("--bandwidth", type=float, default=5.0, help="of a planned device [GB/s]")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.cells[0], args.steps, args.processes[0], args.worker)
        return
    rows, fields = measure_runs(args.cells, args.processes, args.steps)
    print_agreement(fields)
    if args.plan:
        print_plan(rows, args.cores, args.bandwidth, args.plan)


if __name__ == "__main__":
    main()

"""What the framework itself costs per cell, beside benchopt and signac on the same toy.

    python benchmarks/bench_overhead.py [--peer-python /path/to/python/with/benchopt/and/signac]

The toy computes one number for each of 500 values of a parameter; every cell is stored before the
next begins. The cost of a cell is the difference between 500 and 20 cells of whole commands without
figures, so that start-up drops out, in processor time, which other programs on the machine disturb
less than the time on the clock. Then 500 finished cells are asked for again, and 8000 are planned.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent)]

from side_by_side import Row, conditions  # noqa: E402

FEW, MANY, PLANNED = 20, 500, 8000
TOY = """
format = 1
name = "toy"
seed = 1
replicates = 1
[design]
use = "sequence.gaussian"
n = 100
modes = 1
[target]
use = "sequence.coefficients"
values = [1.0]
[[estimator]]
name = "fixed"
model = {{ use = "sequence.fixed", gamma = {{ linspace = [1.0, 2.0, {cells}] }} }}
optimizer = {{ use = "gradient-flow", times = [1.0] }}
[[metric]]
use = "excess-risk"
"""


def quietly(command: list[str], **environment: str) -> None:
    """Run a command; what it printed is shown only if it failed."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def toy(cells: int, folder: Path) -> str:
    """The scenario of so many cells."""
    scenario = folder / f"toy-{cells}.toml"
    scenario.write_text(TOY.format(cells=cells), encoding="utf-8")
    return str(scenario)


def ours(cells: int, folder: Path) -> None:
    """A run of the toy; the same again where it has run."""
    command = [sys.executable, "-m", "testbed", "run", toy(cells, folder), "--no-figures"]
    quietly([*command, "-o", str(folder / f"ours-{cells}")])


def check(cells: int, folder: Path) -> None:
    """The plan of the toy, with its mistakes and warnings."""
    quietly([sys.executable, "-m", "testbed", "check", toy(cells, folder)])


def benchopt(python: str, cells: int, folder: Path) -> None:
    """The same toy under benchopt, with its cache on disk, as it comes."""
    home = folder / f"benchopt-{cells}"
    shutil.copytree(Path(__file__).parent / "peers" / "benchopt_toy", home)
    options = ["-n", "1", "-r", "1", "--no-plot", "--no-html"]
    command = [python, "-m", "benchopt", "run", str(home), *options]
    quietly(command, TOY_CELLS=str(cells), HOME=str(folder))


def signac(python: str, cells: int, folder: Path) -> None:
    """The same toy under signac: a job with its result in the job's document for each value."""
    script = Path(__file__).parent / "peers" / "signac_toy.py"
    home = folder / f"signac-{cells}"
    home.mkdir(exist_ok=True)
    quietly([python, str(script), str(cells), str(home)])


Work = Callable[[int, Path], None]


def per_cell(contestant: str, work: Work, folder: Path, most: int = MANY, rounds: int = 1) -> Row:
    """Seconds of one cell: the difference between many cells and few, over the difference in
    cells."""
    smaller, larger = (_spent(work, cells, folder, rounds) for cells in (FEW, most))
    differences = (b - a for a, b in zip(smaller, larger, strict=True))
    return Row(contestant, *(difference / (most - FEW) for difference in differences))


def _spent(work: Work, cells: int, folder: Path, rounds: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor, of the child processes; the best of some rounds,
    which run in new folders unless there are finished cells to be asked for."""
    spent = []
    for _ in range(rounds):
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        work(cells, folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        spent.append((time.perf_counter() - wall, cpu))
    return min(spent, key=lambda pair: pair[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with benchopt and signac")
    options = parser.parse_args()
    peer = options.peer_python
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [per_cell("testbed", ours, folder)]
        if peer:
            rows.append(per_cell("benchopt, cache on disk", partial(benchopt, peer), folder))
            rows.append(per_cell("signac", partial(signac, peer), folder))
        again = per_cell("testbed", ours, folder, rounds=3)
        plan = per_cell("testbed", check, folder, PLANNED)
    print("| contestant | ms of the processor for a cell | times ours |\n|---|---|---|")
    for row in rows:
        print(f"| {row.contestant} | {1000 * row.cpu:.2g} | {row.cpu / rows[0].cpu:.2g} |")
    print(
        f"\nAsking again for {MANY} finished cells: {again.cpu * (MANY - FEW):.2f} s more than for "
        f"{FEW}. Planning: {1000 * plan.cpu:.2f} ms a cell of {PLANNED}."
    )
    print("\n" + conditions("torch", "xarray"))
    if peer:
        names = "for n in ('benchopt', 'signac'): print(n, version(n))"
        code = f"from importlib.metadata import version\n{names}"
        print(subprocess.check_output([peer, "-c", code], text=True).strip())
    else:
        print("benchopt and signac were not measured: no --peer-python was given.")


if __name__ == "__main__":
    main()

"""What the framework itself costs per cell, beside benchopt on the same toy.

    python benchmarks/bench_overhead.py [--peer-python /path/to/python/with/benchopt]

The toy computes one number for each of 500 values of a parameter; every cell is durably stored
before the next begins. The cost per cell is the difference between 500 and 20 cells, whole
processes without figures, so that start-up drops out. Then 500 finished cells are asked for again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent)]

from side_by_side import Row, conditions, table, timed  # noqa: E402

FEW, MANY = 20, 500
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
OURS = "import sys, testbed; testbed.run(sys.argv[1], sys.argv[2])"


def quietly(command: list[str], **environment: str) -> None:
    """Run a command; what it printed is shown only if it failed."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def ours(cells: int, folder: Path) -> None:
    """A run of the toy in a fresh process."""
    scenario = folder / f"toy-{cells}.toml"
    scenario.write_text(TOY.format(cells=cells), encoding="utf-8")
    quietly([sys.executable, "-c", OURS, str(scenario), str(folder / f"ours-{cells}")])


def benchopt(python: str, cells: int, folder: Path) -> None:
    """The same toy under benchopt, with its cache on disk, as it comes."""
    home = folder / f"benchopt-{cells}"
    shutil.copytree(Path(__file__).parent / "peers" / "benchopt_toy", home)
    options = ["-n", "1", "-r", "1", "--no-plot", "--no-html"]
    command = [python, "-m", "benchopt", "run", str(home), *options]
    quietly(command, TOY_CELLS=str(cells), HOME=str(folder))


def per_cell(contestant: str, smaller: Row, larger: Row) -> Row:
    """Seconds of one cell: differences over the cells that differ."""
    return Row(contestant, (larger.wall - smaller.wall) / (MANY - FEW), float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with benchopt")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = [timed("ours", lambda n=n: ours(n, folder)) for n in (FEW, MANY)]
        again = [timed("ours", lambda n=n: ours(n, folder), rounds=5) for n in (FEW, MANY)]
        rows = [per_cell("testbed", *first)]
        if options.peer_python:
            peer = options.peer_python
            theirs = [timed("benchopt", lambda n=n: benchopt(peer, n, folder)) for n in (FEW, MANY)]
            rows.append(per_cell("benchopt, cache on disk", *theirs))
    print(table("One cell", rows))
    print(
        f"\nResuming {MANY} finished cells: {again[1].wall - again[0].wall:.2f} s more than {FEW}."
    )
    print("\n" + conditions("torch", "xarray"))
    if options.peer_python:
        code = "from importlib.metadata import version; print('benchopt', version('benchopt'))"
        print(subprocess.check_output([options.peer_python, "-c", code], text=True).strip())
    else:
        print("benchopt was not measured: no --peer-python was given.")


if __name__ == "__main__":
    main()

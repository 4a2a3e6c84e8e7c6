"""Worker processes: more of them than cores, beside as many as cores.

    python benchmarks/bench_workers.py [--few 2] [--many 4]

A cell is a path of an exact flow that takes some hundredths of a second on one core. The cost of a
cell is the difference between many and few cells of whole commands without figures, so that
start-up drops out, in which each worker loads torch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]

from bench_overhead import quietly  # noqa: E402
from side_by_side import conditions  # noqa: E402

CELLS = (20, 220)
ROUNDS = 2
WORK = """
format = 1
name = "work"
seed = 1
replicates = 1
[design]
use = "sequence.gaussian"
n = 1000
modes = 20000
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "adaptive"
model = {{ use = "sequence.diagonal", gamma = {{ linspace = [1.0, 2.0, {cells}] }}, depth = 1 }}
optimizer = {{ use = "gradient-flow", times = {{ geom = [1.0, 1e3, 20] }} }}
[[metric]]
use = "excess-risk"
"""


def seconds(cells: int, workers: int, folder: Path, number: int) -> float:
    """The time on the clock of a whole run."""
    scenario = folder / f"work-{cells}.toml"
    scenario.write_text(WORK.format(cells=cells), encoding="utf-8")
    place = folder / f"{cells}-{workers}-{number}"
    command = [sys.executable, "-m", "testbed", "run", str(scenario), "-o", str(place)]
    started = time.perf_counter()
    quietly([*command, "--no-figures", "--workers", str(workers)])
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--few", type=int, default=2)
    parser.add_argument("--many", type=int, default=4)
    chosen = parser.parse_args()
    counts = (chosen.few, chosen.many)
    best = dict.fromkeys([(cells, workers) for cells in CELLS for workers in counts], float("inf"))
    with tempfile.TemporaryDirectory() as name:
        for number in range(ROUNDS):
            for cells, workers in best:
                taken = seconds(cells, workers, Path(name), number)
                best[cells, workers] = min(best[cells, workers], taken)
    print(
        "| workers | seconds for 20 cells | for 220 | ms for each further cell |\n|---|---|---|---|"
    )
    for workers in counts:
        small, large = (best[cells, workers] for cells in CELLS)
        further = 1000 * (large - small) / (CELLS[1] - CELLS[0])
        print(f"| {workers} | {small:.1f} | {large:.1f} | {further:.1f} |")
    print("\n" + conditions("torch"))


if __name__ == "__main__":
    main()

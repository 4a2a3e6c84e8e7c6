"""What dask and our dispatch cost per cell, without the cells themselves.

    python benchmarks/bench_dask.py [--workers 16] [--cells 1000]

Sixteen workers of dask live in this process and answer at once with a stored result, so that its
processor time is what client, scheduler, workers and messages take. Then the same with cells that
claim to have taken a second, of which each is a task of its own.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent)]

from attrs import evolve  # noqa: E402
from bench_overhead import TOY  # noqa: E402
from side_by_side import conditions  # noqa: E402

from testbed.contract.cells import Cell, CellResult  # noqa: E402
from testbed.planning.agreement import agreement_of  # noqa: E402
from testbed.planning.files import read_scenario  # noqa: E402
from testbed.planning.plan import make_plan  # noqa: E402
from testbed.running import cluster  # noqa: E402
from testbed.running.cluster_worker import Processes  # noqa: E402
from testbed.running.execute import execute_cell  # noqa: E402
from testbed.running.executors import Workplace  # noqa: E402
from testbed.running.jobs import Job  # noqa: E402


class Simulated(Processes):
    """A worker that answers at once, with the result of another cell."""

    result: CellResult

    def run(self, job: Job) -> bytes:
        return pickle.dumps(self.result)


def milliseconds(cells: Sequence[Cell], workers: int, seconds: float) -> tuple[float, float]:
    """Processor time and time on the clock of each cell, if cells claim to take so many seconds."""
    place = Workplace("dask", workers)
    Simulated.result = evolve(execute_cell(cells[0]), seconds=seconds)
    cluster.Processes = Simulated
    started = 0.0, 0.0
    for count, _ in enumerate(cluster.clustered(cells, place, agreement_of(cells))):
        if count == 0:
            started = time.process_time(), time.perf_counter()
    ended = time.process_time(), time.perf_counter()
    return tuple(
        1000 * (end - start) / len(cells) for end, start in zip(ended, started, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--cells", type=int, default=1000)
    chosen = parser.parse_args()
    print(conditions("distributed"))
    cells = make_plan(read_scenario(TOY.format(cells=chosen.cells))).cells
    for words, seconds in (("short cells", 0.001), ("cells of a second", 1.0)):
        processor, clock = milliseconds(cells, chosen.workers, seconds)
        print(
            f"{chosen.workers} workers, {len(cells)} {words}: {processor:.2f} ms of processor time "
            f"a cell, {clock:.2f} ms on the clock"
        )


if __name__ == "__main__":
    main()

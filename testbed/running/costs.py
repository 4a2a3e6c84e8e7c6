"""Estimate the cost of a plan by running a few replicates of a few cells."""

from __future__ import annotations

import time
from collections.abc import Sequence

from attrs import frozen

from testbed.contract.cells import Cell
from testbed.planning.plan import Plan
from testbed.running.postponed import load_postponed
from testbed.running.threads import threads_of

TRIED = 4  # replicates, from whose time a whole block's is extrapolated
LONG = 5.0  # seconds of one replicate after which no more are tried


@frozen
class Cost:
    """The cost of all cells of an estimator; `memory` is that of the largest cell tried."""

    seconds: float
    memory: float  # bytes
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return f"unknown, the trial failed: {self.failure}"
        size = f"{self.memory / 2**20:.3g} MiB"
        return f"about {self.seconds:.2g} s in one process, {size} of memory a cell"


def costs_of(plan: Plan) -> dict[str, Cost]:
    """Seconds and memory of each estimator, from its first and its last cell.

    The times of one and of a few replicates give a line in the number of replicates; the mean of
    the two cells stands for all cells. The result is right to a factor of two where costs vary
    evenly between cells.
    """
    load_postponed()
    costs = {}
    for estimator in plan.estimators:
        cells = [cell for cell in plan.cells if cell.estimator == estimator.name]
        try:
            costs[estimator.name] = _cost(cells)
        except Exception as error:  # components may raise anything; the run itself will say more
            costs[estimator.name] = Cost(0.0, 0.0, f"{type(error).__name__}: {error}")
    return costs


def _cost(cells: Sequence[Cell]) -> Cost:
    from testbed.running.execute import execute_cell, tried

    simulated = [cell for cell in cells if cell.replicates]
    predicted = [cell for cell in cells if not cell.replicates]
    seconds, memory = 0.0, 0.0
    if simulated:
        tried(simulated[0], 1)  # a first run, not timed, pays the costs of first calls
        ends = [_simulation(cell) for cell in (simulated[0], simulated[-1])]
        seconds = len(simulated) * sum(end[0] for end in ends) / 2
        memory = max(end[1] for end in ends)
    for cell in predicted[-1:]:
        started = time.perf_counter()
        with threads_of(cell):
            execute_cell(cell)
        seconds += len(predicted) * (time.perf_counter() - started)
    return Cost(seconds, memory)


def _simulation(cell: Cell) -> tuple[float, float]:
    """Seconds and bytes of a whole cell."""
    from testbed.running.execute import tried

    count = len(cell.replicates)
    first, memory = tried(cell, 1)
    sample = min(TRIED, count)
    if sample == 1 or first > LONG:
        return first * count, memory
    seconds, _ = tried(cell, sample)
    step = max(seconds - first, 0.0) / (sample - 1)
    return first + step * (count - 1), memory

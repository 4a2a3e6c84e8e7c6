"""Run one cell: draw, fit, measure.

Everything random is drawn first, replicate by replicate; what follows is a pure function of
tensors. The numbers do not depend on where a cell runs or on what runs at the same time.
"""

from __future__ import annotations

import time
import traceback

import numpy as np
import torch
from attrs import evolve

from testbed.contract.cells import STATUS, Cell, CellResult
from testbed.errors import TestbedError
from testbed.running.border import WriteFault
from testbed.running.chunks import block_length, chunk_size, merge
from testbed.running.draws import draw_problem
from testbed.running.predictions import predict, predict_given, until_divergence
from testbed.running.preparations import PreparationCache
from testbed.running.simulation import Simulation
from testbed.running.threads import threads_of

__all__ = ["PreparationCache", "draw_problem", "execute_cell", "execute_openly", "tried"]


def execute_cell(cell: Cell, cache: PreparationCache | None = None) -> CellResult:
    """Run a cell. Whatever a component raises becomes a failed result, never an exception."""
    started = time.perf_counter()
    try:
        result = execute_openly(cell, cache)
    except (Exception, SystemExit) as error:  # a component may call sys.exit
        status = np.full(len(cell.replicates), STATUS["failed"], dtype=np.int8)
        result = CellResult(cell.key, status, error=_describe(error))
    return evolve(result, seconds=time.perf_counter() - started)


def execute_openly(cell: Cell, cache: PreparationCache | None = None) -> CellResult:
    """Run a cell and let pass what a component raises."""
    with torch.no_grad():
        if not cell.replicates:
            return predict(cell)
        return _simulate(cell, cache or PreparationCache())


def _describe(error: BaseException) -> str:
    """An error of a cell in words, with its place in the code if testbed did not raise it."""
    if isinstance(error, TestbedError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f" (at {frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    )
    return f"{type(error).__name__}: {error}{where}"


def _simulate(cell: Cell, cache: PreparationCache) -> CellResult:
    """Run a cell. If a metric writes into shared values, run it again without that metric."""
    faults: dict[str, str] = {}
    while True:
        try:
            result = _simulated(cell, cache)
        except WriteFault as fault:
            cache.clear()
            guilty = [entry for entry in cell.metrics if entry.metric is fault.component]
            faults |= {name: str(fault) for entry in guilty for name in entry.names.values()}
            cell = evolve(
                cell, metrics=tuple(entry for entry in cell.metrics if entry not in guilty)
            )
        else:
            return evolve(result, faults={**result.faults, **faults})


def _simulated(cell: Cell, cache: PreparationCache) -> CellResult:
    problems = [draw_problem(cell, replicate) for replicate in cell.replicates]
    size = chunk_size(cell, problems[0])
    parts = [
        Simulation(
            cell, cell.replicates[start : start + size], problems[start : start + size], cache
        ).run()
        for start in range(0, len(problems), size)
    ]
    merged = parts[0] if len(parts) == 1 else merge(cell, parts)
    theory = predict_given(cell, problems)
    predicted = until_divergence(cell, theory.variables, np.asarray(merged.diverged_at))
    return evolve(
        merged,
        variables={**merged.variables, **predicted},
        coordinates={**merged.coordinates, **theory.coordinates},
        omitted={**merged.omitted, **theory.omitted},
        faults={**merged.faults, **theory.faults},
    )


def tried(cell: Cell, count: int) -> tuple[float, float]:
    """Simulate the cell's first replicates; return the seconds and the bytes of the whole cell."""
    replicates, total = cell.replicates[:count], len(cell.replicates)
    started = time.perf_counter()
    with torch.no_grad(), threads_of(cell):
        problems = [draw_problem(cell, replicate) for replicate in replicates]
        total = min(total, chunk_size(cell, problems[0]))
        simulation = Simulation(cell, replicates, problems, PreparationCache())
        simulation.run()
    staying, moving = simulation.held()
    numbers = staying + moving * block_length(cell, total, moving)
    return time.perf_counter() - started, 8 * total * numbers

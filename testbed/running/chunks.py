"""How many replicates and recorded times are computed at once, and how chunks are joined.

Sizes follow from the shapes of the draws and the scenario's memory bound alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from testbed.contract.cells import Cell, CellResult
from testbed.contract.values import Problem
from testbed.numerics.trees import floats
from testbed.running.kept import joined


def chunk_size(cell: Cell, problem: Problem) -> int:
    """Replicates per chunk, so that eight recorded times of a chunk fit into the memory bound."""
    if cell.optimizer.facts().times_per_replicate:  # companions of a chunk share its times
        return 1
    numbers = 8 * floats(problem) * min(len(cell.times), 8)
    return max(1, min(len(cell.replicates), int(_budget(cell) / max(8 * numbers, 1))))


def block_length(cell: Cell, count: int, numbers: float) -> int:
    """The number of recorded times per block, for `count` replicates with `numbers` floats at each
    time."""
    return max(1, min(len(cell.times), int(_budget(cell) / (8 * count * numbers))))


def _budget(cell: Cell) -> float:
    """Bytes that blocks may take: half of the bound; temporaries take the other half."""
    return cell.compute.memory * 2**30 / 2


def merge(cell: Cell, parts: Sequence[CellResult]) -> CellResult:
    """Join the results of chunks of replicates: add sums, concatenate all other arrays.

    A variable that is missing from one chunk is left out of the result.
    """
    faults = {name: text for part in reversed(parts) for name, text in part.faults.items()}
    kept = [name for part in parts for name in part.variables if name not in faults]
    variables, counts = {}, {}
    for name in dict.fromkeys(kept):
        arrays = [part.variables[name] for part in parts]
        summed = name in parts[0].counts
        variables[name] = np.sum(arrays, 0) if summed else np.concatenate(arrays)
        if summed:
            counts[name] = np.sum([part.counts[name] for part in parts], 0)
    coordinates = {key: array for key, array in parts[0].coordinates.items() if key[0] in variables}
    status = np.concatenate([part.status for part in parts])
    diverged = np.concatenate([np.asarray(part.diverged_at) for part in parts])
    names = set.intersection(*[set(part.states) for part in parts])
    return CellResult(
        cell.key,
        status,
        variables,
        coordinates,
        counts,
        diverged_at=diverged,
        faults=faults,
        states={name: joined([part.states[name] for part in parts]) for name in sorted(names)},
        unkept="; ".join(dict.fromkeys(part.unkept for part in parts if part.unkept)),
    )

"""The size of a result, and the refusal of results that are too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod

from testbed.contract.answers import coordinates_of
from testbed.contract.border import ComponentFault
from testbed.contract.cells import Cell
from testbed.contract.components import Design, Metric, Theory, Variable
from testbed.errors import Mistake
from testbed.planning.once import Once
from testbed.scenario.scenario import Scenario

FLOAT = 8  # bytes
MIB, GIB = 2**20, 2**30


def variable_sizes(
    cells: Iterable[Cell], points: Mapping[str, int], replicates: int, once: Once
) -> dict[str, int]:
    """Bytes of each variable before compression, by `estimator/variable`.

    `points` is the number of points of each estimator's sweep. Dimensions that vary from cell to
    cell are padded to the longest, so the largest cell counts for all.
    """
    largest: dict[str, int] = {}
    visited = set()
    for cell in cells:
        if cell.replicates and cell.replicates[0] != 0:
            continue  # all blocks of a point have the sizes of the first
        shared = (cell.metrics, cell.theories, cell.design, cell.times)
        key = (cell.estimator, bool(cell.replicates), *map(id, shared))
        if key in visited:
            continue
        visited.add(key)
        for name, count in _numbers(cell, replicates, once):
            label = f"{cell.estimator}/{name}"
            largest[label] = max(largest.get(label, 0), points[cell.estimator] * FLOAT * count)
    return largest


def _numbers(cell: Cell, replicates: int, once: Once) -> Iterator[tuple[str, int]]:
    """The number of elements of each variable at one point, including counts of ok replicates."""
    for planned in cell.metrics:
        for variable, name in planned.names.items():
            count = _size(planned.metric, planned.metric.declared()[variable], cell, once)
            yield name, count * (2 if planned.mean else replicates + 1)
    for predicted in cell.theories:
        theory = predicted.theory
        if theory.facts().conditional != bool(cell.replicates):
            continue
        for variable, name in predicted.names.items():
            count = _size(theory, theory.variables[variable], cell, once)
            yield name, count * (replicates + 1 if theory.facts().conditional else 1)


def _size(owner: Metric | Theory, variable: Variable, cell: Cell, once: Once) -> int:
    """The number of elements of a variable for one replicate."""
    times = len(cell.times) if variable.time else 1
    if not variable.dims:
        return times
    lengths = once(_lengths, owner, cell.design)
    return times * prod(lengths.get(dim, 1) for dim in variable.dims)


def _lengths(owner: Metric | Theory, design: Design) -> dict[str, int]:
    """Lengths of an owner's own dimensions.

    The number of modes is known only in a run; the number of training points is assumed.
    """
    sizes = design.sizes()
    declared = owner.declared() if isinstance(owner, Metric) else owner.variables
    try:
        coordinates = coordinates_of(owner, declared, {"modes": sizes["train"], **sizes})
    except ComponentFault:  # a run reports it, if it is one there too
        return {}
    return {dim: len(values) for dim, values in coordinates.items()}


def oversized(scenario: Scenario, sizes: Mapping[str, int]) -> list[Mistake]:
    """The mistake of a result above the scenario's bound; it names the largest variable."""
    total, bound = sum(sizes.values()), scenario.compute.results
    if total <= bound * GIB:
        return []
    largest = max(sizes, key=lambda label: sizes[label])
    return [
        Mistake(
            "$",
            f"found a result of {total / MIB:.1f} MiB",
            f"at most {bound * GIB / MIB:g} MiB",
            f"thin a grid of {largest} ({sizes[largest] / MIB:.1f} MiB of it): its times or its "
            'own; or keep replicates = "mean", or raise compute.results',
        )
    ]

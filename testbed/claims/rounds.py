"""Adaptive replication: which cells run in which round.

A run asks for rounds one after the other. Each is decided by the results of the rounds before and
by nothing else, so that neither the executor, nor the order in which cells finish, nor an
interruption changes which replicates a point has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np
import xarray as xr
from attrs import evolve

from testbed import analysis
from testbed.claims.judging import judge_each
from testbed.contract.cells import Cell
from testbed.contract.claims import FINDINGS, INCONCLUSIVE, ClaimKind
from testbed.contract.figures import RISKS, holds
from testbed.contract.published import PublishedTable
from testbed.planning.plan import Plan
from testbed.results.groups import estimators
from testbed.scenario.replication import Replication, StandardError
from testbed.scenario.tables import ClaimTable

Place = tuple[str, tuple[int, ...]]
"""An estimator and the position of a point of its sweep."""


def rounds_of(
    plan: Plan,
    recorded: Callable[[Plan], xr.DataTree],
    kinds: Mapping[str, ClaimKind],
    published: Callable[[], Mapping[str, PublishedTable]],
) -> Iterator[tuple[Cell, ...]]:
    """The cells of each round. `recorded` gives the results of a plan's cells when they are
    there."""
    replication = plan.scenario.replicates
    if not isinstance(replication, Replication):
        yield plan.cells
        return
    active = {_place(cell) for cell in plan.cells}
    reached: set[str] = set()
    for count in replication.counts:
        cells = tuple(cell for cell in plan.cells if _is_next(cell, count, active, reached))
        if not cells:
            return
        yield cells
        reached |= {cell.key for cell in cells}
        part = evolve(plan, cells=tuple(cell for cell in plan.cells if cell.key in reached))
        if count == replication.at_most:
            return
        tree = recorded(part)
        if isinstance(replication.until, StandardError):
            active &= set(_uncertain(tree, replication.until))
        else:
            active &= set(_undecided(plan, tree, kinds, published()))


def _place(cell: Cell) -> Place:
    return cell.estimator, cell.index


def _is_next(cell: Cell, count: int, active: set[Place], reached: set[str]) -> bool:
    """Whether a cell belongs to the round in which active points get `count` replicates."""
    if cell.key in reached or _place(cell) not in active:
        return False
    return not cell.replicates or cell.replicates[-1] < count


# --- standard errors ----------------------------------------------------------------------------


def _uncertain(tree: xr.DataTree, until: StandardError) -> Iterator[Place]:
    """The points at which a mean is not known well enough."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        sweep = [dim for dim in dataset["status"].dims if dim != "replicate"]
        for variable in until.of or [risk for risk in RISKS if risk in dataset][:1]:
            if variable not in dataset or "replicate" not in dataset[variable].dims:
                continue
            short = _standard_error(analysis.simulated(dataset, variable), until)
            short = short.any([dim for dim in short.dims if dim not in sweep]).transpose(*sweep)
            yield from ((name, tuple(map(int, place))) for place in np.argwhere(short.values))


def _standard_error(values: xr.DataArray, until: StandardError) -> xr.DataArray:
    """Where the standard error of the mean, at the best time, is too large or not known."""
    if "time" in values.dims:
        values = analysis.oracle(values, survivors=True)["value"]
    count = values.count("replicate")
    error = values.std("replicate", ddof=1) / np.sqrt(count)
    if until.relative:
        error = error / abs(values.mean("replicate"))
    return ~(error <= until.standard_error)


# --- claims -------------------------------------------------------------------------------------


def _undecided(
    plan: Plan,
    tree: xr.DataTree,
    kinds: Mapping[str, ClaimKind],
    published: Mapping[str, PublishedTable],
) -> Iterator[Place]:
    """The points that claims without a verdict concern."""
    for claim, point, verdict in judge_each(plan.scenario.claims, tree, [], kinds, published):
        if claim.that in FINDINGS or verdict.verdict != INCONCLUSIVE:
            continue
        held = {**claim.at, **point}
        yield from _points(plan, claim.of, claim, held)
        if claim.than:
            yield from _points(plan, claim.than, claim, {**held, **claim.than_at})


def _points(
    plan: Plan, variable: str, claim: ClaimTable, held: Mapping[str, object]
) -> Iterator[Place]:
    """The points of an estimator's sweep that a claim concerns."""
    name = variable.partition("/")[0]
    estimator = next(item for item in plan.estimators if item.name == name)
    axes: list[list[int]] = []
    for dim in estimator.dims:
        values = tuple(dim.coordinate)
        if dim.name in held:
            position = holds(dim.name, values, held[dim.name])
            axes.append([] if position is None else [position])
        elif dim.name == claim.along and claim.range:
            low, high = claim.range
            axes.append([i for i, value in enumerate(values) if low <= value <= high])
        else:
            axes.append(list(range(len(values))))
    yield from ((name, place) for place in product(*axes))

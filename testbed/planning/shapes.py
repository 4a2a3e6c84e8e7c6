"""The shape of a plan's result, and the mistakes of figures that do not suit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from testbed.contract.cells import Cell
from testbed.contract.figure_rules import figure_mistakes
from testbed.contract.figures import GroupShape
from testbed.errors import Mistake

if TYPE_CHECKING:
    from testbed.planning.plan import Plan


def shapes_of(plan: Plan) -> dict[str, GroupShape]:
    """The swept dimensions, times and variables of every group, without computing anything."""
    variables: dict[str, dict[str, tuple[str, ...]]] = {}
    visited = set()
    for cell in plan.cells:
        shared = (cell.metrics, cell.theories, cell.optimizer)
        key = (cell.estimator, bool(cell.replicates), *map(id, shared))
        if key not in visited:
            visited.add(key)
            variables.setdefault(cell.estimator, {}).update(_variables(cell))
    shapes = {}
    for estimator in plan.estimators:
        sweeps = {dim.name: dim.coordinate for dim in estimator.dims}
        dims = {
            name: (*sweeps, *inner) for name, inner in variables.get(estimator.name, {}).items()
        }
        shapes[estimator.name] = GroupShape(sweeps, estimator.times, dims)
    return shapes


def _variables(cell: Cell) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The variables of a cell with the dimensions that they have besides the sweep's."""
    declared = [(planned.names, planned.metric.declared()) for planned in cell.metrics]
    declared += [(planned.names, planned.theory.variables) for planned in cell.theories]
    if cell.replicates:
        trained = cell.optimizer.declared()
        declared.append(({name: name for name in trained}, trained))
        yield "time_reached", ("time",)
    for names, variables in declared:
        for name, result_name in names.items():
            variable = variables[name]
            yield result_name, (("time",) if variable.time else ()) + tuple(variable.dims)


def unsuitable_figures(plan: Plan) -> list[Mistake]:
    """The mistakes of every `[[figure]]`, judged by the shape of the result."""
    shapes = shapes_of(plan)
    return [
        mistake
        for figure in plan.scenario.figures
        for mistake in figure_mistakes(
            {"kind": figure.kind, **figure.options}, shapes, figure.place
        )
    ]

"""Where in a scenario file the parts of a cell stand: the places of objections to a plan.

Mistake(place(plan, cell, "optimizer", "batch_size"), "found …", "at most 10", "lower it")
"""

from __future__ import annotations

from typing import Literal

from testbed.contract.cells import Cell, PlannedMetric
from testbed.errors import Mistake, UnsuitableError
from testbed.planning.dimensions import chosen
from testbed.planning.metrics import metric_names
from testbed.planning.plan import Plan


def place(
    plan: Plan,
    cell: Cell,
    kind: Literal["design", "target", "model", "optimizer"],
    parameter: str = "",
) -> str:
    """The path of one of a cell's parts, or of a parameter of it: `$.estimator[0].model.depth`."""
    scenario = plan.scenario
    if kind in ("model", "optimizer"):
        table = next(table for table in scenario.estimators if table.name == cell.estimator)
        path = (table.model if kind == "model" else table.optimizer).path
    else:
        positions = dict(zip(cell.point, cell.index, strict=True))
        design = chosen(scenario.designs, "design", positions)
        target = chosen(scenario.targets, "target", positions)
        path = (design if kind == "design" else target).spec.path
    return f"{path}.{parameter}" if parameter else path


def metric_place(plan: Plan, cell: Cell, planned: PlannedMetric) -> str:
    """The path of a metric that a cell measures: `$.metric[2]`."""
    names = set(planned.names.values())
    for spec in plan.scenario.metrics:
        spec_names = set(metric_names(planned.metric.declared(), spec.name).values())
        same_metric = spec.spec.component is type(planned.metric) and spec_names == names
        if same_metric and (not spec.of or cell.estimator in spec.of):
            return spec.spec.path
    return "$.metric"


def mistake(where: str, error: UnsuitableError) -> Mistake:
    """A component's objection to its data or parameters, at its place."""
    return error.mistake.moved_to(where)

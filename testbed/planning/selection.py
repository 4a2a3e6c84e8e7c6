"""Which metrics and theories each cell has, under which names, and which are left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from testbed.contract.cells import Cell, PlannedMetric, PlannedTheory
from testbed.contract.components import Estimator, Metric, Variable
from testbed.contract.names import RESERVED_VARIABLES, variable_name
from testbed.planning.building import Builder
from testbed.planning.dimensions import swept_names
from testbed.planning.fitting import (
    companion_objection,
    pair_objection,
    served_needs,
    theory_objection,
)
from testbed.scenario.tables import MetricTable

METRIC_FIX = 'name this one with name = "…"'
THEORY_FIX = 'ask them of different estimators with of = ["…"]'


@frozen
class Omission:
    """Something that is not measured or predicted, and why."""

    estimator: str
    what: str
    reason: str


class Selection:
    """Chooses what is measured and predicted; notes what clashes or fits nowhere."""

    def __init__(self, builder: Builder):
        self.builder = builder
        scenario = builder.scenario
        self.metrics = [(spec, builder.build(spec.spec, {})) for spec in scenario.metrics]
        self.theories = [(spec, builder.build(spec.spec, {})) for spec in scenario.theories]
        self.omissions: dict[Omission, None] = {}
        self.own_dims: dict[str, set[str]] = {}  # estimator → dims of its variables
        self.variables: dict[str, set[str]] = {}  # estimator → names of its variables
        self._measured: set[int] = set()  # positions of metrics that are measured somewhere

    def metrics_of(self, cell: Cell, others: Mapping[str, Estimator]) -> tuple[PlannedMetric, ...]:
        """The metrics of a cell, each with the needs that its estimator can serve."""
        return tuple(self._metrics(cell, others, dict.fromkeys(cell.optimizer.variables, "")))

    def _metrics(
        self, cell: Cell, others: Mapping[str, Estimator], taken: dict[str, str]
    ) -> Iterator[PlannedMetric]:
        own = Estimator(cell.estimator, cell.model, cell.optimizer)
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is None or (spec.of and own.name not in spec.of):
                continue
            planned, reason = _fit(spec, metric, cell, own, others)
            if planned is None:
                self._omit(spec, own.name, metric.name, reason)
                continue
            self._measured.add(position)
            for variable, name in planned.names.items():
                dims = metric.declared()[variable].dims
                self._admit(cell, name, dims, spec.spec.path, taken, METRIC_FIX)
            yield planned

    def theories_of(self, cell: Cell) -> tuple[PlannedTheory, ...]:
        """The theories of a cell. One that does not apply stays: the result stores its reason."""
        planned = []
        taken: dict[str, str] = {}
        for spec, theory in self.theories:
            if theory is None or (spec.of and cell.estimator not in spec.of):
                continue
            reason = theory_objection(theory, cell)
            if reason:
                self.omissions[Omission(cell.estimator, theory.name, reason)] = None
            names = theory_names(theory.name, theory.variables)
            for variable, name in names.items():
                dims = theory.variables[variable].dims
                self._admit(cell, name, dims, spec.spec.path, taken, THEORY_FIX)
            planned.append(PlannedTheory(theory, names))
        return tuple(planned)

    def _admit(
        self,
        cell: Cell,
        name: str,
        dims: tuple[str, ...],
        path: str,
        taken: dict[str, str],
        fix: str,
    ) -> None:
        """Note a variable's name, and what it or its dims clash with."""
        if name in taken:
            other = taken[name] or cell.optimizer.name
            found = f"found the variable {name!r} also from {other}"
            self.builder.object(path, found, "each variable once in an estimator", fix)
        swept = swept_names(self.builder.dims[cell.estimator])
        if name in RESERVED_VARIABLES or name in swept:
            what = "a swept parameter too" if name in swept else "reserved"
            self.builder.object(path, f"found the variable {name!r}, which is {what}", "", fix)
        for dim in sorted(set(dims) & swept):
            self.builder.object(
                path,
                f"found {name!r} along {dim!r}, which is a swept parameter too",
                "different names",
                'rename the sweep with dim = "…"',
            )
        taken.setdefault(name, path)
        self.variables.setdefault(cell.estimator, set()).add(name)
        self.own_dims.setdefault(cell.estimator, set()).update(dims)

    def _omit(self, spec: MetricTable, estimator: str, what: str, reason: str) -> None:
        if spec.of:
            found = f"found {what} of {estimator!r}: {reason}"
            self.builder.object(spec.spec.path, found, "a metric that fits")
        else:
            self.omissions[Omission(estimator, what, reason)] = None

    def note_unmeasured(self) -> None:
        """Note the metrics that no estimator can be measured by."""
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is None or position in self._measured or spec.of:
                continue
            reasons = [one.reason for one in self.omissions if one.what == metric.name]
            self.builder.object(
                spec.spec.path,
                f"found {metric.name}, which no estimator can be measured by: "
                + "; ".join(dict.fromkeys(reasons)),
                "a metric that fits at least one",
            )


def theory_names(theory: str, variables: Mapping[str, Variable]) -> dict[str, str]:
    """`excess_risk__equivalent`: what is predicted, and the last part of the theory's name."""
    short = variable_name(theory)
    return {own: f"{variable.predicts or own}__{short}" for own, variable in variables.items()}


def metric_names(declared: Mapping[str, Any], name: str) -> dict[str, str]:
    """A metric's variables in the result: as declared, or after the name that the file gives."""
    base = name.replace("-", "_")
    if not base:
        return {own: own for own in declared}
    return {own: base if len(declared) == 1 else f"{base}_{own}" for own in declared}


def _fit(
    spec: MetricTable, metric: Metric, cell: Cell, own: Estimator, others: Mapping[str, Estimator]
) -> tuple[PlannedMetric | None, str]:
    """The metric as this cell measures it; or None, and why it cannot."""
    reason = metric.applies(cell)
    if reason:
        return None, reason
    try:
        companion = metric.companion(own, others)
    except (KeyError, ValueError) as error:
        return None, str(error.args[0])
    if companion is not None:
        objection = pair_objection(companion.model, companion.optimizer)
        reason = objection[0] if objection else companion_objection(companion, cell.reached)
        if reason:
            return None, reason
    needs, reason = served_needs(metric, own, companion)
    if reason:
        return None, reason
    times, reason = _subset(spec, cell)
    if reason:
        return None, reason
    names = metric_names(metric.declared(), spec.name)
    return PlannedMetric(metric, names, needs, times, spec.mean, companion), ""


def _subset(spec: MetricTable, cell: Cell) -> tuple[tuple[float, ...] | None, str]:
    """The cell's times nearest to the metric's own, where these lie within them."""
    if spec.times is None:
        return None, ""
    grid = np.asarray(cell.times)
    inside = [time for time in spec.times.values if grid[0] <= time <= grid[-1]]
    if not inside:
        return None, f"none of its times lies within {grid[0]:g} and {grid[-1]:g}"
    last = [grid[-1]] if np.isinf(grid[-1]) else []
    nearest = (
        time if time in last else float(grid[np.abs(grid - time).argmin()]) for time in inside
    )
    return tuple(dict.fromkeys(nearest)), ""

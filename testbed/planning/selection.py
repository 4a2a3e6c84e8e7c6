"""Which metrics and theories each cell has, under which names, and which are left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from testbed.contract.answers import reason_of, variables_of
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import Cell, PlannedMetric, PlannedTheory
from testbed.contract.components import Estimator, Metric, Theory, Variable
from testbed.contract.names import RESERVED_VARIABLES, variable_name
from testbed.planning.building import Builder
from testbed.planning.dimensions import swept_names
from testbed.planning.fitting import (
    companion_objection,
    pair_objection,
    served_needs,
    theory_objection,
)
from testbed.planning.inspection import auxiliary_names, expect_coordinates
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
        self.faults: dict[str, None] = {}  # of components that are left out for what they did
        self._measured: set[int] = set()  # positions of metrics that are measured somewhere
        self._predicted: set[int] = set()  # positions of theories that apply somewhere

    def metrics_of(self, cell: Cell, others: Mapping[str, Estimator]) -> tuple[PlannedMetric, ...]:
        """The metrics of a cell, each with the needs that its estimator can serve."""
        return tuple(self._metrics(cell, others, dict.fromkeys(cell.optimizer.declared(), "")))

    def _metrics(
        self, cell: Cell, others: Mapping[str, Estimator], taken: dict[str, str]
    ) -> Iterator[PlannedMetric]:
        own = Estimator(cell.estimator, cell.model, cell.optimizer)
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is None or (spec.of and own.name not in spec.of):
                continue
            if self._misdeclared(metric, spec.spec.path):
                continue
            try:
                planned, reason = _fit(spec, metric, cell, own, others)
            except ComponentFault as fault:
                self._measured.add(position)  # where it is not at fault, it is another's affair
                self._leave_out(cell, spec.spec.path, fault)
                continue
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
        for position, (spec, theory) in enumerate(self.theories):
            if theory is None or (spec.of and cell.estimator not in spec.of):
                continue
            if self._misdeclared(theory, spec.spec.path):
                continue
            try:
                reason = theory_objection(theory, cell)
                expect_coordinates(theory, cell)
            except ComponentFault as fault:
                self._predicted.add(position)
                self._leave_out(cell, spec.spec.path, fault)
                continue
            if reason:
                self.omissions[Omission(cell.estimator, theory.name, reason)] = None
            else:
                self._predicted.add(position)
            names = theory_names(theory.name, theory.variables)
            for variable, name in names.items():
                dims = theory.variables[variable].dims
                self._admit(cell, name, dims, spec.spec.path, taken, THEORY_FIX)
            planned.append(PlannedTheory(theory, names))
        return tuple(planned)

    def _misdeclared(self, owner: Metric | Theory, path: str) -> bool:
        """Whether an owner declares variables that no result can hold; a mistake if it does."""
        try:
            variables_of(owner)
        except ComponentFault as fault:
            self.builder.object(path, str(fault))
            return True
        return False

    def _leave_out(self, cell: Cell, path: str, fault: ComponentFault) -> None:
        """Note what a metric or theory did wrong: it costs its own variables, no more."""
        self.omissions[Omission(cell.estimator, fault.component.name, str(fault))] = None
        self.faults[f"{path} of {cell.estimator!r} is left out: {fault}"] = None

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
        auxiliary = auxiliary_names(cell)
        if name in auxiliary:
            found = f"found the variable {name!r}, which is a coordinate of {auxiliary[name]} too"
            self.builder.object(path, found, "different names", fix)
        for dim in sorted(set(dims) & set(auxiliary)):
            self.builder.object(
                path,
                f"found {name!r} along {dim!r}, which is a coordinate of {auxiliary[dim]} too",
                "different names",
                "rename the dim in the component, or leave this estimator out with of = […]",
            )
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

    def note_unused(self) -> None:
        """Note the metrics that are measured nowhere, and the theories that apply nowhere."""
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is not None and position not in self._measured and not spec.of:
                found = f"found {metric.name}, which no estimator can be measured by"
                self._note_unused(spec.spec.path, metric.name, found, "a metric")
        for position, (theory_spec, theory) in enumerate(self.theories):
            if theory is not None and position not in self._predicted:
                found = f"found {theory.name}, which applies to no estimator"
                self._note_unused(theory_spec.spec.path, theory.name, found, "a theory")

    def _note_unused(self, path: str, name: str, found: str, what: str) -> None:
        reasons = dict.fromkeys(one.reason for one in self.omissions if one.what == name)
        words = f"{found}: {'; '.join(reasons)}" if reasons else found
        self.builder.object(path, words, f"{what} that fits at least one")


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
    declared = variables_of(metric)
    with calling(metric, "applies"):
        reason = reason_of(metric, "applies", metric.applies(cell)) or ""
    if reason:
        return None, reason
    try:
        with calling(metric, "companion"):
            companion: Any = metric.companion(own, others)
    except ComponentFault as fault:
        if isinstance(
            fault.__cause__, KeyError | ValueError
        ):  # how a metric says that there is none
            return None, str(fault.__cause__.args[0])
        raise
    if not isinstance(companion, Estimator | None):
        found = f"found that companion returned {type(companion).__name__}"
        raise ComponentFault(metric, f"{found}, expected an Estimator, or None")
    if companion is not None:
        objection = pair_objection(companion.model, companion.optimizer)
        reason = objection[0] if objection else companion_objection(companion, cell.reached)
        if reason:
            return None, reason
    expect_coordinates(metric, cell)
    needs, reason = served_needs(metric, own, companion)
    if reason:
        return None, reason
    times, reason = _subset(spec, cell)
    if reason:
        return None, reason
    names = metric_names(declared, spec.name)
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

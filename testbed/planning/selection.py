"""Third stage: the metrics and theories of each point, their names, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import field, frozen

from testbed.contract.answers import reason_of, variables_of
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import Cell, PlannedMetric, PlannedTheory
from testbed.contract.components import (
    Design,
    Estimator,
    Metric,
    Model,
    Optimizer,
    Theory,
    Variable,
)
from testbed.contract.names import RESERVED_VARIABLES, variable_name
from testbed.contract.needs import Asked
from testbed.errors import Mistake
from testbed.planning.building import Builder, Peers
from testbed.planning.dimensions import swept_names
from testbed.planning.expansion import Expansion, Expansions
from testbed.planning.fitting import (
    companion_objection,
    pair_objection,
    served_needs,
    theory_objection,
)
from testbed.planning.inspection import auxiliary_names, expect_coordinates
from testbed.planning.once import Once
from testbed.planning.points import Point, Points, cell_with
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import MetricTable, TheoryTable

METRIC_ADVICE = 'name this one with name = "…"'
THEORY_ADVICE = 'ask them of different estimators with of = ["…"]'


@frozen
class Omission:
    """Something that is not measured or predicted, and why."""

    estimator: str
    what: str
    reason: str


@frozen
class Candidate:
    """A metric or theory of the scenario, built."""

    table: MetricTable | TheoryTable
    component: Metric | Theory

    @property
    def place(self) -> str:
        """Where the scenario asks for it."""
        return self.table.spec.path

    def is_asked_of(self, estimator: str) -> bool:
        """Whether the scenario asks it of an estimator."""
        return not self.table.of or estimator in self.table.of


@frozen
class Verdict:
    """The decision on a candidate at a point: planned, or left out for a reason or a fault."""

    candidate: Candidate
    planned: PlannedMetric | PlannedTheory | None = None
    reason: str = ""
    fault: str = ""


@frozen
class Selection:
    """The points with their metrics and theories, and what is left out."""

    points: Points = field(hash=False)
    omissions: tuple[Omission, ...] = ()
    faults: tuple[str, ...] = ()
    names: Mapping[str, frozenset[str]] = field(factory=dict, hash=False)
    """The names of each estimator's variables and of their own dimensions."""
    unused: tuple[Mistake, ...] = ()
    """The mistakes of candidates that fit nowhere; they count unless others may be the cause."""


def select(
    scenario: Scenario, expansions: Expansions, points: Points, builder: Builder, once: Once
) -> tuple[Selection, list[Mistake]]:
    """The metrics and theories of every point."""
    metrics, wrong_metrics = _candidates(scenario.metrics, builder)
    theories, wrong_theories = _candidates(scenario.theories, builder)
    mistakes = dict.fromkeys([*wrong_metrics, *wrong_theories])
    chosen: dict[str, list[Point]] = {}
    names: dict[str, set[str]] = {}
    verdicts: list[tuple[str, Verdict]] = []
    seen: set[tuple[str, int]] = set()
    for name, expansion in expansions.items():
        chosen[name], names[name] = [], set()
        for point in points[name]:
            peers = Peers(builder, expansions, name, point.positions)
            made = [
                *(
                    _metric_verdict(c, point.cell, peers, once)
                    for c in metrics
                    if c.is_asked_of(name)
                ),
                *(_theory_verdict(c, point.cell, once) for c in theories if c.is_asked_of(name)),
            ]
            same = once.same(made)
            cell = point.cell
            auxiliary = once(auxiliary_names, cell.design, cell.optimizer, cell.times)
            clashes = once(_clashes, same, cell.optimizer, expansion, auxiliary)
            mistakes.update(dict.fromkeys(clashes))
            if (name, id(same)) not in seen:
                seen.add((name, id(same)))
                names[name].update(_names(same))
                verdicts += ((name, verdict) for verdict in same)
            metrics_here, theories_here = once(_planned, same)
            cell = cell_with(cell, metrics=metrics_here, theories=theories_here)
            chosen[name].append(Point(point.positions, cell, point.simulated))
    mistakes.update(dict.fromkeys(_refused(verdicts)))
    selection = Selection(
        chosen,
        _omissions(verdicts),
        _faults(verdicts),
        {name: frozenset(taken) for name, taken in names.items()},
        tuple(_unused([*metrics, *theories], verdicts)),
    )
    return selection, list(mistakes)


def _candidates(
    tables: Iterable[MetricTable | TheoryTable], builder: Builder
) -> tuple[list[Candidate], list[Mistake]]:
    """The metrics or theories that can be built and declare what a result can hold."""
    candidates, mistakes = [], []
    for table in tables:
        component, wrong = builder.build(table.spec, {})
        mistakes += wrong
        if component is None:
            continue
        try:
            variables_of(component)
        except ComponentFault as fault:
            mistakes.append(Mistake(table.spec.path, str(fault)))
        else:
            candidates.append(Candidate(table, component))
    return candidates, mistakes


def _planned(
    verdicts: Iterable[Verdict],
) -> tuple[tuple[PlannedMetric, ...], tuple[PlannedTheory, ...]]:
    """The metrics and theories that were planned."""
    planned = [verdict.planned for verdict in verdicts]
    metrics = tuple(item for item in planned if isinstance(item, PlannedMetric))
    theories = tuple(item for item in planned if isinstance(item, PlannedTheory))
    return metrics, theories


# --- metrics and theories -----------------------------------------------------------------------


def _metric_verdict(
    candidate: Candidate, cell: Cell, peers: Mapping[str, Estimator], once: Once
) -> Verdict:
    """The metric as this cell measures it, or the reason why it does not."""
    table, metric = candidate.table, candidate.component
    assert isinstance(table, MetricTable) and isinstance(metric, Metric)
    estimator = Estimator(cell.estimator, cell.model, cell.optimizer)
    try:
        reason = ""
        if type(metric).applies is not Metric.applies:
            with calling(metric, "applies"):
                reason = reason_of(metric, "applies", metric.applies(cell)) or ""
        if reason:
            return Verdict(candidate, reason=reason)
        companion, reason = _companion(metric, estimator, peers)
        if companion is not None:
            reason = once(_companion_reason, *companion, cell.optimizer, cell.times)
    except ComponentFault as fault:
        return Verdict(candidate, fault=str(fault))
    fault_text = "" if reason else once(_coordinate_fault, metric, cell.design)
    if reason or fault_text:
        return Verdict(candidate, reason=reason, fault=fault_text)
    needs, reason = once(_needs, metric, cell.model, cell.optimizer, *(companion or ()))
    times, untimed = once(_subset, table, cell.times)
    reason = reason or once(_untested, metric, needs, cell.design)
    if reason or untimed:
        return Verdict(candidate, reason=reason or untimed)
    names = once(_metric_names, table, metric)
    if companion is None:
        return once(_measured, candidate, names, needs, times)
    return Verdict(candidate, PlannedMetric(metric, names, needs, times, table.mean, companion))


def _measured(
    candidate: Candidate, names: Mapping[str, str], needs: tuple[Asked, ...], times: Any
) -> Verdict:
    """The verdict on a metric without a companion, which many points share."""
    table, metric = candidate.table, candidate.component
    assert isinstance(table, MetricTable) and isinstance(metric, Metric)
    return Verdict(candidate, PlannedMetric(metric, names, needs, times, table.mean))


def _companion(
    metric: Metric, estimator: Estimator, peers: Mapping[str, Estimator]
) -> tuple[Estimator | None, str]:
    """The metric's companion, and why there is none although it needs one."""
    if type(metric).companion is Metric.companion:
        return None, ""
    try:
        with calling(metric, "companion"):
            companion: object = metric.companion(estimator, peers)
    except ComponentFault as fault:
        cause = fault.__cause__
        if isinstance(cause, KeyError | ValueError):  # how a metric says that there is none
            return None, str(cause.args[0])
        raise
    if not isinstance(companion, Estimator | None):
        text = f"found that companion returned {type(companion).__name__}"
        raise ComponentFault(metric, f"{text}, expected an Estimator, or None")
    return companion, ""


def _companion_reason(
    name: str, model: Model, optimizer: Optimizer, trained: Optimizer, times: tuple[float, ...]
) -> str:
    """Why a companion cannot be trained in lockstep; empty if it can."""
    misfit = pair_objection(model, optimizer)
    reached = trained.reached(times)
    return misfit[0] if misfit else companion_objection(Estimator(name, model, optimizer), reached)


def _coordinate_fault(owner: Metric | Theory, design: Design) -> str:
    """What is wrong with the coordinates of an owner's dimensions; empty if nothing is."""
    try:
        expect_coordinates(owner, design)
    except ComponentFault as fault:
        return str(fault)
    return ""


def _needs(metric: Metric, model: Model, optimizer: Optimizer, *companion: Any) -> tuple[Any, str]:
    """The needs that an estimator serves, and why it serves none of the alternatives."""
    partner = Estimator(*companion) if companion else None
    needs, reason = served_needs(metric, Estimator("", model, optimizer), partner)
    return _one_object(needs), reason


@lru_cache(maxsize=1024)
def _one_object(needs: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """The same object for equal needs, so that points whose needs are equal share verdicts."""
    return needs


def _untested(metric: Metric, needs: tuple[Asked, ...], design: Design) -> str:
    """Why a metric has nothing to measure where the design has no test points; empty if it has."""
    if design.sizes().get("test", 1):
        return ""
    predicted = any(request.need.name == "predictions" for request in needs)
    looks = predicted or getattr(metric, "points", "train") == "test"
    return "the design has no test points (n_test = 0)" if looks else ""


def _metric_names(table: MetricTable, metric: Metric) -> dict[str, str]:
    return metric_names(variables_of(metric), table.name)


def metric_names(declared: Mapping[str, object], name: str) -> dict[str, str]:
    """A metric's variables in the result: as declared, or after the name that the file gives."""
    base = name.replace("-", "_")
    if not base:
        return {variable: variable for variable in declared}
    only = len(declared) == 1
    return {variable: base if only else f"{base}_{variable}" for variable in declared}


def _subset(table: MetricTable, times: tuple[float, ...]) -> tuple[tuple[float, ...] | None, str]:
    """The cell's times nearest to those of the metric that lie within the cell's range."""
    if table.times is None:
        return None, ""
    grid = np.asarray(times)
    inside = [time for time in table.times.values if grid[0] <= time <= grid[-1]]
    if not inside:
        return None, f"none of its times lies within {grid[0]:g} and {grid[-1]:g}"
    last = [grid[-1]] if np.isinf(grid[-1]) else []
    nearest = (
        time if time in last else float(grid[np.abs(grid - time).argmin()]) for time in inside
    )
    return tuple(dict.fromkeys(nearest)), ""


def _theory_verdict(candidate: Candidate, cell: Cell, once: Once) -> Verdict:
    """The theory. One that does not apply is kept, since the result stores the reason."""
    theory = candidate.component
    assert isinstance(theory, Theory)
    try:
        reason = theory_objection(theory, cell) or ""
    except ComponentFault as fault:
        return Verdict(candidate, fault=str(fault))
    fault_text = once(_coordinate_fault, theory, cell.design)
    if fault_text:
        return Verdict(candidate, fault=fault_text)
    return once(_predicted, candidate, reason)


def _predicted(candidate: Candidate, reason: str) -> Verdict:
    """The verdict on a theory, which many points share."""
    assert isinstance(candidate.component, Theory)
    return Verdict(candidate, _planned_theory(candidate.component), reason)


def _planned_theory(theory: Theory) -> PlannedTheory:
    return PlannedTheory(theory, theory_names(theory.name, theory.variables))


def theory_names(theory: str, variables: Mapping[str, Variable]) -> dict[str, str]:
    """`excess_risk__equivalent`: what is predicted, and the last part of the theory's name."""
    short = variable_name(theory)
    return {name: f"{variable.predicts or name}__{short}" for name, variable in variables.items()}


# --- names --------------------------------------------------------------------------------------


def _variables(verdict: Verdict) -> Iterator[tuple[str, Variable]]:
    """The variables of what was planned, by their names in the result."""
    planned = verdict.planned
    if isinstance(planned, PlannedMetric):
        declared = planned.metric.declared()
        yield from ((name, declared[variable]) for variable, name in planned.names.items())
    elif isinstance(planned, PlannedTheory):
        declared = planned.theory.variables
        yield from ((name, declared[variable]) for variable, name in planned.names.items())


def _names(verdicts: Iterable[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        for name, variable in _variables(verdict):
            yield name
            yield from variable.dims


def _clashes(
    verdicts: Iterable[Verdict],
    optimizer: Optimizer,
    expansion: Expansion,
    auxiliary: Mapping[str, str],
) -> list[Mistake]:
    """The variables whose names or dimensions an estimator has already."""
    return list(_each_clash(verdicts, optimizer, swept_names(expansion.dims), auxiliary))


def _each_clash(
    verdicts: Iterable[Verdict],
    optimizer: Optimizer,
    swept: set[str],
    auxiliary: Mapping[str, str],
) -> Iterator[Mistake]:
    taken: dict[str, dict[str, str]] = {
        "metric": dict.fromkeys(optimizer.declared(), optimizer.name),
        "theory": {},
    }
    for verdict in verdicts:
        names, place = taken[verdict.candidate.component.kind], verdict.candidate.place
        metric = verdict.candidate.component.kind == "metric"
        advice = METRIC_ADVICE if metric else THEORY_ADVICE
        for name, variable in _variables(verdict):
            if name in names:
                text = f"found the variable {name!r} also from {names[name]}"
                yield Mistake(place, text, "each variable once in an estimator", advice)
            names.setdefault(name, place)
            yield from _name_clash(name, place, swept, auxiliary, advice)
            yield from _dim_clashes(name, variable.dims, place, swept, auxiliary)


def _name_clash(
    name: str, place: str, swept: set[str], auxiliary: Mapping[str, str], advice: str
) -> Iterator[Mistake]:
    text = f"found the variable {name!r}"
    if name in RESERVED_VARIABLES or name in swept:
        role = "a swept parameter too" if name in swept else "reserved"
        yield Mistake(place, f"{text}, which is {role}", "", advice)
    if name in auxiliary:
        text = f"{text}, which is a coordinate of {auxiliary[name]} too"
        yield Mistake(place, text, "different names", advice)


def _dim_clashes(
    name: str, dims: Sequence[str], place: str, swept: set[str], auxiliary: Mapping[str, str]
) -> Iterator[Mistake]:
    for dim in sorted(set(dims) & set(auxiliary)):
        text = f"found {name!r} along {dim!r}, which is a coordinate of {auxiliary[dim]} too"
        advice = "rename the dim in the component, or leave this estimator out with of = […]"
        yield Mistake(place, text, "different names", advice)
    for dim in sorted(set(dims) & swept):
        text = f"found {name!r} along {dim!r}, which is a swept parameter too"
        yield Mistake(place, text, "different names", 'rename the sweep with dim = "…"')


# --- what is left out ---------------------------------------------------------------------------

Verdicts = Sequence[tuple[str, Verdict]]
"""The decision on every candidate at every point, with the estimator's name."""


def _is_refused(verdict: Verdict) -> bool:
    """Whether a metric cannot be measured on an estimator that its `of` names."""
    metric = verdict.candidate.component.kind == "metric"
    return metric and bool(verdict.candidate.table.of) and bool(verdict.reason)


def _refused(verdicts: Verdicts) -> Iterator[Mistake]:
    for estimator, verdict in verdicts:
        if _is_refused(verdict):
            text = f"found {verdict.candidate.component.name} of {estimator!r}: {verdict.reason}"
            yield Mistake(verdict.candidate.place, text, "a metric that fits")


def _omissions(verdicts: Verdicts) -> tuple[Omission, ...]:
    """What is not measured or predicted somewhere, each reason once."""
    return tuple(
        dict.fromkeys(
            Omission(estimator, verdict.candidate.component.name, verdict.reason or verdict.fault)
            for estimator, verdict in verdicts
            if (verdict.reason or verdict.fault) and not _is_refused(verdict)
        )
    )


def _faults(verdicts: Verdicts) -> tuple[str, ...]:
    """The faults of metrics and theories; each loses only its own variables."""
    return tuple(
        dict.fromkeys(
            f"{verdict.candidate.place} of {estimator!r} is left out: {verdict.fault}"
            for estimator, verdict in verdicts
            if verdict.fault
        )
    )


def _unused(candidates: Iterable[Candidate], verdicts: Verdicts) -> Iterator[Mistake]:
    """The metrics that are measured nowhere, and the theories that apply nowhere."""
    used = {id(v.candidate) for _, v in verdicts if v.fault or (v.planned and not v.reason)}
    for candidate in candidates:
        name, metric = candidate.component.name, candidate.component.kind == "metric"
        if id(candidate) in used or (metric and candidate.table.of):
            continue
        reasons = dict.fromkeys(v.reason for _, v in verdicts if v.candidate is candidate)
        where = "no estimator can be measured by" if metric else "applies to no estimator"
        text = ": ".join(filter(None, (f"found {name}, which {where}", "; ".join(reasons))))
        expected = f"a {candidate.component.kind} that fits at least one"
        yield Mistake(candidate.place, text, expected)

"""Whether an estimator can be measured by a metric, and with which needs, times and names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from testbed.contract.answers import reason_of, variables_of
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import Cell, PlannedMetric
from testbed.contract.components import Design, Estimator, Metric, Model, Optimizer
from testbed.contract.needs import Asked
from testbed.planning.candidates import Candidate, Verdict, coordinate_fault
from testbed.planning.fitting import companion_objection, pair_objection, served_needs
from testbed.planning.once import Once
from testbed.scenario.tables import MetricTable


def metric_verdict(
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
    fault_text = "" if reason else once(coordinate_fault, metric, cell.design)
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


def _needs(metric: Metric, model: Model, optimizer: Optimizer, *companion: Any) -> tuple[Any, str]:
    """The needs that the estimator serves, or the reason why it serves none of the alternatives."""
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

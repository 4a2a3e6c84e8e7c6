"""Cells made by hand, for tests of components without a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from testbed.contract.cells import STATUS, Cell, CellResult, Compute, PlannedMetric
from testbed.contract.components import Design, Estimator, Metric, Model, Optimizer, Target
from testbed.planning.fitting import served_needs
from testbed.running.execute import execute_cell


def planned(
    metric: Metric, model: Model, optimizer: Optimizer, estimators: dict[str, Estimator]
) -> PlannedMetric:
    """The metric with the first of its alternatives that the model can serve."""
    companion = metric.companion(Estimator("main", model, optimizer), estimators)
    needs, reason = served_needs(metric, Estimator("main", model, optimizer), companion)
    assert not reason, reason
    return PlannedMetric(
        metric, {name: name for name in metric.declared()}, needs, None, False, companion
    )


def make_cell(
    design: Design,
    target: Target,
    model: Model,
    optimizer: Optimizer,
    times: Sequence[float],
    metrics: Sequence[Metric],
    *,
    replicates: int = 3,
    seed: int = 7,
    estimators: dict[str, Estimator] | None = None,
    **fields: Any,
) -> Cell:
    """One cell, replicates 0 … R−1, as the plan would make it."""
    chosen = tuple(planned(metric, model, optimizer, estimators or {}) for metric in metrics)
    fields = {"compute": Compute(), "key": "k", "group": "g", "theories": (), **fields}
    return Cell(
        estimator="main",
        point={},
        index=(),
        replicates=tuple(range(replicates)),
        design=design,
        target=target,
        model=model,
        optimizer=optimizer,
        times=tuple(map(float, times)),
        metrics=chosen,
        seed=seed,
        **fields,
    )


def run_cell(*args: Any, **kwargs: Any) -> dict[str, np.ndarray]:
    """The variables of a cell that has to succeed."""
    result: CellResult = execute_cell(make_cell(*args, **kwargs))
    assert not result.error, result.error
    assert (result.status == STATUS["ok"]).all()
    return dict(result.variables)

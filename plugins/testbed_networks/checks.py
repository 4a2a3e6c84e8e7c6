"""Findings of results of networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from testbed import STATUS, Finding, Plan, PlannedMetric, worst_place
from testbed_networks.metrics.networks import Sharpness

if TYPE_CHECKING:
    import xarray as xr


def findings(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Sharpness that did not settle, a finding for each estimator and variable."""
    measured: dict[tuple[str, str], PlannedMetric] = {}
    for cell in plan.cells:
        for planned in cell.metrics:
            if isinstance(planned.metric, Sharpness) and not planned.mean:
                measured[cell.estimator, planned.names["sharpness"]] = planned
    return [
        finding
        for (estimator, variable), planned in measured.items()
        if variable in tree[estimator]  # it is missing where every cell failed
        for finding in _unsettled(tree[estimator].to_dataset(), estimator, variable, planned.times)
    ]


def _unsettled(
    dataset: xr.Dataset, estimator: str, variable: str, times: tuple[float, ...] | None
) -> Iterator[Finding]:
    """Find values that are missing at requested times, in replicates that stayed ok."""
    values = dataset[variable]
    recorded = (
        np.ones(values.sizes["time"], bool) if times is None else np.isin(values["time"], times)
    )
    missing = values.isnull().isel(time=recorded) & (dataset["status"] == STATUS["ok"])
    place = worst_place(missing.sum(["replicate", "time"]), 0)
    if place:
        here = missing.isel(place.position)
        yield Finding(
            check="unsettled",
            estimator=estimator,
            variable=variable,
            **place.named(),
            observation=f"{int(here.sum())} of {here.size} values did not settle to 1e-4 and are "
            "NaN",
            advice="the largest eigenvalues lie too close together: take another width or seed, or "
            "leave these values out of means",
        )

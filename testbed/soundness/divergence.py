"""The check for training that diverges or raises its loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.contract.findings import Finding, along_time, over_replicates, rounding, worst_place
from testbed.results.groups import estimators

ROUNDING = 1e-20  # a training loss below it is zero
CLIMBS = 2.0  # loss at the last time over the first that counts as climbing


def divergence(tree: xr.DataTree) -> Iterator[Finding]:
    """Replicates diverged, or training raised the loss that it should lower."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        yield from _not_finite(name, dataset)
        yield from _rising_loss(name, dataset, rounding(tree) ** 2)


def _not_finite(name: str, dataset: xr.Dataset) -> Iterator[Finding]:
    gone = (dataset["status"] == 2).sum("replicate")
    place = worst_place(gone, 0)
    if place is None:
        return
    first = (
        dataset["diverged_at"].isel(place.position).min() if "diverged_at" in dataset else np.nan
    )
    since = f", from τ = {float(first):.3g} on" if np.isfinite(first) else ""
    if "evaluations" in dataset:  # integrated: there is no step size to lower
        advice = (
            "the flow left the finite numbers, or its integrator used up `max_evaluations`: end "
            "`times` earlier, or raise it"
        )
    else:
        advice = "lower the step size, or end `times` earlier"
    yield Finding(
        check="divergence",
        severity="problem",
        estimator=name,
        variable="status",
        **place.named(),
        observation=f"{int(gone.isel(place.position))} of {dataset.sizes['replicate']} replicates "
        f"diverged{since}",
        advice=f"{advice}; `.mean('replicate')` skips these without a warning",
    )


def _rising_loss(name: str, dataset: xr.Dataset, rounded: float) -> Iterator[Finding]:
    """Nothing diverged, but the last recorded loss is above the first, and above what rounding
    makes of 0 at the scale of the squared observations, taken from the largest excess risk."""
    if not along_time(dataset, "training_loss"):
        return
    loss = over_replicates(dataset, "training_loss").dropna("time", how="all")
    if loss.sizes["time"] < 2:  # all diverged
        return
    start, end = loss.isel(time=0, drop=True), loss.isel(time=-1, drop=True)
    largest = loss.max("time")
    if along_time(dataset, "excess_risk"):
        largest = largest + over_replicates(dataset, "excess_risk").max("time")
    zero = ROUNDING + rounded * largest
    place = worst_place((end / start.where(end > zero)).where(start.notnull()), CLIMBS)
    if place:
        values = float(start.isel(place.position)), float(end.isel(place.position))
        yield Finding(
            check="divergence",
            severity="problem",
            estimator=name,
            variable="training_loss",
            **place.named(),
            observation="the training loss rises from {:.2g} to {:.2g}".format(*values),
            advice="lower the step size: descent should lower the loss",
        )

"""Checks of the best stopping time: whether the grid brackets it, and whether training overfits."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from testbed.analysis.stopping import FALLS, fall_at_end, percent
from testbed.contract.findings import (
    VANISHED,
    Finding,
    Path,
    along_time,
    over_replicates,
    risk_path,
    rounding,
    worst_place,
)
from testbed.results.groups import estimators

WORSE = 2.0  # risk at the last time over the best one that counts as overfitting


def unbracketed(tree: xr.DataTree) -> Iterator[Finding]:
    """The best stopping time is an end of the time grid, and the risk still moves there."""
    for name, group in estimators(tree).items():
        path = risk_path(group.to_dataset())
        if path is None or path.values.sizes["time"] < 2:
            continue
        vanished = max(VANISHED, rounding(tree) ** 2)
        place = worst_place(_fall_at_end(path, vanished), FALLS)
        if place is None:
            continue
        late = bool(path.best.isel(place.position) > 0)
        end = path.values.isel(place.position).isel(time=-1 if late else 0)
        falls = percent(float(_fall_at_end(path, vanished).isel(place.position)))
        yield Finding(
            check="unbracketed",
            estimator=name,
            variable=path.variable,
            **place.named(),
            observation=f"the best risk {float(end):.3g} is at the {'last' if late else 'first'} "
            f"time τ = {float(end['time']):.3g}, where it still falls by {falls} as τ "
            f"{'doubles' if late else 'halves'}",
            advice=f"let `times` {'end later' if late else 'begin earlier'}: the best risk and its "
            "time are not known",
        )


def _fall_at_end(path: Path, rounded: float) -> xr.DataArray:
    """How fast the risk still falls at the best time; 0 where it has fallen so far that only
    rounding is left."""
    values = path.values
    vanished = values.min("time") <= rounded * values.max("time")
    fall = fall_at_end(values, path.best).where(~vanished, 0.0)
    return fall.where(values.notnull().any("time"))


def overfitting(tree: xr.DataTree) -> Iterator[Finding]:
    """The risk rises past its minimum while the training loss goes on falling."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        path = risk_path(dataset)
        if path is None or not along_time(dataset, "training_loss"):
            continue
        risk = path.values
        loss = over_replicates(dataset, "training_loss").reindex(time=risk["time"])
        end = loss.isel(time=-1, drop=True)
        falls = end < loss.isel(time=path.best, drop=True)
        ratio = risk.isel(time=-1, drop=True) / risk.isel(time=path.best, drop=True)
        place = worst_place(ratio.where(falls), WORSE)
        if place:
            best = risk.isel(place.position).isel(time=int(path.best.isel(place.position)))
            yield Finding(
                check="overfitting",
                severity="note",
                estimator=name,
                variable=path.variable,
                **place.named(),
                observation=f"past its minimum {float(best):.3g} at τ = {float(best['time']):.3g} "
                f"the risk rises {float(ratio.isel(place.position)):.3g}-fold while the training "
                "loss falls",
                advice="report the risk at a stopping time, not at the last; end `times` earlier "
                "if late training is not asked about",
            )

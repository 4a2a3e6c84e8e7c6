"""The check for replicates with different steps: how far they stop from the requested times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.contract.findings import Finding, worst_place
from testbed.planning.fitting import LARGEST_MOVE
from testbed.results.groups import estimators


def times(tree: xr.DataTree) -> Iterator[Finding]:
    """Replicates stop far from the times asked, or at the same step for two of these times.

    Where all replicates share their steps, such a scenario is refused before it runs; where each
    replicate has a step size of its own, only the run can show it.
    """
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        reached = dataset.get("time_reached")
        if reached is not None and "replicate" in reached.dims:
            resting = (reached.isel(time=-1) == 0) & (reached["time"][-1] > 0)
            yield from _moved(name, reached, resting)
            yield from _on_one_step(name, reached.where(~resting))


def _moved(name: str, reached: xr.DataArray, resting: xr.DataArray) -> Iterator[Finding]:
    requested = reached["time"]
    move = (abs(reached - requested) / requested).where(requested > 0)
    # points where replicates take no step at all are worse than any rounding
    place = worst_place(move.max(("replicate", "time")) + resting.sum("replicate"), LARGEST_MOVE)
    if place is None:
        return
    worst = _largest(move.isel(place.position))
    farthest = reached.isel(place.position).isel(worst)
    idle = np.flatnonzero(resting.isel(place.position).values)
    yield Finding(
        check="times",
        estimator=name,
        variable="time_reached",
        **place.named(),
        observation=f"whole steps stop at τ = {float(farthest):.3g} for τ = "
        f"{float(farthest['time']):.3g} in replicate {worst['replicate']}{_named(idle)}",
        advice="begin `times` later or lower the edge, or analyse against time_reached, where the "
        "values belong",
    )


def _named(idle: np.ndarray) -> str:
    """Replicates that never take a step, in words."""
    if not len(idle):
        return ""
    noun, verb = ("replicate", "takes") if len(idle) == 1 else ("replicates", "take")
    return f"; {noun} {', '.join(map(str, idle))} never {verb} a step"


def _on_one_step(name: str, reached: xr.DataArray) -> Iterator[Finding]:
    """Two recorded times of a replicate have the same state."""
    same = (reached.diff("time") == 0).astype(float)
    place = worst_place(same.sum(("replicate", "time")), 0)
    if place is None:
        return
    steps = reached.isel(place.position)
    worst = _largest(same.isel(place.position))
    pair = steps.isel(replicate=worst["replicate"], time=slice(worst["time"], worst["time"] + 2))
    first, second = pair["time"].values
    yield Finding(
        check="times",
        estimator=name,
        variable="time_reached",
        **place.named(),
        observation=f"τ = {first:.3g} and {second:.3g} fall on one step, at {float(pair[0]):.3g}, "
        f"in replicate {worst['replicate']}",
        advice="thin the grid or lower the edge: these values are one state's",
    )


def _largest(values: xr.DataArray) -> dict[str, int]:
    """Positions of the largest number; the first one if several are equal."""
    flat = np.nanargmax(values.values)
    positions = np.unravel_index(int(flat), values.shape)
    return {str(dim): int(position) for dim, position in zip(values.dims, positions, strict=True)}

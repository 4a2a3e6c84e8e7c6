"""Checks of learned features: two of the failure signatures of arXiv:2412.18756."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.contract.findings import Finding, along_time, over_replicates, rounding, worst_place
from testbed.results.groups import estimators

MOVING = ("training_loss", "excess_risk", "test_error")  # what any training changes
DEAD = 0.01  # λ·τ of the largest eigenvalue below which nothing is fitted
SHRUNK = 1e-3  # share of its start that the largest eigenvalue falls to in a collapse
HIDDEN = 0.5  # share of the truth in the top-k eigenspaces below which it is misaligned
RISES = 0.05  # and the rise of that share that counts as one


def collapse(tree: xr.DataTree) -> Iterator[Finding]:
    """All learned eigenvalues are near zero: small against 1/τ, so that nothing has been fitted by
    then, or against their start. Without measured eigenvalues: training changes nothing."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        if not along_time(dataset, "eigenvalue"):
            yield from _standstill(name, dataset, rounding(tree))
            continue
        largest = over_replicates(dataset, "eigenvalue").max("mode").dropna("time", how="all")
        time = largest["time"].values
        if len(time) < 2 or not np.isfinite(time[-1]):
            continue
        start, end = largest.isel(time=0, drop=True), largest.isel(time=-1, drop=True)
        smallness = xr.apply_ufunc(
            np.maximum, DEAD / (end * time[-1]), SHRUNK * start / end
        )  # above 1: one of the two
        place = worst_place(smallness.where(end > 0, np.inf).where(end.notnull()), 1.0)
        if place:
            values = float(end.isel(place.position)), float(start.isel(place.position))
            yield Finding(
                check="collapse",
                estimator=name,
                variable="eigenvalue",
                **place.named(),
                observation=f"at τ = {time[-1]:.3g} the largest learned eigenvalue is "
                f"{values[0]:.2g} ({values[1]:.2g} at the start): λτ = {values[0] * time[-1]:.2g}, "
                "nothing more is fitted",
                advice="start larger or shallower, train longer, or lower the step size or the "
                "decay that shrinks the features",
            )


def _standstill(name: str, dataset: xr.Dataset, rounded: float) -> Iterator[Finding]:
    """The training loss, or a risk if there is no loss, is constant over all times and not 0."""
    variable = next((v for v in MOVING if along_time(dataset, v)), None)
    if variable is None:
        return
    path = over_replicates(dataset, variable).dropna("time", how="all")
    time = path["time"].values
    if len(time) < 2:
        return
    least, most = path.min("time"), path.max("time")
    change = (most - least) / most.where(most > rounded**2)
    place = worst_place((rounded - change).where(change.notnull()), 0.0)
    if place is None:
        return
    value = float(path.isel(place.position)[0])
    from_start = time[0] == 0
    yield Finding(
        check="collapse",
        severity="warning" if from_start else "note",
        estimator=name,
        variable=variable,
        **place.named(),
        observation=f"the {variable.replace('_', ' ')} stays at {value:.3g} from τ = "
        f"{time[0]:.3g} to τ = {time[-1]:.3g}: training changes nothing",
        advice="the model does not move: start it larger, or train it longer"
        if from_start
        else "record time 0, to tell a model that never moves from one that had converged before",
    )


def misalignment(tree: xr.DataTree) -> Iterator[Finding]:
    """The top-k eigenspaces hold little of the truth, and learning features does not change that; k
    is the largest rank that is measured."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        if not (along_time(dataset, "top_projection") and _features_move(dataset)):
            continue
        share = over_replicates(dataset, "top_projection").isel(k=-1)
        share = share.dropna("time", how="all")
        if not share.sizes["time"]:  # all diverged
            continue
        start = share.isel(time=0, drop=True)
        rise = (share.max("time") - start).where(start < HIDDEN)
        place = worst_place((RISES - rise).where(start.notnull()), 0.0)
        if place:
            path = share.isel(place.position)
            yield Finding(
                check="misalignment",
                estimator=name,
                variable="top_projection",
                **place.named(),
                observation=f"p_k does not rise: the {int(path['k'])} top eigenspaces hold "
                f"{float(path[0]):.2g} of the truth at the start, at most {float(path.max()):.2g} "
                "later",
                advice="the features do not turn to the truth: raise n or lower the noise, start "
                "smaller or deeper, or train longer",
            )


def _features_move(dataset: xr.Dataset) -> bool:
    """Whether there are learned features: eigenvalues that never move are fixed by design."""
    shown = "eigenvalue" if along_time(dataset, "eigenvalue") else "top_projection"
    values = dataset[shown]
    return bool((values.max("time") > values.min("time")).any())

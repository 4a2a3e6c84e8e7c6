"""Checks of Monte Carlo: intervals against the means, slopes and differences that one reads off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.analysis.analysis import Interval, mean_interval, oracle, paired_difference, slope
from testbed.contract.findings import RISKS, Finding, along_time, worst_place
from testbed.results.groups import estimators

WIDE = 0.5  # half-width of a mean over the mean
LARGE = 0.25  # half-width of a difference over the smaller risk
EXPONENT = 0.1  # half-width of a slope that matters, if it is half of the slope too


def wide_mean(tree: xr.DataTree) -> Iterator[Finding]:
    """No interval of the mean at all, or one that is wide against it."""
    for name, risk in _simulated(tree):
        count = risk.sizes["replicate"]
        if count < 2:
            yield Finding(
                check="wide-mean",
                severity="note",
                estimator=name,
                variable=str(risk.name),
                seen="one replicate has no interval",
                advice="raise `replicates`, unless nothing is random",
            )
            continue
        interval = mean_interval(oracle(risk).value)
        mean, half = interval.mean, _half(interval)
        place = worst_place(half / mean.where(mean > 0), WIDE)
        if place:
            yield Finding(
                check="wide-mean",
                estimator=name,
                variable=str(risk.name),
                **place.named(),
                seen=f"the mean at the best time is {float(mean.isel(place.position)):.3g} ± "
                f"{float(half.isel(place.position)):.2g} over {count} replicates",
                advice="raise `replicates`: half the width takes four times as many",
            )


def wide_slope(tree: xr.DataTree) -> Iterator[Finding]:
    """The interval of the slope in n is wide against the slope."""
    for name, risk in _simulated(tree):
        if risk.sizes["replicate"] < 2 or risk.sizes.get("n", 0) < 3:
            continue
        fit = slope(risk, "n")
        half = (fit.upper - fit.lower) / 2
        place = worst_place(half / np.maximum(EXPONENT, abs(fit.slope) / 2), 1.0)
        if place:
            yield Finding(
                check="wide-slope",
                estimator=name,
                variable=str(risk.name),
                **place.named(),
                seen=f"the slope in n is {float(fit.slope.isel(place.position)):+.2f} ± "
                f"{float(half.isel(place.position)):.2f}",
                advice="raise `replicates`, or spread n further, before an exponent is read off",
            )


def undecided(tree: xr.DataTree) -> Iterator[Finding]:
    """The interval of an estimator's difference to another holds 0 and is wide against the risks;
    one finding for all the others that stand before it."""
    best: dict[str, xr.DataArray] = {}
    for name, risk in _simulated(tree):
        if risk.sizes["replicate"] > 1:
            found = [_undecided(other, best[other], name, oracle(risk).value) for other in best]
            yield from sorted(filter(None, found), key=lambda one: -one.points)[:1]
            best[name] = oracle(risk).value


def _undecided(other: str, theirs: xr.DataArray, name: str, ours: xr.DataArray) -> Finding | None:
    """What cannot be told between two estimators at their best times."""
    shared = set(ours.dims) & set(theirs.dims)
    equal = all(np.array_equal(ours[dim].values, theirs[dim].values) for dim in shared)
    if not equal or ours.name != theirs.name:
        return None
    interval = paired_difference(ours, theirs)
    half = _half(interval)
    size = xr.apply_ufunc(np.minimum, ours.mean("replicate"), theirs.mean("replicate"))
    place = worst_place(half / size.where(size > 0) * (half > abs(interval.mean)), LARGE)
    if place is None:
        return None
    mean, width, risk = (float(one.isel(place.position)) for one in (interval.mean, half, size))
    return Finding(
        check="undecided",
        severity="note",
        estimator=name,
        variable=str(ours.name),
        **place.named(),
        seen=f"the difference to {other} at the best times is {mean:+.2g} ± {width:.2g}, beside a "
        f"risk of {risk:.2g}: it cannot be told from 0",
        advice="raise `replicates` before one of the two is called better there",
    )


def _simulated(tree: xr.DataTree) -> Iterator[tuple[str, xr.DataArray]]:
    """The risk of every estimator that was simulated along time, failed replicates left out."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        variable = next((risk for risk in RISKS if along_time(dataset, risk)), None)
        if variable and "replicate" in dataset[variable].dims:
            values = dataset[variable].where(dataset["status"] == 0).dropna("time", how="all")
            if values.size:
                yield name, values.rename(variable)


def _half(interval: Interval) -> xr.DataArray:
    return interval.upper - interval.mean

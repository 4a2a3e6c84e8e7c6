"""Checks of Monte Carlo error: intervals compared with means, slopes and differences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.analysis import oracle, paired_difference, simulated, slope
from testbed.analysis.limits import LEAST
from testbed.contract.findings import RISKS, Finding, along_time, worst_place
from testbed.results.groups import estimators

WIDE = 0.5  # half-width of a mean over the mean
LARGE = 0.25  # half-width of a difference over the smaller risk
EXPONENT = 0.1  # half-width of a slope that matters, if it is half of the slope too


def wide_mean(tree: xr.DataTree) -> Iterator[Finding]:
    """The mean has no interval, or one that is wide compared with the mean."""
    for name, risk in _simulated(tree):
        best = oracle(risk)
        sparse = (best["replicates"] < LEAST) & best["estimate"].notnull()
        if bool(sparse.any()):
            yield _too_few(name, risk, best, sparse)
        half = _half(best)
        place = worst_place(half / best["estimate"].where(best["estimate"] > 0), WIDE)
        if place:
            worst = best.isel(place.position)
            yield Finding(
                check="wide-mean",
                estimator=name,
                variable=str(risk.name),
                **place.named(),
                observation=f"the mean at the best time is {float(worst['estimate']):.3g}, its "
                f"interval [{float(worst['lower']):.2g}, {float(worst['upper']):.2g}], over "
                f"{int(worst['replicates'])} replicates",
                advice="raise `replicates`: half the width takes four times as many",
            )


def _too_few(name: str, risk: xr.DataArray, best: xr.Dataset, sparse: xr.DataArray) -> Finding:
    """Means that have no interval."""
    least = int(best["replicates"].where(sparse).min())
    return Finding(
        check="wide-mean",
        severity="note",
        estimator=name,
        variable=str(risk.name),
        points=int(sparse.sum()),
        judged=sparse.size,
        observation="one replicate has no interval"
        if least == 1
        else "two replicates have no interval",
        advice="raise `replicates`, unless nothing is random",
    )


def wide_slope(tree: xr.DataTree) -> Iterator[Finding]:
    """The interval of the slope in n is wide compared with the slope."""
    for name, risk in _simulated(tree):
        if risk.sizes.get("n", 0) < 3:
            continue
        fit = slope(risk, "n")
        half = _half(fit)
        place = worst_place(half / np.maximum(EXPONENT, abs(fit.estimate) / 2), 1.0)
        if place:
            yield Finding(
                check="wide-slope",
                estimator=name,
                variable=str(risk.name),
                **place.named(),
                observation=f"the slope in n is {float(fit.estimate.isel(place.position)):+.2f} ± "
                f"{float(half.isel(place.position)):.2f}",
                advice="raise `replicates`, or spread n further, before an exponent is read off",
            )


def undecided(tree: xr.DataTree) -> Iterator[Finding]:
    """The interval of the difference of two estimators contains 0 and is wide compared with the
    risks. Each estimator is compared with all estimators before it, in one finding."""
    earlier: dict[str, xr.DataArray] = {}
    for name, risk in _simulated(tree):
        if risk.sizes["replicate"] < LEAST:
            continue
        findings = [_undecided(rival, earlier[rival], name, risk) for rival in earlier]
        yield from sorted(filter(None, findings), key=lambda finding: -finding.points)[:1]
        earlier[name] = risk


def _undecided(rival: str, theirs: xr.DataArray, name: str, risk: xr.DataArray) -> Finding | None:
    """Whether the data decide between two estimators at their best times."""
    shared = set(risk.dims) & set(theirs.dims) - {"time"}
    equal = all(np.array_equal(risk[dim].values, theirs[dim].values) for dim in shared)
    if not equal or risk.name != theirs.name:
        return None
    interval = paired_difference(risk, theirs, best=True)
    half = _half(interval)
    size = xr.apply_ufunc(np.minimum, oracle(risk)["estimate"], oracle(theirs)["estimate"])
    holds_zero = (interval.lower < 0) & (interval.upper > 0)
    place = worst_place(half / size.where(size > 0) * holds_zero, LARGE)
    if place is None:
        return None
    least = float(size.isel(place.position))
    worst = interval.isel(place.position)
    return Finding(
        check="undecided",
        severity="note",
        estimator=name,
        variable=str(risk.name),
        **place.named(),
        observation=f"the difference to {rival} at the best times is "
        f"{float(worst['estimate']):+.2g}, its interval [{float(worst['lower']):+.2g}, "
        f"{float(worst['upper']):+.2g}], at a risk of {least:.2g}: it cannot be told from 0",
        advice="raise `replicates` before one of the two is called better there",
    )


def _simulated(tree: xr.DataTree) -> Iterator[tuple[str, xr.DataArray]]:
    """The risk of every estimator that was simulated along time, lost replicates NaN."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        variable = next((risk for risk in RISKS if along_time(dataset, risk)), None)
        if variable and "replicate" in dataset[variable].dims:
            values = simulated(dataset, variable).dropna("time", how="all")
            if values.size:
                yield name, values


def _half(interval: xr.Dataset) -> xr.DataArray:
    return (interval["upper"] - interval["lower"]) / 2

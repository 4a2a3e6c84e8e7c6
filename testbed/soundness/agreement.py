"""The check of theories against the replicates that estimate what they predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.analysis import mean_interval, simulated
from testbed.contract.findings import Finding, worst_place
from testbed.results.groups import estimators

ERROR_RATE = 0.01  # chance that sound results are reported, over all points of a result
LEAST = 5  # replicates that a comparison needs: the limits of fewer, at such levels, are guesses
ROUNDING = 1e-6  # relative gap that rounding may leave
NOTHING = 1e-9  # share of a path's largest value below which both count as zero


class Comparison(NamedTuple):
    """A theory's variable and the simulated values that it predicts, on the same coordinates."""

    estimator: str
    variable: str
    values: xr.DataArray  # (sweep…, replicate, time…); minus the theory if that is per replicate
    theory: xr.DataArray  # without `replicate`
    centre: xr.DataArray  # what the mean of the values should be


def agreement(tree: xr.DataTree) -> Iterator[Finding]:
    """The mean over replicates differs from what a theory predicts, or lies beyond its bound.

    They are compared at every point and time, with intervals at a level corrected for the number of
    comparisons. A theory's stated accuracy, a share of its prediction, widens the interval.
    """
    comparisons = [
        comparison
        for name, group in estimators(tree).items()
        for comparison in _comparisons(name, group.to_dataset())
    ]
    points = sum(int(_compared(comparison).sum()) for comparison in comparisons)
    for comparison in comparisons:
        yield from _disagreement(comparison, 1 - ERROR_RATE / max(points, 1))


def _comparisons(name: str, dataset: xr.Dataset) -> Iterator[Comparison]:
    for variable, theory in dataset.data_vars.items():
        predicted = str(theory.attrs.get("predicts", ""))
        if predicted not in dataset or theory.attrs.get("states") == "limit":
            continue
        values = simulated(dataset, predicted)
        if "replicate" not in values.dims or not set(theory.dims) <= set(values.dims):
            continue
        if "replicate" in theory.dims:  # a prediction each: the differences should be 0
            residual = values - theory
            mean = theory.where(values.notnull()).mean("replicate").assign_attrs(theory.attrs)
            yield Comparison(name, str(variable), residual, mean, xr.zeros_like(mean))
        else:
            yield Comparison(name, str(variable), values, theory, theory)


def _compared(comparison: Comparison) -> xr.DataArray:
    enough = comparison.values.notnull().sum("replicate") >= LEAST
    return enough & comparison.theory.notnull()


def _disagreement(comparison: Comparison, level: float) -> Iterator[Finding]:
    theory = comparison.theory
    values = comparison.values.where(_compared(comparison))
    conditional = comparison.centre is not theory
    table = mean_interval(values, level, positive=False if conditional else None)
    states = str(theory.attrs.get("states", "expectation"))
    margin = _margin(theory)
    above = table["lower"] - comparison.centre - margin  # > 0: the replicates lie above
    below = comparison.centre - margin - table["upper"]
    gap = {"lower bound": below, "upper bound": above}.get(states, np.maximum(above, below))
    error = values.std("replicate", ddof=1) / np.sqrt(table["replicates"])
    distance = abs(table["estimate"] - comparison.centre) / error.where(error > 0)
    distance = xr.where(gap > 0, distance.fillna(np.inf), 0.0).where(xr.ufuncs.isfinite(gap))
    place = worst_place(distance, 0.0)
    if place is None:
        return
    worst = table.isel(place.position)
    predicted = float(theory.broadcast_like(table["estimate"]).isel(place.position))
    mean = float(worst["estimate"]) + (predicted if conditional else 0.0)
    verbs = {"expectation": "predicts", "lower bound": "bounds from below by"}
    yield Finding(
        check="agreement",
        estimator=comparison.estimator,
        variable=comparison.variable,
        **place.named(),
        observation=f"the theory {verbs.get(states, 'bounds from above by')} {predicted:.4g}, the "
        f"mean of {int(worst['replicates'])} replicates is {mean:.4g}: "
        f"{float(distance.isel(place.position)):.3g} standard errors and {_share(mean, predicted)} "
        "apart",
        advice=f"{_accuracy(theory)}; see whether its assumptions hold here, and do not read it as "
        "what is simulated",
    )


def _margin(theory: xr.DataArray) -> xr.DataArray:
    """The error that a theory allows at each point."""
    share = max(float(theory.attrs.get("accuracy", 0.0)), ROUNDING)
    largest = abs(theory).max("time") if "time" in theory.dims else abs(theory)
    return share * abs(theory) + NOTHING * largest


def _share(mean: float, predicted: float) -> str:
    return f"{100 * abs(mean / predicted - 1):.2g}%" if predicted else f"{abs(mean):.2g}"


def _accuracy(theory: xr.DataArray) -> str:
    accuracy = float(theory.attrs.get("accuracy", 0.0))
    return f"the theory states an accuracy of {100 * accuracy:g}%" if accuracy else (
        "the theory states no inaccuracy"
    )  # fmt: skip

"""Intervals of means, and the table that holds every interval of this package."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from testbed.analysis.chunks import by_sign
from testbed.analysis.jackknife import Jackknife, jackknife
from testbed.analysis.limits import LEAST, SKEWED, SKEWNESS, Floats, Form, limits, moments
from testbed.analysis.replicates import REPLICATE, Presence, aside_scalars, bare, presence

POSITIVE = ("excess_risk", "test_error", "training_loss", "population_risk")
ENOUGH = 6  # positive replicates that show that a quantity is positive

Texts = NDArray[np.object_]


class Labels(NamedTuple):
    """The labels of an estimate."""

    long_name: str
    units: str = "1"


@aside_scalars
def mean_interval(
    values: xr.DataArray,
    level: float = 0.95,
    dim: str = REPLICATE,
    *,
    positive: bool | None = None,
    survivors: bool = False,
) -> xr.Dataset:
    """Mean over replicates with its confidence interval: `estimate`, `lower`, `upper`,
    `replicates` (with a value) and `reason` (why an interval is missing or not to be relied on).

    Where some of the replicates asked for are lost there is no mean, unless `survivors`. The limits
    of a positive quantity are positive; by default that is a risk, a loss, or whatever has at least
    six replicates and no value ≤ 0. The limits of other quantities may have any sign. With fewer
    than three replicates the limits are NaN.
    """
    there = presence(values, dim)
    kept = bare(values if survivors else values.where(~there.lost))

    def table_of(sign: bool) -> xr.Dataset:
        form: Form = "positive" if sign else "skewed"
        statistic = jackknife(kept, np.log if sign else np.copy, (), dim)
        return interval(statistic, form, level, there, dim)

    if positive is None and values.name not in POSITIVE and values.sizes[dim] < ENOUGH:
        positive = False
    table = by_sign(values, table_of) if positive is None else table_of(positive)
    units = str(values.attrs.get("units", "1"))
    return labelled(table, Labels(f"mean of {name_of(values)}", units), level)


def interval(
    statistic: Jackknife, form: Form, level: float, there: Presence, dim: str = REPLICATE
) -> xr.Dataset:
    """The estimate with its limits, count of replicates and reason; unlabelled.

    In the form `positive` the statistic is a logarithm, and the estimate its exponential. Where an
    adaptive run looked several times whether there are enough replicates, the interval at each look
    errs so seldom that all of them together hold with this level, whenever the run stopped.
    """
    level = 1 - (1 - level) / there.looks
    lower, upper, skewness = xr.apply_ufunc(
        lambda estimate, pseudo: (
            *limits(estimate, pseudo, form, level), moments(pseudo).skewness
        ),
        statistic.estimate,
        statistic.pseudo,
        input_core_dims=[[], [dim]],
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=[float, float, float],
    )  # fmt: skip
    estimate = statistic.estimate
    if form == "positive":
        estimate = xr.apply_ufunc(np.exp, estimate, dask="allowed")
    finite = xr.apply_ufunc(
        lambda low, high: np.isfinite(low) & np.isfinite(high), lower, upper, dask="allowed"
    )
    if form == "student":  # the skewness of the values is not that of a statistic such as a slope
        skewness = xr.zeros_like(skewness)
    reason = xr.apply_ufunc(
        reasons,
        there.left,
        there.requested,
        estimate.notnull(),
        finite,
        skewness,
        dask="parallelized",
        output_dtypes=[object],
    )
    parts = {"estimate": estimate, "lower": lower.where(finite), "upper": upper.where(finite)}
    return xr.Dataset({**parts, "replicates": there.left, "reason": reason})


def reasons(
    left: Floats, requested: Floats, defined: Floats, finite: Floats, skewness: Floats
) -> Texts:
    """Why an interval is missing or unreliable; empty where it is reliable."""
    arrays = np.broadcast_arrays(left, requested, defined, finite, skewness)
    skewed = np.abs(skewness) > np.maximum(SKEWNESS, SKEWED * np.sqrt(left))
    doubtful = np.asarray((left < requested) | (left < LEAST) | np.logical_not(finite) | skewed)
    texts = np.full(doubtful.shape, "", dtype=object)
    texts[doubtful] = [_reason(*row) for row in zip(*(a[doubtful] for a in arrays), strict=True)]
    return texts


def _reason(left: int, requested: int, defined: bool, finite: bool, skewness: float) -> str:
    parts = []
    if left < requested:
        parts.append(f"{left} of {requested} replicates are left")
    elif left == 0:
        parts.append("not simulated")
    if 0 < left < LEAST:
        count = "one replicate" if left == 1 else f"{left} replicates"
        parts.append(f"{count}, where an interval needs at least {LEAST}")
    elif left and defined and not finite:
        parts.append("the values lie too far apart for an interval")
    elif left and not defined and left >= requested:
        parts.append("not defined for these values")
    if finite and abs(skewness) > max(SKEWNESS, SKEWED * np.sqrt(left)):
        parts.append(
            f"skewness {skewness:.2g} of {left} replicates: the interval may cover less often than "
            "it says"
        )
    return "; ".join(parts)


def labelled(table: xr.Dataset, labels: Labels, level: float) -> xr.Dataset:
    """The table with long names and units, and the level among its attributes."""
    percent = f"{100 * level:g}% confidence limit of the {labels.long_name}"
    texts = {
        "estimate": Labels(labels.long_name, labels.units),
        "lower": Labels(f"lower {percent}", labels.units),
        "upper": Labels(f"upper {percent}", labels.units),
        "replicates": Labels("number of replicates with a value"),
    }
    for name, text in texts.items():
        table[name].attrs = {"long_name": text.long_name, "units": text.units}
    table["reason"].attrs = {"long_name": "why the interval is missing or not to be relied on"}
    table.attrs = {"level": level}
    return table


def name_of(values: xr.DataArray) -> str:
    """The name of a variable in words."""
    return str(values.attrs.get("long_name") or values.name or "values").replace("_", " ")

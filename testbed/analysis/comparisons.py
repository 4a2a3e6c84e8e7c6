"""Comparisons of two estimators replicate by replicate, since they share their draws."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from testbed.analysis.crossings import fall_time
from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import Jackknife, jackknife
from testbed.analysis.limits import Floats, student_quantile
from testbed.analysis.replicates import ASKED, REPLICATE, Presence, bare, path_presence, presence
from testbed.analysis.slopes import slope, slope_statistic
from testbed.analysis.stopping import least, log_least


def paired_difference(
    minuend: xr.DataArray,
    subtrahend: xr.DataArray,
    level: float = 0.95,
    *,
    best: bool = False,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the mean of minuend − subtrahend, replicate by replicate.

    With `best`, the interval is that of the difference of the two means, each at its own best time,
    and accounts for both choices. ValueError if coordinates differ: xarray would silently return an
    empty result.
    """
    first, second = _pair(minuend, subtrahend, best)
    there = _both(first, second, best)
    parts = [
        jackknife(_kept(side, there, survivors), least if core else np.copy, core)
        for side, core in ((first, _core(first, best)), (second, _core(second, best)))
    ]
    table = interval(parts[0] - parts[1], "skewed", level, there)
    names = f"{name_of(minuend)}{' at the best time' if best else ''}"
    units = str(minuend.attrs.get("units", "1"))
    return labelled(table, Labels(f"difference of {names}", units), level)


def paired_ratio(
    numerator: xr.DataArray,
    denominator: xr.DataArray,
    level: float = 0.95,
    *,
    best: bool = False,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the ratio of two positive means, from the jackknife of its logarithm.

    With `best`, each mean is taken at its own best time; the interval accounts for both choices.
    """
    first, second = _pair(numerator, denominator, best)
    there = _both(first, second, best)
    parts = [
        jackknife(_kept(side, there, survivors), log_least if core else np.log, core)
        for side, core in ((first, _core(first, best)), (second, _core(second, best)))
    ]
    table = interval(parts[0] - parts[1], "skewed", level, there)
    for name in ("estimate", "lower", "upper"):
        table[name] = np.exp(table[name])
    names = f"{name_of(numerator)}{' at the best time' if best else ''}"
    return labelled(table, Labels(f"ratio of {names}"), level)


def time_ratio(
    numerator: xr.DataArray,
    denominator: xr.DataArray,
    share: float = 0.5,
    level: float = 0.95,
    *,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the ratio of the times at which two means over replicates have first fallen to a
    share of their first values, from the jackknife of its logarithm; NaN where one never has."""
    first, second = _pair(numerator, denominator, best=True)
    there = _both(first, second, best=True)
    parts = [
        jackknife(_kept(side, there, survivors), fall_time(side["time"].values, share), ["time"])
        for side in (first, second)
    ]
    table = interval(parts[0] - parts[1], "skewed", level, there)
    for name in ("estimate", "lower", "upper"):
        table[name] = np.exp(table[name])
    label = f"ratio of times at which the {name_of(numerator)} has fallen to {share:g} of its start"
    return labelled(table, Labels(label), level)


def _core(values: xr.DataArray, best: bool) -> list[str]:
    """The dimension over which a side's best value is chosen, if it is."""
    return ["time"] if best and "time" in values.dims else []


def slope_difference(
    minuend: xr.DataArray,
    subtrahend: xr.DataArray,
    along: str,
    level: float = 0.95,
    *,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the difference of two slopes, from replicates that share their draws. The reason
    says which of them is the slope of no power law (`slope`)."""
    first, second, there = _slopes(minuend, subtrahend, along, survivors)
    table = interval(first - second, "student", level, there)
    table = _with_refusals(table, (minuend, subtrahend), along, survivors)
    return labelled(table, Labels(f"difference of slopes against log {along}"), level)


def slope_ratio(
    numerator: xr.DataArray,
    denominator: xr.DataArray,
    along: str,
    level: float = 0.95,
    *,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the ratio of two slopes by Fieller's theorem.

    Where the denominator's interval contains 0 there are no limits, and a reason.
    """
    first, second, there = _slopes(numerator, denominator, along, survivors)
    quotient = Jackknife(
        first.estimate / second.estimate,
        first.pseudo / second.estimate
        - second.pseudo * first.estimate / second.estimate**2
        + first.estimate / second.estimate,
    )
    table = interval(quotient, "student", level, there)
    lower, upper = xr.apply_ufunc(
        partial(fieller, level=1 - (1 - level) / there.looks),
        first.estimate,
        second.estimate,
        first.pseudo,
        second.pseudo,
        input_core_dims=[[], [], [REPLICATE], [REPLICATE]],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[float, float],
    )
    unbounded = lower.isnull() & table["lower"].notnull()
    words = "the denominator cannot be told from 0"
    table["reason"] = table["reason"].where(~unbounded, words)
    table["lower"], table["upper"] = lower, upper
    table = _with_refusals(table, (numerator, denominator), along, survivors)
    return labelled(table, Labels(f"ratio of slopes against log {along}"), level)


def fieller(
    numerator: Floats, denominator: Floats, above: Floats, below: Floats, level: float
) -> tuple[Floats, Floats]:
    """Limits of a ratio of two normal estimates from their pseudo-values (Fieller 1954): all ρ for
    which numerator − ρ denominator cannot be told from 0; NaN where these are not an interval."""
    present = np.isfinite(above) & np.isfinite(below)
    count = present.sum(-1).astype(float)

    def covariance(first: Floats, second: Floats) -> Floats:
        centred = [
            np.where(present, part - (np.where(present, part, 0).sum(-1) / count)[..., None], 0)
            for part in (first, second)
        ]
        return np.asarray((centred[0] * centred[1]).sum(-1) / (count - 1) / count)

    with np.errstate(all="ignore"):
        square = student_quantile(level, count) ** 2
        leading = denominator**2 - square * covariance(below, below)
        middle = numerator * denominator - square * covariance(above, below)
        constant = numerator**2 - square * covariance(above, above)
        root = np.sqrt(middle**2 - leading * constant)
        lower, upper = (middle - root) / leading, (middle + root) / leading
    bounded = leading > 0
    return np.where(bounded, lower, np.nan), np.where(bounded, upper, np.nan)


def _slopes(
    first: xr.DataArray, second: xr.DataArray, along: str, survivors: bool
) -> tuple[Jackknife, Jackknife, Presence]:
    left_values, right_values = _pair(first, second, best=True)
    statistics = [
        slope_statistic(part, along, survivors=survivors) for part in (left_values, right_values)
    ]
    (left, there), (right, beside) = statistics
    both = Presence(
        xr.apply_ufunc(np.minimum, there.left, beside.left, dask="allowed"),
        xr.apply_ufunc(np.maximum, there.requested, beside.requested, dask="allowed"),
        there.lost | beside.lost,
        max(there.looks, beside.looks),
    )
    return left, right, both


def _with_refusals(
    table: xr.Dataset, sides: tuple[xr.DataArray, xr.DataArray], along: str, survivors: bool
) -> xr.Dataset:
    """The table whose reasons also say which of two slopes is that of no power law."""
    for which, values in zip(("first", "second"), sides, strict=True):
        refused = slope(values, along, survivors=survivors)["refused"]
        words = xr.apply_ufunc(
            partial(_with_refusal, which=which), table["reason"], refused, vectorize=True,
            dask="parallelized", output_dtypes=[object],
        )  # fmt: skip
        table["reason"] = words.assign_attrs(table["reason"].attrs)
    return table


def _with_refusal(reason: str, refused: bool, which: str) -> str:
    text = f"the {which} is no power law"
    return "; ".join(filter(None, [reason, text])) if refused else reason


def _pair(first: xr.DataArray, second: xr.DataArray, best: bool) -> tuple[xr.DataArray, ...]:
    """Both arrays without scalar coordinates; ValueError if their coordinates differ."""
    for dim in set(first.dims) & set(second.dims):
        if best and dim == "time":
            continue
        if not np.array_equal(first[dim].values, second[dim].values):
            raise ValueError(
                f"found different coordinates along {dim!r}, expected equal ones; select common "
                "values first, for times with .sel(time=…, method='nearest')"
            )
    return _common(_plain(first), _plain(second))


def _common(first: xr.DataArray, second: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Both arrays with the replicates that both were asked for: adaptive runs give estimators
    different numbers of them."""
    if not (ASKED in first.coords and ASKED in second.coords):
        return first, second
    counts = xr.broadcast(*(part[ASKED].drop_vars(ASKED) for part in (first, second)))
    if bool((counts[0] == counts[1]).all()):
        return first, second
    least = xr.apply_ufunc(np.minimum, *counts).assign_attrs(first[ASKED].attrs)
    sides = []
    for part in (first, second):
        wide = part.drop_vars(ASKED).broadcast_like(least)
        place = xr.DataArray(np.arange(wide.sizes[REPLICATE]), dims=REPLICATE)
        sides.append(wide.where(place < least).assign_coords({ASKED: least}))
    return sides[0], sides[1]


def _plain(values: xr.DataArray) -> xr.DataArray:
    """The array without scalar coordinates, since these may differ between the two estimators."""
    scalar = [
        str(name)
        for name, coordinate in values.coords.items()
        if not coordinate.dims and name != "replicates_asked"
    ]
    return values.drop_vars(scalar)


def _both(first: xr.DataArray, second: xr.DataArray, best: bool) -> Presence:
    """Replicates with a value in both, out of those requested of either."""
    count = path_presence if best else presence
    first_presence, second_presence = count(first), count(second)
    requested = xr.apply_ufunc(
        np.maximum, first_presence.requested, second_presence.requested, dask="allowed"
    )
    values = [
        part.notnull().any("time") if best and "time" in part.dims else part.notnull()
        for part in (first, second)
    ]
    left = (values[0] & values[1]).sum(REPLICATE)
    if best:
        left = xr.apply_ufunc(np.minimum, left, first_presence.left, dask="allowed")
        left = xr.apply_ufunc(np.minimum, left, second_presence.left, dask="allowed")
    left = left.drop_vars("replicates_asked", errors="ignore")
    requested = requested.drop_vars("replicates_asked", errors="ignore")
    looks = max(first_presence.looks, second_presence.looks)
    return Presence(left, requested, left < requested, looks)


def _kept(values: xr.DataArray, there: Presence, survivors: bool) -> xr.DataArray:
    return bare(values if survivors else values.where(~there.lost))

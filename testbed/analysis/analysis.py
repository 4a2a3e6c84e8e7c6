"""What is done with results again and again: intervals, best stopping times, slopes, differences.

Plain xarray in and out; attributes do not survive arithmetic here, so that no derived number bears
the label of what it was made from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

BOOTSTRAPS = 400


class Interval(NamedTuple):
    """A mean with its confidence limits, and how many replicates it rests on."""

    mean: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    replicates: xr.DataArray


def mean_interval(values: xr.DataArray, level: float = 0.95, dim: str = "replicate") -> Interval:
    """Mean over replicates with Student's t interval; NaN replicates are left out and counted.

    Limits are NaN where fewer than two replicates are there.
    """
    from scipy import stats  # costs most of a second, and much is done here without

    values = _bare(values)
    count = values.notnull().sum(dim)
    with np.errstate(over="ignore", invalid="ignore"):  # shortly before divergence
        mean = values.mean(dim)
        error = values.std(dim, ddof=1) / np.sqrt(count)
    quantile = xr.apply_ufunc(lambda n: stats.t.ppf(0.5 + level / 2, np.maximum(n - 1, 1)), count)
    half = (quantile * error).where(count > 1)
    return Interval(mean, mean - half, mean + half, count)


def _bare(values: xr.DataArray) -> xr.DataArray:
    """The same numbers without attributes; coordinates keep theirs."""
    bare = values.copy(deep=False)
    bare.attrs = {}
    return bare


class Oracle(NamedTuple):
    """The best stopping time of the mean over replicates, at each point of the sweep."""

    time: xr.DataArray
    # bool: the best time is an end of the grid, so the optimum is not bracketed; at 0 and at ∞ it
    # is, since nothing lies beyond
    at_end: xr.DataArray
    # the values at that time, replicates kept
    value: xr.DataArray


def oracle(values: xr.DataArray, dim: str = "replicate") -> Oracle:
    """The argmin over time of the mean over replicates. NaN means are never chosen; where there are
    no others, the time is NaN."""
    values = _bare(values)
    mean = values.mean(dim) if dim in values.dims else values
    position = mean.fillna(np.inf).argmin("time")
    known = mean.notnull().any("time")
    time = values["time"].isel(time=position, drop=True).where(known)
    first, last = values["time"].values[[0, -1]]
    at_first = (position == 0) & bool(first > 0)
    at_last = (position == values.sizes["time"] - 1) & bool(np.isfinite(last))
    at_end = known & (at_first | at_last)
    return Oracle(_bare(time).rename("oracle_time"), at_end, values.isel(time=position, drop=True))


class Slope(NamedTuple):
    """A log–log slope with its bootstrap interval, and the intercept in natural logarithms."""

    slope: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    intercept: xr.DataArray


def slope(
    values: xr.DataArray, along: str, level: float = 0.95, seed: int = 0, dim: str = "replicate"
) -> Slope:
    """Least-squares slope of log(mean over replicates) against log(along).

    With a dimension `time`, the mean is taken at the best stopping time of each point, and every
    bootstrap sample of the replicates chooses its own: the interval includes that choice. Points
    that no replicate has a value at are left out; with fewer than two others the slope is NaN.
    """
    values = _bare(values).transpose(dim, ..., along)
    best, intercept = _fit(_at_best(values.mean(dim)), along)
    means = _bootstrapped(values, dim, seed)
    lower, upper = _limits(_fit(_at_best(means), along)[0], level)
    return Slope(best, lower, upper, intercept)


def _bootstrapped(values: xr.DataArray, dim: str, seed: int) -> xr.DataArray:
    """Means over resampled replicates, with `bootstrap` in the place of the replicate dimension.

    Resampling is a multinomial weight for each replicate: all samples are one matrix product.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    count = values.sizes[dim]
    weight = rng.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS).astype(float)
    flat = values.values.reshape(count, -1)
    present = np.isfinite(flat)
    total = weight @ np.where(present, flat, 0.0)
    with np.errstate(invalid="ignore"):
        means = total / (weight @ present)  # NaN where a sample holds no finite replicate
    others = {name: values[name] for name in values.dims if name != dim}
    dims = ("bootstrap", *values.dims[1:])
    return xr.DataArray(means.reshape(BOOTSTRAPS, *values.shape[1:]), others, dims)


def _limits(samples: xr.DataArray, level: float) -> tuple[xr.DataArray, xr.DataArray]:
    tail = (1 - level) / 2
    known = samples.notnull().any("bootstrap")  # quantiles of nothing would warn
    limits = samples.where(known, 0.0).quantile([tail, 1 - tail], "bootstrap").where(known)
    return limits.isel(quantile=0, drop=True), limits.isel(quantile=1, drop=True)


def _at_best(mean: xr.DataArray) -> xr.DataArray:
    return mean.min("time") if "time" in mean.dims else mean


def _fit(mean: xr.DataArray, along: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Slope and intercept of log(mean) on log(along)."""
    y = xr.DataArray(np.log(mean.values), mean.coords, mean.dims)
    x = xr.apply_ufunc(np.log, mean[along].astype(float)).where(y.notnull())
    centred = x - x.mean(along)
    spread = (centred**2).sum(along)
    rise = (centred * y).sum(along) / spread.where(spread > 0)
    return rise, y.mean(along) - rise * x.mean(along)


def paired_difference(one: xr.DataArray, other: xr.DataArray, level: float = 0.95) -> Interval:
    """Interval of one − other, replicate by replicate: estimators share their draws.

    ValueError if the coordinates differ: xarray would return an empty result without a word.
    """
    for dim in set(one.dims) & set(other.dims):
        if not np.array_equal(one[dim].values, other[dim].values):
            raise ValueError(
                f"found different coordinates along {dim!r}, expected equal ones; select common "
                "values first, for times with .sel(time=…, method='nearest')"
            )
    return mean_interval(_plain(one) - _plain(other), level)


def _plain(values: xr.DataArray) -> xr.DataArray:
    """Without attributes and scalar coordinates: what two estimators differ in is no coordinate of
    their difference.
    """
    scalar = [name for name, coordinate in values.coords.items() if not coordinate.dims]
    return _bare(values).drop_vars(scalar)


def crossing_time(values: xr.DataArray, threshold: float) -> xr.DataArray:
    """First time at which values reach the threshold from below, interpolated; NaN if never."""
    values = _bare(values)
    above = values >= threshold
    position = above.argmax("time")
    before = (position - 1).clip(min=0)
    high, low = values.isel(time=position, drop=True), values.isel(time=before, drop=True)
    late = values["time"].isel(time=position, drop=True)
    early = values["time"].isel(time=before, drop=True)
    share = xr.where(high > low, (threshold - low) / (high - low), 1.0)
    return _bare((early + share * (late - early)).where(above.any("time")))

"""Choices of a time or a parameter: a given time, the least estimated risk, the best of a sweep."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.chunks import by_sign, label_at, taken
from testbed.analysis.intervals import Labels, interval, labelled, mean_interval, name_of
from testbed.analysis.jackknife import jackknife
from testbed.analysis.replicates import REPLICATE, aside_scalars, bare, presence
from testbed.analysis.stopping import least, log_least


def at_time(
    values: xr.DataArray, time: float, level: float = 0.95, *, survivors: bool = False
) -> xr.Dataset:
    """Mean and interval at the time nearest to the one given."""
    return mean_interval(values.sel(time=time, method="nearest"), level, survivors=survivors)


@aside_scalars
def at_least(values: xr.DataArray, estimated: xr.DataArray) -> xr.DataArray:
    """The values of each replicate at the time at which its estimate is least."""
    position = estimated.fillna(np.inf).argmin("time")
    chosen = taken(values, "time", position)
    chosen = chosen.where(estimated.notnull().any("time"))
    return chosen.rename(values.name).assign_attrs(values.attrs)


@aside_scalars
def leave_one_out(
    values: xr.DataArray, estimated: xr.DataArray, level: float = 0.95, *, survivors: bool = False
) -> xr.Dataset:
    """Mean of the values, each replicate at the time that its own estimate of the risk chooses.

    `estimated` is that estimate along time, such as the leave-one-out error: no replicate sees its
    risk when its time is chosen.
    """
    table = mean_interval(at_least(values, estimated), level, survivors=survivors)
    position = estimated.fillna(np.inf).argmin("time")
    time = label_at(values["time"], position)
    table["time"] = bare(time).assign_attrs(long_name="time chosen", units="1")
    table["estimate"].attrs["long_name"] += " at the time that leaving one out chooses"
    return table


@aside_scalars
def best_parameter(
    values: xr.DataArray, along: str, level: float = 0.95, *, survivors: bool = False
) -> xr.Dataset:
    """The value of a swept parameter with the least mean, and the mean there with its interval.

    `parameter` holds the value; `at_end` says whether it is the first or last of its sweep. With a
    dimension `time`, every parameter is judged at its own best time; intervals account for both
    choices.
    """
    there = presence(values)
    lost = there.lost.any([along, *({"time"} & set(values.dims))])
    kept = bare(values if survivors else values.where(~lost))
    core = [along, "time"] if "time" in values.dims else [along]
    mean = kept.mean(REPLICATE)
    mean = mean.min("time") if "time" in mean.dims else mean
    position = mean.fillna(np.inf).argmin(along)
    defined = mean.notnull().any(along)
    parameter = label_at(values[along], position)
    dims = [dim for dim in there.left.dims if dim in (along, "time")]
    left = there.left.where(there.requested > 0).min(dims).fillna(0).astype(int)
    counts = there._replace(left=left, requested=there.requested.max(dims), lost=lost)

    def table_of(sign: bool) -> xr.Dataset:
        choice = log_least if sign else least
        statistic = jackknife(
            kept, lambda means: choice(means.reshape(*means.shape[: means.ndim - len(core)], -1)),
            core,
        )  # fmt: skip
        return interval(statistic, "positive" if sign else "skewed", level, counts)

    table = by_sign(values, table_of)
    units = str(values.attrs.get("units", "1"))
    table = labelled(table, Labels(f"{name_of(values)} at the best {along}", units), level)
    table["parameter"] = parameter.where(defined).assign_attrs(values[along].attrs)
    at_end = defined & ((position == 0) | (position == values.sizes[along] - 1))
    table["at_end"] = at_end.assign_attrs(long_name="whether it is an end of the sweep")
    return table


@aside_scalars
def quantiles(
    values: xr.DataArray, share: float | list[float] = 0.5, dim: str = REPLICATE
) -> xr.DataArray:
    """Quantiles over replicates; NaN where replicates are lost."""
    there = presence(values, dim)
    kept = bare(values.where(~there.lost))
    kept = kept if kept.chunks is None else kept.chunk({dim: -1})
    defined = kept.notnull().any(dim)
    table = kept.where(defined, 0.0).quantile(share, dim).where(defined)
    return table.assign_attrs(values.attrs, long_name=f"quantile of {name_of(values)}")

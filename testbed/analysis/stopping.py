"""Best stopping times, and the values there."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.chunks import by_sign, label_at, taken
from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import jackknife
from testbed.analysis.limits import Floats, Form
from testbed.analysis.replicates import REPLICATE, aside_scalars, bare, path_presence


@aside_scalars
def oracle(
    values: xr.DataArray,
    dim: str = REPLICATE,
    *,
    level: float = 0.95,
    survivors: bool = False,
) -> xr.Dataset:
    """The best stopping time of the mean over replicates, at each point of the sweep.

    `time` is the argmin over time; `at_end` says that it is an end of the grid, so that the optimum
    is not bracketed; `value` holds the replicates at that time; `estimate`, `lower` and `upper` are
    the mean there and its limits. The interval accounts for the choice of the time on the same
    replicates. Where replicates are lost there is no best time, unless `survivors`. NaN means are
    never chosen.
    """
    if dim not in values.dims:
        return _best(bare(values), bare(values))
    there = path_presence(values, dim)
    kept = bare(values if survivors else values.where(~there.lost))
    with np.errstate(over="ignore", invalid="ignore"):  # shortly before divergence
        mean = kept.mean(dim)
    table = _best(kept, mean)

    def limits_of(sign: bool) -> xr.Dataset:
        form: Form = "positive" if sign else "skewed"
        statistic = jackknife(kept, log_least if sign else least, ["time"], dim)
        return interval(statistic, form, level, there, dim)

    limits = by_sign(values, limits_of)
    units = str(values.attrs.get("units", "1"))
    labels = Labels(f"{name_of(values)} at the best time", units)
    table = table.assign(labelled(limits, labels, level).data_vars)
    table["value"].attrs = {"long_name": labels.long_name, "units": units}
    table.attrs = {"level": level}
    return table


def _best(kept: xr.DataArray, mean: xr.DataArray) -> xr.Dataset:
    """Time, whether it is an end, and the values there."""
    position = mean.fillna(np.inf).argmin("time")
    exists = mean.notnull().any("time")
    time = label_at(mean["time"], position).where(exists)
    inside = np.isinf(time) | (time == 0)  # no time lies beyond 0 or ∞
    at_end = exists & ~inside & ((position == 0) | (position == mean.sizes["time"] - 1))
    time.attrs = {"long_name": "best time", "units": str(kept["time"].attrs.get("units", "1"))}
    at_end.attrs = {"long_name": "whether the best time is an end of the grid"}
    value = taken(kept, "time", position)
    return xr.Dataset({"time": time, "at_end": at_end, "value": value})


def least(mean: Floats) -> Floats:
    """The least mean along the last axis; NaN where there is none."""
    lowest: Floats = np.where(np.isnan(mean), np.inf, mean).min(-1)
    return np.where(np.isinf(lowest), np.nan, lowest)


def log_least(mean: Floats) -> Floats:
    """The logarithm of the least mean along the last axis."""
    return np.log(least(mean))

"""Times at which something happens."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.chunks import label_at, taken
from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import Statistic, jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import aside_scalars, bare, path_presence


@aside_scalars
def crossing_time(values: xr.DataArray, threshold: float | xr.DataArray) -> xr.DataArray:
    """First time at which values reach the threshold from below, interpolated; NaN if never."""
    labels = {"long_name": "time at which the threshold is reached"}
    labels["units"] = str(values["time"].attrs.get("units", "1"))
    values = bare(values)
    beside = [n for n, label in values.coords.items() if "time" in label.dims and n != "time"]
    values = values.drop_vars(beside)  # such as steps, which differ before and after
    above = values >= threshold
    position = above.argmax("time")
    before = (position - 1).clip(min=0)
    high, low = taken(values, "time", position), taken(values, "time", before)
    late, early = label_at(values["time"], position), label_at(values["time"], before)
    rise = xr.where(high > low, high - low, 1.0)
    share = xr.where(high > low, (threshold - low) / rise, 1.0)
    time = (early + share * (late - early)).where(above.any("time"))
    return time.rename("crossing_time").assign_attrs(labels)


@aside_scalars
def crossing(
    values: xr.DataArray, threshold: float, level: float = 0.95, *, survivors: bool = False
) -> xr.Dataset:
    """First time at which the mean over replicates reaches the threshold from below, with its
    interval. NaN where it never does, with or without some replicate; a reason where it has done
    so at the first time already. For means that fall, give `-values` and `-threshold`."""
    there = path_presence(values)
    kept = bare(values if survivors else values.where(~there.lost))
    time = np.asarray(values["time"].values, dtype=float)

    def statistic(means: Floats) -> Floats:
        return first_crossing(time, means, threshold)

    table = interval(jackknife(kept, statistic, ["time"]), "student", level, there)
    early = kept.isel(time=0, drop=True).mean("replicate") >= threshold
    words = xr.where(early & (table["reason"] == ""), "reached at the first time already", "")
    table["reason"] = xr.where(words == "", table["reason"], words, keep_attrs=True)
    units = str(values["time"].attrs.get("units", "1"))
    label = Labels(f"time at which the {name_of(values)} reaches {threshold:g}", units)
    return labelled(table, label, level)


def first_crossing(time: Floats, values: Floats, threshold: float) -> Floats:
    """First time at which values along the last axis reach a threshold, interpolated linearly."""
    above = values >= threshold
    position = above.argmax(-1)
    before = np.maximum(position - 1, 0)
    high = np.take_along_axis(values, position[..., None], -1)[..., 0]
    low = np.take_along_axis(values, before[..., None], -1)[..., 0]
    with np.errstate(all="ignore"):
        share = np.where(high > low, (threshold - low) / (high - low), 1.0)
    crossing = time[before] + share * (time[position] - time[before])
    return np.where(above.any(-1), crossing, np.nan)


def fall_time(time: Floats, share: float) -> Statistic:
    """The logarithm of the first time at which means have fallen to a share of their first value;
    NaN where they never do."""
    times = np.asarray(time, dtype=float)

    def statistic(means: Floats) -> Floats:
        with np.errstate(all="ignore"):
            relative = means / means[..., :1]
            return np.asarray(np.log(first_crossing(times, -relative, -share)))

    return statistic

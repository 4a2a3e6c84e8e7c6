"""Best stopping times, and the values there."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.chunks import by_sign, label_at, taken
from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import jackknife
from testbed.analysis.limits import Floats, Form
from testbed.analysis.replicates import REPLICATE, aside_scalars, bare, path_presence

FALLS = 0.01
"""The relative fall of a mean with a doubling of time from which its best time is not bracketed."""


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
    is not bracketed, and `fall_at_end` by which share the mean still falls there with a doubling
    (or halving) of time; `value` holds the replicates at that time; `estimate`, `lower` and `upper`
    are the mean there and its limits. The interval accounts for the choice of the time on the same
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
    fall = fall_at_end(mean, position).where(exists)
    fall.attrs = {"long_name": "relative fall per doubling of time at the end of the grid"}
    value = taken(kept, "time", position)
    return xr.Dataset({"time": time, "at_end": at_end, "fall_at_end": fall, "value": value})


def fall_at_end(mean: xr.DataArray, best: xr.DataArray) -> xr.DataArray:
    """How fast means still fall at their best time, as a relative fall per doubling of time, where
    that time is the first or the last of the grid; 0 elsewhere.

    `best` holds the positions of the best times. At τ = 0 and τ = ∞ the fall is 0 too: the grid
    cannot be extended there. NaN where means change their sign.
    """
    time = mean["time"].values
    fall = xr.zeros_like(best, dtype=float)
    for end, beside in ((0, 1), (-1, -2)) if len(time) > 1 else ():
        if not (time[end] > 0 and time[beside] > 0 and np.isfinite(time[[end, beside]]).all()):
            continue
        doublings = abs(np.log2(time[end] / time[beside]))
        left = mean.isel(time=end, drop=True) / mean.isel(time=beside, drop=True)
        fall = fall.where(best != end % len(time), 1 - left.where(left > 0) ** (1 / doublings))
    return fall.drop_vars("time", errors="ignore")


def end_note(best: xr.Dataset) -> str:
    """What is to be said of a point of `oracle` whose best time is an end of the grid; else ""."""
    if not bool(best["at_end"]):
        return ""
    fall = float(best["fall_at_end"])
    if fall <= FALLS:
        return f"at an end of the time grid, where it falls by less than {percent(FALLS)}"
    still = f", where it still falls by {percent(fall)}" if fall > FALLS else ""
    return f"not bracketed: at an end of the time grid{still}"


def percent(share: float) -> str:
    """A share in percent, with one digit if it is small."""
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1g}%"


def least(mean: Floats) -> Floats:
    """The least mean along the last axis; NaN where there is none."""
    lowest: Floats = np.where(np.isnan(mean), np.inf, mean).min(-1)
    return np.where(np.isinf(lowest), np.nan, lowest)


def log_least(mean: Floats) -> Floats:
    """The logarithm of the least mean along the last axis."""
    return np.log(least(mean))

"""Exponents: slopes of logarithms of means against logarithms of a parameter."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import Jackknife, Statistic, jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import REPLICATE, Presence, bare, path_presence
from testbed.analysis.stopping import least


def slope(
    values: xr.DataArray,
    along: str,
    level: float = 0.95,
    dim: str = REPLICATE,
    *,
    survivors: bool = False,
) -> xr.Dataset:
    """Least-squares slope of log(mean over replicates) against log(along), with its interval.

    With a dimension `time`, the mean is taken at the best stopping time of each point, and the
    interval accounts for that choice. Points that were not simulated are left out; with fewer than
    two others the slope is NaN. Where replicates are lost there is no slope, unless `survivors`.
    """
    statistic, there = slope_statistic(values, along, dim, survivors=survivors)
    table = interval(statistic, "student", level, there, dim)
    line = Labels(f"slope of log {name_of(values)} against log {along}")
    table = labelled(table, line, level)
    intercept = _jackknifed(values, along, dim, survivors, part=1).estimate
    table["intercept"] = intercept.where(table["estimate"].notnull())
    table["intercept"].attrs = {"long_name": f"log {name_of(values)} at log {along} = 0"}
    return table


def slope_statistic(
    values: xr.DataArray, along: str, dim: str = REPLICATE, *, survivors: bool = False
) -> tuple[Jackknife, Presence]:
    """The slope's jackknife, and the fewest replicates that one of its points has."""
    there = path_presence(values, dim)
    lost = there.lost.any(along)
    statistic = _jackknifed(values, along, dim, survivors, part=0)
    if not survivors:
        statistic = Jackknife(statistic.estimate.where(~lost), statistic.pseudo.where(~lost))
    simulated = there.asked > 0
    left = there.left.where(simulated).min(along).fillna(0).astype(int)
    asked = there.asked.max(along)
    return statistic, Presence(left, asked, lost)


def _jackknifed(
    values: xr.DataArray, along: str, dim: str, survivors: bool, part: int
) -> Jackknife:
    """The jackknife of the slope (part 0) or the intercept (part 1)."""
    there = path_presence(values, dim)
    kept = bare(values if survivors else values.where(~there.lost))
    with_time = "time" in values.dims
    core = [along, "time"] if with_time else [along]
    x = np.log(np.asarray(values[along].values, dtype=float))
    return jackknife(kept, line(x, part, with_time), core, dim)


def line(x: Floats, part: int, with_time: bool) -> Statistic:
    """Slope or intercept of log(mean), at the best time if there is one, on x; points without a
    mean are left out."""

    def statistic(means: Floats) -> Floats:
        y = np.log(least(means) if with_time else means)
        y = np.where(np.isneginf(y), np.nan, y)
        here = ~np.isnan(y)
        count = here.sum(-1)
        middle = np.where(here, x, 0.0).sum(-1) / count
        centred = np.where(here, x - middle[..., None], 0.0)
        spread = (centred**2).sum(-1)
        filled = np.where(here, y, 0.0)
        rise = (centred * filled).sum(-1) / np.where(spread > 0, spread, np.nan)
        return rise if part == 0 else filled.sum(-1) / count - rise * middle

    return statistic

"""Exponents: slopes of logarithms of means against logarithms of a parameter."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import Jackknife, Statistic, jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import REPLICATE, Presence, aside_scalars, bare, path_presence
from testbed.analysis.stopping import least

BEND = 0.1  # change of a local exponent over the whole range that counts …
REFUSAL = 0.99  # level of the bend's interval
SHARE = 0.25  # … if it is also this share of the exponent


@aside_scalars
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
    two points left the slope is NaN. Where replicates are lost there is no slope, unless
    `survivors`.

    `bend` is the change of the local exponent from the first point to the last, from a parabola.
    No power law fits, and the slope is `refused`, where the 99% interval of the bend does not hold
    0 and the bend exceeds 0.1 and a quarter of the slope.
    """
    statistic, there = slope_statistic(values, along, dim, survivors=survivors)
    table = interval(statistic, "student", level, there, dim)
    line = Labels(f"slope of log {name_of(values)} against log {along}")
    table = labelled(table, line, level)
    intercept = _jackknifed(values, along, dim, survivors, part=1).estimate
    table["intercept"] = intercept.where(table["estimate"].notnull())
    table["intercept"].attrs = {"long_name": f"log {name_of(values)} at log {along} = 0"}
    return _judged(table, _bend(values, along, dim, survivors))


def _bend(values: xr.DataArray, along: str, dim: str, survivors: bool) -> xr.Dataset:
    """The change of the exponent over the range, with its interval."""
    there = path_presence(values, dim)
    kept = bare(values if survivors else values.where(~there.lost))
    with_time = "time" in values.dims
    core = [along, "time"] if with_time else [along]
    x = np.log(np.asarray(values[along].values, dtype=float))
    change = jackknife(kept, parabola(x - x.mean(), with_time), core, dim)
    left = there.left.where(there.requested > 0).min(along).fillna(0).astype(int)
    lost = there.lost.any(along)
    counts = Presence(left, there.requested.max(along), lost, there.looks)
    return interval(change, "student", REFUSAL, counts, dim)


def _judged(table: xr.Dataset, bend: xr.Dataset) -> xr.Dataset:
    """The slope with its bend; the slope is refused where the bend is large and significant."""
    exists = table["estimate"].notnull()
    table["bend"] = bend["estimate"].where(exists)
    table["bend"].attrs = {"long_name": "change of the exponent from first point to last"}
    large = abs(table["bend"]) > np.maximum(BEND, SHARE * abs(table["estimate"]))
    sure = (bend["lower"] > 0) | (bend["upper"] < 0)
    table["refused"] = (large & sure & exists).assign_attrs(long_name="whether no power law fits")
    words = xr.apply_ufunc(
        _with_bend, table["reason"], table["bend"], table["refused"], vectorize=True,
        dask="parallelized", output_dtypes=[object],
    )  # fmt: skip
    table["reason"] = words.assign_attrs(table["reason"].attrs)
    return table


def _with_bend(reason: str, bend: float, refused: bool) -> str:
    text = f"the exponent changes by {bend:+.2g} along the points: no power law"
    return "; ".join(filter(None, [reason, text])) if refused else reason


def slope_statistic(
    values: xr.DataArray, along: str, dim: str = REPLICATE, *, survivors: bool = False
) -> tuple[Jackknife, Presence]:
    """The slope's jackknife, and the smallest number of replicates at its points."""
    there = path_presence(values, dim)
    lost = there.lost.any(along)
    statistic = _jackknifed(values, along, dim, survivors, part=0)
    if not survivors:
        statistic = Jackknife(statistic.estimate.where(~lost), statistic.pseudo.where(~lost))
    simulated = there.requested > 0
    left = there.left.where(simulated).min(along).fillna(0).astype(int)
    requested = there.requested.max(along)
    return statistic, Presence(left, requested, lost, there.looks)


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


def parabola(x: Floats, with_time: bool) -> Statistic:
    """The change of slope of a parabola in x over its range; NaN with fewer than three points."""

    def statistic(means: Floats) -> Floats:
        y = np.log(least(means) if with_time else means)
        y = np.where(np.isneginf(y), np.nan, y)
        here = ~np.isnan(y)
        weight = here.astype(float)
        power = [(weight * x**k).sum(-1) for k in range(5)]
        matrix = np.stack([np.stack(power[k : k + 3], -1) for k in range(3)], -2)
        moment = np.stack([np.where(here, y * x**k, 0.0).sum(-1) for k in range(3)], -1)
        enough = here.sum(-1) >= 3
        safe = np.where(enough[..., None, None], matrix, np.eye(3))
        quadratic = np.linalg.solve(safe, moment[..., None])[..., 2, 0]
        spread = np.where(here, x, -np.inf).max(-1) - np.where(here, x, np.inf).min(-1)
        return np.where(enough, 2 * quadratic * spread, np.nan)

    return statistic

"""Extrapolate means to the limit of a large size."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import Statistic, jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import Presence, aside_scalars, bare, path_presence
from testbed.analysis.stopping import least

RATES = np.linspace(0.1, 3.0, 117)  # of approach, among which the best is chosen and refined
REFINEMENTS = 3


@aside_scalars
def extrapolation(
    values: xr.DataArray,
    along: str,
    level: float = 0.95,
    *,
    rate: float | None = None,
    survivors: bool = False,
) -> xr.Dataset:
    """The limit L of mean = L + c·size^{−rate} as the size grows, with its interval.

    Without `rate` the best from 0.1 to 3 by least squares is taken, chosen again for each replicate
    left out; `rate` and its limits are in the result. Relative errors are taken to be equal at all
    points. With a dimension `time`, means are those at best times. Needs three points, or four if
    the rate is free.
    """
    there = path_presence(values)
    lost = there.lost.any(along)
    with_time = "time" in values.dims
    core = [along, "time"] if with_time else [along]
    kept = bare(values if survivors else values.where(~there.lost))
    size = np.asarray(values[along].values, dtype=float)
    rates = RATES if rate is None else np.array([rate])
    left = there.left.where(there.requested > 0).min(along).fillna(0).astype(int)
    present = Presence(left, there.requested.max(along), lost, there.looks)

    def approach(part: int) -> Statistic:
        return lambda means: fitted(size, least(means) if with_time else means, rates)[part]

    tables = []
    for part, text in enumerate(("limit of the {}", "rate of approach of the {}")):
        statistic = jackknife(kept, approach(part), core)
        table = interval(statistic, "skewed", level, present)
        if not survivors:
            for name in ("estimate", "lower", "upper"):
                table[name] = table[name].where(~lost)
        units = str(values.attrs.get("units", "1")) if part == 0 else "1"
        name = text.format(name_of(values))
        tables.append(labelled(table, Labels(f"{name} as {along} grows", units), level))
    limit, approach_rate = tables
    names = {"estimate": "rate", "lower": "rate_lower", "upper": "rate_upper"}
    return limit.assign({new: approach_rate[old] for old, new in names.items()})


class Line(NamedTuple):
    """Least squares of means on size^{−rate}: weighted sum of squares, and limit; (…) each."""

    residual: Floats
    limit: Floats


def fitted(size: Floats, means: Floats, rates: Floats) -> tuple[Floats, Floats]:
    """Limit and rate of the best L + c·size^{−rate} by weighted least squares, (…, size) → (…).

    The best of the rates is refined: on a grid most replicates left out would share a rate, and the
    jackknife would miss how uncertain it is.
    """
    needed = 3 if len(rates) == 1 else 4
    here = np.isfinite(means) & (means != 0)
    weight = np.where(here, 1 / np.where(here, means, 1.0) ** 2, 0.0)
    filled = np.where(here, means, 0.0)

    def line(rate: Floats) -> Line:
        return _line((size / size.min()) ** -rate[..., None], weight, filled)

    best, rate = np.full(means.shape[:-1], np.inf), np.full(means.shape[:-1], np.nan)
    for candidate in rates:
        residual = line(np.asarray(candidate)).residual
        better = residual < best
        best, rate = np.where(better, residual, best), np.where(better, candidate, rate)
    if len(rates) > 1:
        rate = _refined(rate, rates, lambda tried: line(tried).residual)
    enough = here.sum(-1) >= needed
    return np.where(enough, line(rate).limit, np.nan), np.where(enough, rate, np.nan)


def _line(power: Floats, weight: Floats, values: Floats) -> Line:
    """Values on their power of the size, (…, size) each; powers may be shared."""
    total, first, second = (
        (weight * part).sum(-1) for part in (np.ones_like(power), power, power**2)
    )
    plain, cross = (weight * values).sum(-1), (weight * values * power).sum(-1)
    scale = total * second - first**2
    with np.errstate(all="ignore"):
        limit = (second * plain - first * cross) / scale
        slope = (total * cross - first * plain) / scale
    left = values - limit[..., None] - slope[..., None] * power
    return Line((weight * left**2).sum(-1), limit)


def _refined(rate: Floats, rates: Floats, residual: Callable[[Floats], Floats]) -> Floats:
    """The least residual near the best of evenly spaced rates: steps to the vertex of a parabola,
    narrower each time."""
    width = rates[1] - rates[0]
    for _ in range(REFINEMENTS):
        before, here, after = (residual(rate + move * width) for move in (-1, 0, 1))
        curvature = before - 2 * here + after
        with np.errstate(all="ignore"):
            step = 0.5 * width * (before - after) / curvature
        step = np.clip(np.where(curvature > 0, step, 0.0), -width, width)
        rate, width = np.clip(rate + step, rates[0], rates[-1]), width / 8
    return rate

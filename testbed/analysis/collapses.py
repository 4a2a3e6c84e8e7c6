"""Finite-size scaling: rescale curves of several sizes so that they coincide."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import REPLICATE, Presence, aside_scalars, bare, path_presence

Booleans = NDArray[np.bool_]
EXPONENTS = np.linspace(-2.0, 2.0, 161)
POINTS = 60  # of the common axis on which curves are compared
REFINED = 21


@aside_scalars
def collapse(
    values: xr.DataArray,
    along: str,
    over: str = "time",
    level: float = 0.95,
    *,
    height: float = 0.0,
    survivors: bool = False,
) -> xr.Dataset:
    """The exponent a for which curves size^{−height}·mean against `over`/size^a coincide.

    `spread` is the remaining root mean square distance of the logarithms of the curves from
    their mean at the best exponent. Curves are interpolated linearly in logarithms on the part of
    the axis that all share; exponents from −2 to 2 are tried. Needs positive means.
    """
    there = path_presence(values)
    lost = there.lost.any(along)
    kept = bare(values if survivors else values.where(~there.lost))
    size = np.log(np.asarray(values[along].values, dtype=float))
    x = np.asarray(values[over].values, dtype=float)
    if (x <= 0).any():
        kept = kept.isel({over: x > 0})
        x = x[x > 0]
    curve = np.log(x)

    def best(means: Floats, part: int) -> Floats:
        with np.errstate(all="ignore"):
            y = np.log(means) - height * size[:, None]
        flat = y.reshape(-1, *y.shape[-2:])
        return best_exponents(size, curve, flat)[:, part].reshape(y.shape[:-2])

    statistic = jackknife(kept, lambda means: best(means, 0), [along, over])
    spread = xr.apply_ufunc(
        lambda means: best(means, 1),
        kept.mean(REPLICATE),
        input_core_dims=[[along, over]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    left = there.left.where(there.requested > 0).min(along).fillna(0).astype(int)
    table = interval(
        statistic, "student", level, Presence(left, there.requested.max(along), lost, there.looks)
    )
    if not survivors:
        for part in ("estimate", "lower", "upper"):
            table[part] = table[part].where(~lost)
    labels = Labels(f"exponent of {along} that collapses {name_of(values)} against {over}")
    table = labelled(table, labels, level)
    table["spread"] = spread.where(table["estimate"].notnull())
    table["spread"].attrs = {"long_name": "distance of the collapsed logarithms", "units": "1"}
    return table


def best_exponents(size: Floats, curve: Floats, rows: Floats) -> Floats:
    """Of each set of curves (set, size, point) the exponent with the least spread, refined by a
    parabola, and that spread; NaN where a curve has fewer than two points."""
    answers = np.full((len(rows), 2), np.nan)
    flat = np.isfinite(rows).reshape(len(rows), -1)
    patterns, which = np.unique(flat, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns.reshape(-1, *rows.shape[1:])):
        here = which.ravel() == number
        if len(size) > 1 and (pattern.sum(1) > 1).all():
            answers[here] = _searched(size, curve, pattern, rows[here])
    return answers


def _searched(size: Floats, curve: Floats, usable: Booleans, rows: Floats) -> Floats:
    """Exponents and spreads of sets of curves whose values are missing at the same places."""
    values = rows[:, usable]
    spreads = np.stack([_spread(size, curve, usable, values, e) for e in EXPONENTS], -1)
    answers = np.full((len(rows), 2), np.nan)
    if not np.isfinite(spreads).any():
        return answers
    best = np.nanargmin(spreads, -1)
    for place in np.unique(best):
        chosen = best == place
        answers[chosen] = _refined(size, curve, usable, values[chosen], EXPONENTS[place])
    return answers


def _refined(
    size: Floats, curve: Floats, usable: Booleans, values: Floats, centre: float
) -> Floats:
    """The minimum of a parabola through the three best exponents near `centre`."""
    width = EXPONENTS[1] - EXPONENTS[0]
    fine = np.linspace(centre - width, centre + width, REFINED)
    near = np.stack([_spread(size, curve, usable, values, exponent) for exponent in fine], -1)
    place = np.nanargmin(near, -1)
    inner = np.clip(place, 1, REFINED - 2)
    row = np.arange(len(values))
    before, here, after = (near[row, inner + step] ** 2 for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    with np.errstate(all="ignore"):
        step = 0.5 * (before - after) / curvature * (fine[1] - fine[0])
    moved = (place == inner) & (curvature > 0)
    return np.stack([fine[place] + np.where(moved, step, 0.0), near[row, place]], -1)


def _spread(
    size: Floats, curve: Floats, usable: Booleans, values: Floats, exponent: float
) -> Floats:
    """Root mean square distance of the shifted curves from their mean where all overlap; of sets
    of curves (set, usable value)."""
    distances = _distances(size, curve, usable, exponent)
    if distances is None:
        return np.full(len(values), np.nan)
    if len(values) > len(distances):  # a triangular map keeps lengths and has fewer columns
        distances = np.asarray(np.linalg.qr(distances.T, mode="r")).T
    residuals = values @ distances
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", residuals, residuals)))


def _distances(size: Floats, curve: Floats, usable: Booleans, exponent: float) -> Floats | None:
    """The linear map (usable value, point of a curve) from values to the distances of the shifted
    curves from their mean, so scaled that their squares sum to the mean square; None where the
    curves overlap too little. One product then serves all sets of curves."""
    places = [
        curve[here] - move
        for here, move in zip(usable, exponent * (size - size.mean()), strict=True)
    ]
    first, last = max(x[0] for x in places), min(x[-1] for x in places)
    if last - first < 0.3 * (curve[-1] - curve[0]):
        return None
    axis = np.linspace(first, last, POINTS)
    lines = np.zeros((usable.sum(), len(size), POINTS))
    start = 0
    for number, x in enumerate(places):
        lines[start : start + len(x), number] = _interpolation(axis, x)
        start += len(x)
    lines -= lines.mean(1, keepdims=True)
    return lines.reshape(len(lines), -1) / np.sqrt(len(size) * POINTS)


def _interpolation(axis: Floats, x: Floats) -> Floats:
    """Linear interpolation from values at `x` to points of `axis`, as a matrix (value, point)."""
    place = np.clip(np.searchsorted(x, axis, side="right") - 1, 0, len(x) - 2)
    weight = np.clip((axis - x[place]) / (x[place + 1] - x[place]), 0.0, 1.0)
    matrix = np.zeros((len(x), len(axis)))
    points = np.arange(len(axis))
    matrix[place, points], matrix[place + 1, points] = 1 - weight, weight
    return matrix

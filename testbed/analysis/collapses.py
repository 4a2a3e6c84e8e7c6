"""Finite-size scaling: rescale curves of several sizes so that they coincide."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.intervals import Labels, interval, labelled, name_of
from testbed.analysis.jackknife import jackknife
from testbed.analysis.limits import Floats
from testbed.analysis.replicates import Presence, bare, path_presence

EXPONENTS = np.linspace(-2.0, 2.0, 161)
POINTS = 60  # of the common axis on which curves are compared
REFINED = 21


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
        return np.array([best_exponent(size, curve, row)[part] for row in flat]).reshape(
            y.shape[:-2]
        )

    statistic = jackknife(kept, lambda means: best(means, 0), [along, over])
    spread = jackknife(kept, lambda means: best(means, 1), [along, over]).estimate
    left = there.left.where(there.requested > 0).min(along).fillna(0).astype(int)
    table = interval(statistic, "student", level, Presence(left, there.requested.max(along), lost))
    if not survivors:
        for part in ("estimate", "lower", "upper"):
            table[part] = table[part].where(~lost)
    labels = Labels(f"exponent of {along} that collapses {name_of(values)} against {over}")
    table = labelled(table, labels, level)
    table["spread"] = spread.where(table["estimate"].notnull())
    table["spread"].attrs = {"long_name": "distance of the collapsed logarithms", "units": "1"}
    return table


def best_exponent(size: Floats, curve: Floats, rows: Floats) -> tuple[float, float]:
    """The exponent with the least spread, refined by a parabola, and that spread."""
    if not np.isfinite(rows).all(1).any() or len(rows) < 2:
        return np.nan, np.nan
    spreads = np.array([_spread(size, curve, rows, exponent) for exponent in EXPONENTS])
    if not np.isfinite(spreads).any():
        return np.nan, np.nan
    centre = EXPONENTS[int(np.nanargmin(spreads))]
    width = EXPONENTS[1] - EXPONENTS[0]
    fine = np.linspace(centre - width, centre + width, REFINED)
    near = np.array([_spread(size, curve, rows, exponent) for exponent in fine])
    if not np.isfinite(near).any():
        return np.nan, np.nan
    position = int(np.nanargmin(near))
    exponent = fine[position]
    if 0 < position < len(fine) - 1:
        before, here, after = near[position - 1 : position + 2] ** 2
        curvature = before - 2 * here + after
        if curvature > 0:
            exponent += 0.5 * (before - after) / curvature * (fine[1] - fine[0])
    return float(exponent), float(near[position])


def _spread(size: Floats, curve: Floats, rows: Floats, exponent: float) -> float:
    """Root mean square distance of the shifted curves from their mean where all overlap."""
    shift = exponent * (size - size.mean())
    usable = [np.isfinite(row) for row in rows]
    first = max(curve[here][0] - move for here, move in zip(usable, shift, strict=True))
    last = min(curve[here][-1] - move for here, move in zip(usable, shift, strict=True))
    if last - first < 0.3 * (curve[-1] - curve[0]):
        return np.nan
    axis = np.linspace(first, last, POINTS)
    lines = [
        np.interp(axis, curve[here] - move, row[here])
        for here, move, row in zip(usable, shift, rows, strict=True)
    ]
    return float(np.sqrt(np.var(lines, axis=0).mean()))

"""Exponents between neighbouring points, compared with their theory."""

from __future__ import annotations

import numpy as np
import xarray as xr

from testbed.analysis.intervals import Labels, labelled, name_of
from testbed.analysis.replicates import aside_scalars
from testbed.analysis.slopes import slope

LINE = ["intercept", "bend", "refused"]  # of a line through several points


@aside_scalars
def local_exponents(
    values: xr.DataArray, along: str, level: float = 0.95, *, survivors: bool = False
) -> xr.Dataset:
    """Slopes between neighbouring points, at the geometric mean of their parameters."""
    x = np.asarray(values[along].values, dtype=float)
    parts = []
    for position in range(len(x) - 1):
        pair = values.isel({along: [position, position + 1]})
        middle = float(np.sqrt(x[position] * x[position + 1]))
        part = slope(pair, along, level, survivors=survivors).drop_vars(LINE)
        parts.append(part.expand_dims({along: [middle]}))
    table: xr.Dataset = xr.concat(parts, along, join="outer", combine_attrs="override")
    table[along].attrs = dict(values[along].attrs)
    return table


@aside_scalars
def exponent_gap(
    values: xr.DataArray,
    along: str,
    exponent: float | xr.DataArray,
    level: float = 0.95,
    *,
    survivors: bool = False,
) -> xr.Dataset:
    """Interval of the slope minus the exponent that a theory predicts."""
    table = slope(values, along, level, survivors=survivors).drop_vars(LINE)
    expected = exponent
    if isinstance(exponent, xr.DataArray) and along in exponent.dims:
        expected = exponent.mean(along)
    for name in ("estimate", "lower", "upper"):
        table[name] = table[name] - expected
    gap = Labels(f"slope of log {name_of(values)} minus the exponent predicted")
    return labelled(table, gap, level)

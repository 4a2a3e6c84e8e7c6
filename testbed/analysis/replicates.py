"""Count the replicates behind a number: requested, with a value, lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
import xarray as xr

P = ParamSpec("P")
Result = TypeVar("Result", xr.DataArray, xr.Dataset)

REPLICATE = "replicate"
ASKED = "replicates_asked"
LOOKS = "looks"
"""The attribute that says how often an adaptive run looked whether there are enough replicates."""
STATUSES = "ok failed diverged not_run theory_only"  # of results that do not name them


def simulated(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of an estimator's group, lost replicates NaN at all times.

    A replicate that failed or diverged is lost even where it has values: its last values
    before it diverges mean nothing. The coordinate `replicates_asked` holds how many there
    should be, 0 where only theory was requested; the functions of this package read it. Its
    attribute `looks` says how often an adaptive run looked whether there are enough: intervals are
    wider for it.
    """
    values = dataset[name]
    if REPLICATE not in values.dims or "status" not in dataset:
        return values
    status = dataset["status"]
    codes = _codes(status)
    requested = status.isin([codes["ok"], codes["failed"], codes["diverged"]]).sum(REPLICATE)
    looks = int(status.attrs.get(LOOKS, 1))
    label = {"long_name": "number of replicates asked for", "units": "1", LOOKS: looks}
    return values.where(status == codes["ok"]).assign_coords({ASKED: requested.assign_attrs(label)})


def _codes(status: xr.DataArray) -> dict[str, int]:
    words = str(status.attrs.get("flag_meanings", STATUSES)).split()
    numbers = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(words))))
    return dict(zip(words, map(int, numbers), strict=True))


class Presence(NamedTuple):
    """The numbers of replicates at each point."""

    left: xr.DataArray  # replicates with a value
    requested: xr.DataArray
    lost: xr.DataArray  # bool: a requested replicate has no value
    looks: int = 1  # how often an adaptive run looked whether there are enough


def presence(values: xr.DataArray, dim: str = REPLICATE) -> Presence:
    """Replicates left, requested and lost, at each time separately.

    Without the coordinate `replicates_asked`, points where no replicate has a value count as not
    simulated.
    """
    present = xr.apply_ufunc(np.isfinite, values, dask="allowed")
    left = present.sum(dim)
    if ASKED in values.coords:
        requested = xr.zeros_like(left) + values[ASKED].drop_vars(ASKED)
    else:
        requested = xr.where(left > 0, values.sizes[dim], 0)
    looks = int(values[ASKED].attrs.get(LOOKS, 1)) if ASKED in values.coords else 1
    return Presence(left, requested, left < requested, looks)


def path_presence(values: xr.DataArray, dim: str = REPLICATE) -> Presence:
    """Replicates left, requested and lost over all of training: one that stops early is lost.

    Times at which no replicate has a value were not measured, unless none has one at any time.
    """
    if "time" not in values.dims:
        return presence(values, dim)
    left, requested, _, looks = presence(values, dim)
    measured = left.where(left > 0)
    least = measured.min("time").fillna(0).astype(int)
    requested = requested.max("time")
    return Presence(least, requested, least < requested, looks)


def bare(values: xr.DataArray) -> xr.DataArray:
    """The same numbers without attributes and without the count of replicates asked for."""
    stripped = values.drop_vars(ASKED, errors="ignore").copy(deep=False)
    stripped.attrs = {}
    return stripped


def aside_scalars(
    function: Callable[Concatenate[xr.DataArray, P], Result],
) -> Callable[Concatenate[xr.DataArray, P], Result]:
    """The function without the scalar coordinates of its values, which its result has again.

    A result holds every parameter that was not swept as a scalar coordinate. xarray compares all of
    them in each step of arithmetic, which takes longer than the arithmetic.
    """

    @wraps(function)
    def light(values: xr.DataArray, /, *arguments: P.args, **settings: P.kwargs) -> Result:
        scalars = {
            name: coordinate.variable
            for name, coordinate in values.coords.items()
            if not coordinate.dims and name != ASKED
        }
        result = function(values.drop_vars(list(scalars)), *arguments, **settings)
        named = set(result.coords) | set(getattr(result, "data_vars", ()))
        return result.assign_coords({n: s for n, s in scalars.items() if n not in named})

    return light

"""Choices that depend on values, made without reading chunked arrays before they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr


def by_sign(values: xr.DataArray, table_of: Callable[[bool], xr.Dataset]) -> xr.Dataset:
    """The table for positive values if all are, else the table for values of any sign; of chunked
    values both, of which computing chooses one."""
    positive = (values > 0).where(values.notnull(), True).all()
    if positive.chunks is None:
        return table_of(bool(positive))
    return xr.where(positive, table_of(True), table_of(False))


def taken(values: xr.DataArray, dim: str, position: xr.DataArray) -> xr.DataArray:
    """The values at a position along a dimension that may differ from point to point."""
    if position.chunks is None:
        return values.isel({dim: position}, drop=True).drop_vars(dim, errors="ignore")
    place = xr.DataArray(np.arange(values.sizes[dim]), dims=dim)
    auxiliary = {
        name: taken(coordinate.reset_coords(drop=True), dim, position)
        for name, coordinate in values.coords.items()
        if dim in coordinate.dims and name != dim
    }
    kept = values.drop_vars([dim, *auxiliary], errors="ignore")
    chosen = xr.where(place == position, kept, 0).sum(dim, skipna=False)
    return chosen.transpose(*(d for d in values.dims if d != dim), ...).assign_coords(auxiliary)


def label_at(coordinate: xr.DataArray, position: xr.DataArray) -> xr.DataArray:
    """The labels at positions of a coordinate."""
    labels = np.asarray(coordinate.values)
    return xr.apply_ufunc(
        lambda place: labels[place], position, dask="parallelized", output_dtypes=[labels.dtype]
    )

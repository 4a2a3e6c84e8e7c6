"""Published numbers as labelled arrays: beside results, and in the group `published` of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from testbed.contract.figures import ORACLE
from testbed.contract.published import PublishedTable

if TYPE_CHECKING:
    from testbed.scenario.tables import ClaimTable

GROUP = "published"
COMPARES = "compares"
"""The attribute that names the measured variables beside which a number is drawn."""


def as_dataset(table: PublishedTable) -> xr.Dataset:
    """A table with its coordinates as dimensions; combinations without a row are NaN."""
    axes = {name: np.array(list(dict.fromkeys(table.columns[name]))) for name in table.coordinates}
    axes = {name: np.sort(a) if a.dtype.kind == "f" else a for name, a in axes.items()}
    shape = tuple(len(axis) for axis in axes.values())
    places = [
        [int(np.flatnonzero(axes[name] == value)[0]) for value in table.columns[name]]
        for name in table.coordinates
    ]
    variables = {}
    for name in table.quantities:
        values = np.full(shape, np.nan)
        column = table.columns[name]
        values[tuple(places)] = column if places else column[0]  # one number without coordinates
        variables[name] = (tuple(axes), values, {"long_name": table.words(name), "units": "1"})
    coordinates = {
        name: (name, axis, {"long_name": table.words(name), "units": "1"})
        for name, axis in axes.items()
    }
    labels = {name: table.labels[name] for name in ("source", "kind", "settings", "references")
              if name in table.labels}  # fmt: skip
    return xr.Dataset(variables, coordinates, labels)


def published_number(key: str, tables: Mapping[str, PublishedTable]) -> xr.DataArray:
    """The numbers of a key, with their coordinates."""
    return as_dataset(tables[key])[key.partition("/")[2]]


def beside(published: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """Published numbers at the coordinates of measured values that they share: interpolated between
    published points, in logarithms where all is positive, and NaN beyond them."""
    for dim in published.dims:
        if dim not in values.dims:
            continue
        wanted, printed = values[dim], published[dim]
        if printed.dtype.kind not in "fiu":
            published = published.reindex({dim: wanted})
            continue
        published = _interpolated(published.sortby(dim), str(dim), wanted)
    return published


def _interpolated(published: xr.DataArray, dim: str, wanted: xr.DataArray) -> xr.DataArray:
    printed = published[dim].values.astype(float)
    targets = wanted.values.astype(float)
    near = np.abs(printed - targets[:, None]) <= 1e-6 * np.abs(printed)
    positive = bool((printed > 0).all() and (targets > 0).all() and (published > 0).all())
    x, places = (np.log(printed), np.log(targets)) if positive else (printed, targets)
    inside = (targets >= printed[0] * (1 - 1e-6)) & (targets <= printed[-1] * (1 + 1e-6))

    def along(row: np.ndarray) -> np.ndarray:
        line = np.interp(places, x, np.log(row) if positive else row)
        line = np.exp(line) if positive else line
        exact = near.any(1)
        line[exact] = row[near.argmax(1)[exact]]
        return np.where(inside, line, np.nan)

    lines = xr.apply_ufunc(
        along, published, input_core_dims=[[dim]], output_core_dims=[[dim]],
        exclude_dims={dim}, vectorize=True,
    )  # fmt: skip
    return lines.assign_coords({dim: wanted.values})


def selected(published: xr.DataArray, point: Mapping[str, object]) -> xr.DataArray:
    """The numbers at a point, as far as they depend on it."""
    for dim, wanted in point.items():
        if dim in published.dims and wanted != ORACLE:
            numeric = published[dim].dtype.kind in "fiu"
            published = published.sel({dim: wanted}, method="nearest" if numeric else None)
    return published


def with_published(
    tree: xr.DataTree,
    claims: Iterable[ClaimTable],
    tables: Mapping[str, PublishedTable],
) -> xr.DataTree:
    """The tree with the published numbers that its claims name, a group for each file."""
    groups: dict[str, xr.Dataset] = {}
    for claim in claims:
        if not isinstance(claim.expect, str) or claim.expect not in tables:
            continue
        name, _, column = claim.expect.partition("/")
        dataset = groups.setdefault(name, as_dataset(tables[claim.expect]))
        if claim.that in ("agrees", "bound"):
            compared = str(dataset[column].attrs.get(COMPARES, "")).split()
            dataset[column].attrs[COMPARES] = " ".join(dict.fromkeys([*compared, claim.of]))
    if not groups:
        return tree
    return tree.assign(
        {GROUP: xr.DataTree(children={n: xr.DataTree(d) for n, d in groups.items()})}
    )

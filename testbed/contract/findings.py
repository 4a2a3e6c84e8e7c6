"""Findings of soundness checks, and functions with which core and plugins write checks.

The module imports neither xarray nor torch: it only calls methods of datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from attrs import field, frozen, validators

from testbed.contract.names import in_words

if TYPE_CHECKING:
    import xarray as xr

SEVERITIES = ("problem", "warning", "note", "expected")
"""A problem: numbers are wrong or missing. A warning: conclusions may be wrong. A note: the reader
should know it. Expected: the scenario says that it provokes the finding."""
RISKS = ("excess_risk", "test_error")
LOST = (1, 2)  # statuses of replicates that failed or diverged
VANISHED = 1e-12  # a risk below this share of its largest value is rounding error
BLOCK = 2**24  # bytes of a variable that are averaged at once
DIGITS_LOST = 1e3  # the factor by which a run's arithmetic may enlarge rounding errors


def _text(default: str | None = None, empty: bool = True) -> Any:
    checks = validators.and_(validators.instance_of(str), validators.min_len(0 if empty else 1))
    return field(validator=checks) if default is None else field(default=default, validator=checks)


@frozen(kw_only=True)
class Finding:
    """A fact about a finished run that its reader should know.

    A check has one finding for each estimator, however many points it concerns: `cell` is the worst
    point, and `points` of the `judged` points are concerned.
    """

    check: str = _text(empty=False)
    severity: str = field(default="warning", validator=validators.in_(SEVERITIES))
    estimator: str = _text("")
    variable: str = _text("")
    cell: str = _text("")  # such as "n=500 depth=1"; empty where nothing is swept
    points: int = field(default=1, validator=[validators.instance_of(int), validators.ge(1)])
    judged: int = field(default=1, validator=[validators.instance_of(int), validators.ge(1)])
    observation: str = _text(empty=False)
    advice: str = _text(empty=False)
    because: str = _text("")  # why the scenario expects it


class Place(NamedTuple):
    """The worst point of a sweep, and the number of points above the limit."""

    position: dict[str, int]  # position along each sweep dimension, for `isel`
    cell: str
    points: int
    judged: int

    def named(self) -> dict[str, Any]:
        """The fields of a Finding that say where."""
        return {"cell": self.cell, "points": self.points, "judged": self.judged}


def worst_place(badness: xr.DataArray, limit: float) -> Place | None:
    """The point at which an array over the sweep is furthest above a limit; None if no point is.

    Points that cannot be judged are NaN. Of equal points the first is taken.
    """
    values = np.asarray(badness.values, dtype=float)
    bad = values > limit
    if not bad.any():
        return None
    indices = np.unravel_index(int(np.nanargmax(values)), values.shape)
    position = {str(dim): int(index) for dim, index in zip(badness.dims, indices, strict=True)}
    cell = _cell(badness, position)
    return Place(position, cell, int(bad.sum()), int((~np.isnan(values)).sum()))


def _cell(values: xr.DataArray, position: Mapping[str, int]) -> str:
    """A point in words: `n=500 depth=1`."""
    return in_words({dim: values[dim].values[index] for dim, index in position.items()})


def rounding(tree: xr.DataTree) -> float:
    """The relative error that a run's arithmetic may leave in a number, by its precision."""
    return relative_rounding(str(tree.attrs.get("dtype", "float64")))


def relative_rounding(dtype: str) -> float:
    """The relative error that arithmetic in "float64" or "float32" may leave in a number.

    >>> relative_rounding("float64") < 1e-12 < relative_rounding("float32") < 1e-3
    True
    """
    return DIGITS_LOST * float(np.finfo(dtype).eps)


def along_time(dataset: xr.Dataset, name: str) -> bool:
    """Whether a dataset has a variable that was measured along training."""
    return name in dataset and "time" in dataset[name].dims


def over_replicates(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """The mean of a variable over the ok replicates; the variable itself if it has no
    replicates. Large variables are averaged in blocks of times, to hold no copy of them."""
    values = dataset[name]
    if "replicate" not in values.dims:
        return values
    ok = dataset["status"] == 0
    if values.nbytes <= BLOCK or "time" not in values.dims or values.chunks:
        return values.where(ok).mean("replicate")
    means = values.isel(replicate=0, drop=True).copy()
    length = max(1, int(values.sizes["time"] * BLOCK / values.nbytes))
    for start in range(0, values.sizes["time"], length):
        part = {"time": slice(start, start + length)}
        means[part] = values.isel(part).where(ok).mean("replicate")
    return means


def where_complete(dataset: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """The values at points where no replicate failed or diverged; NaN elsewhere."""
    lost = dataset["status"].isin(LOST).any("replicate")
    return values.where(~lost)


class Path(NamedTuple):
    """A risk along training, at the times at which it was measured; NaN at points where some
    replicates are lost."""

    variable: str
    values: xr.DataArray  # (sweep…, time), the mean over replicates, or a theory's prediction

    @property
    def best(self) -> xr.DataArray:
        """Position of the best time at each point; 0 where there are no values."""
        return self.values.fillna(np.inf).argmin("time")


def risk_path(dataset: xr.Dataset) -> Path | None:
    """The risk of an estimator's group; at points without a simulation, the risk that a theory
    predicts. None if there is neither, or no risk along time."""
    for name in RISKS:
        parts = []
        if name in dataset:
            parts.append(where_complete(dataset, over_replicates(dataset, name)))
        parts += [
            variable
            for variable in dataset.data_vars.values()
            if variable.attrs.get("predicts") == name and "time" in variable.dims
        ]
        if parts and "time" in parts[0].dims:
            values = parts[0]
            for theory in parts[1:]:
                expected = theory.mean("replicate") if "replicate" in theory.dims else theory
                values = values.where(values.notnull().any("time"), expected)
            values = values.dropna("time", how="all")
            return Path(name, values) if values.sizes["time"] else None
    return None

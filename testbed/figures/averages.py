"""Means over all requested replicates, and the predictions of theories, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from attrs import frozen

from testbed.analysis import mean_interval, oracle, simulated, slope
from testbed.analysis.replicates import ASKED
from testbed.contract.figures import ORACLE
from testbed.figures.groups import predictions

LEAST = 3  # means that show whether they lie on a line
STRAIGHT = 0.05  # deviation of a mean from a power law, in logarithms, that nobody sees
LIMIT = 3.0  # standard errors by which a mean may lie off a power law that is drawn
NORMAL = 1.96  # standard errors in half of a 95% interval


@frozen
class Band:
    """Means with their limits, and where replicates are missing."""

    mean: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    gaps: xr.DataArray

    @property
    def lost(self) -> int:
        """At how many points replicates are missing."""
        return int(self.gaps.sum())

    def sel(self, point: Mapping[str, object]) -> Band:
        """The band at a point of the sweep."""
        parts = (self.mean, self.lower, self.upper, self.gaps)
        return Band(*(part.sel(_of(part, point)) for part in parts))

    @property
    def measured(self) -> xr.DataArray:
        """Where there is a mean, or replicates are missing; False where nothing was measured."""
        return self.mean.notnull() | self.gaps

    def positive_lower(self) -> xr.DataArray:
        """The lower limit on a logarithmic axis, as far below the mean as the upper one is above
        where the interval holds zero."""
        return self.lower.where(self.lower > 0, self.mean**2 / self.upper)


@frozen
class AtTime:
    """A variable at the best time of each point, at a given one, or without a time."""

    band: Band
    time: xr.DataArray | None  # the best time; None where there is nothing to choose

    def sel(self, point: Mapping[str, object]) -> AtTime:
        """The values at a point of the sweep."""
        time = None if self.time is None else self.time.sel(_of(self.time, point))
        return AtTime(self.band.sel(point), time)


def _of(values: xr.DataArray, point: Mapping[str, object]) -> dict[str, object]:
    """The part of a point that an array has dimensions for."""
    return {dim: value for dim, value in point.items() if dim in values.dims}


def requested_count(dataset: xr.Dataset) -> xr.DataArray:
    """The number of replicates requested at each point of the sweep."""
    status = dataset["status"]
    if "replicate" not in status.dims:
        return xr.zeros_like(status, dtype=int)
    there = simulated(xr.Dataset({"here": status, "status": status}), "here")
    return there[ASKED].drop_vars(ASKED)


def mean_of(dataset: xr.Dataset, name: str) -> Band:
    """The mean of a variable and its interval at each time separately; NaN where not all
    replicates that were asked for have a value."""
    values = dataset[name]
    if "replicate" not in values.dims:
        return _stored_mean(dataset, name)
    finite = values.where(np.isfinite(values)).assign_coords({ASKED: requested_count(dataset)})
    interval = mean_interval(finite)
    lost = interval.estimate.isnull() & (interval.replicates > 0)
    return Band(interval.estimate, interval.lower, interval.upper, lost)


def _stored_mean(dataset: xr.Dataset, name: str) -> Band:
    """A mean that was stored without its replicates, where it is one of all that were asked for."""
    values = _bare(dataset[name])
    complete = values.notnull()
    if f"{name}__ok_count" in dataset:
        expected_count = requested_count(dataset)
        complete &= (dataset[f"{name}__ok_count"] == expected_count) | (expected_count == 0)
    kept = values.where(complete)
    empty = xr.full_like(kept, np.nan, dtype=float)
    return Band(kept, empty, empty, values.notnull() & ~complete)


def at_time(dataset: xr.Dataset, name: str, when: object = ORACLE) -> AtTime:
    """A variable at its best time; without a time, or with one that is held, as it is."""
    values = dataset[name]
    if "time" not in values.dims or when != ORACLE:
        return AtTime(mean_of(dataset, name), None)
    if "replicate" not in values.dims:
        best = oracle(mean_of(dataset, name).mean)
        empty = xr.full_like(best.value, np.nan)
        return AtTime(Band(best.value, empty, empty, xr.zeros_like(best.value, bool)), best.time)
    complete = simulated(dataset, name)
    best = oracle(complete.where(np.isfinite(complete)))
    measured = values.notnull().any(("replicate", "time")) & (requested_count(dataset) > 0)
    lost = measured & best.estimate.isnull()
    return AtTime(Band(best.estimate, best.lower, best.upper, lost), best.time)


def expected_at_time(dataset: xr.Dataset, name: str, when: object = ORACLE) -> dict[str, AtTime]:
    """The prediction of each theory for a variable, by the name of the theory's variable."""
    return {
        theory: at_time(expected(dataset, theory).to_dataset(name=theory), theory, when)
        for theory in predictions(dataset, name)
    }


def expected(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """The prediction of a theory, averaged over replicates if it depends on their draws."""
    values = _bare(dataset[name])
    return values.mean("replicate") if "replicate" in values.dims else values


@frozen
class PowerLaw:
    """A line in logarithms through the means of a curve."""

    slope: float
    lower: float
    upper: float
    intercept: float


def power_laws(dataset: xr.Dataset, name: str, along: str) -> xr.Dataset | None:
    """Slopes of the best means at all points of the other sweeps; None where there are none."""
    coordinate = np.asarray(dataset[along].values, dtype=float)
    if "replicate" not in dataset[name].dims or len(coordinate) < 3 or (coordinate <= 0).any():
        return None
    return slope(simulated(dataset, name), along)


def power_law(fit: xr.Dataset, band: Band, along: str) -> PowerLaw | None:
    """The power law of one curve; None with fewer than three means, where the exponent changes or
    the means do not lie on a line, or where replicates are lost."""
    law = PowerLaw(*(float(fit[part]) for part in ("estimate", "lower", "upper", "intercept")))
    finite = np.isfinite([law.slope, law.intercept]).all()
    if not finite or bool(fit["refused"]) or int(band.mean.notnull().sum()) < LEAST:
        return None
    coordinate = np.asarray(band.mean[along].values, dtype=float)
    return law if _straight(band, coordinate, law) else None


def _straight(band: Band, coordinate: np.ndarray, law: PowerLaw) -> bool:
    """Whether every mean lies on the line, within its error."""
    present = np.isfinite(band.mean.values) & (band.mean.values > 0)
    means, x = band.mean.values[present], coordinate[present]
    deviation = np.abs(np.log(means) - law.intercept - law.slope * np.log(x))
    above = np.nan_to_num(np.log(band.upper.values[present] / means))
    return bool((deviation <= np.hypot(LIMIT * above / NORMAL, STRAIGHT)).all())


def _bare(values: xr.DataArray) -> xr.DataArray:
    """The same numbers without attributes."""
    bare = values.copy(deep=False)
    bare.attrs = {}
    return bare

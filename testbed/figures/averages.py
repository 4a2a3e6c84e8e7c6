"""Means over all replicates that were asked for, and what theories expect, ready to be drawn."""

from __future__ import annotations

import numpy as np
import xarray as xr
from attrs import frozen

from testbed.analysis.analysis import mean_interval, oracle, slope
from testbed.contract.figures import ORACLE
from testbed.figures.groups import predictions

ABSENT = ("not_run", "theory_only")  # statuses of replicates that nobody waits for


@frozen
class Band:
    """Means with their limits, and at how many points replicates are missing."""

    mean: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    lost: int = 0

    def positive_lower(self) -> xr.DataArray:
        """The lower limit on a logarithmic axis, as far below the mean as the upper one is above
        where the interval holds zero."""
        return self.lower.where(self.lower > 0, self.mean**2 / self.upper)


@frozen
class AtTime:
    """A variable at the best time of each point, at a given one, or without a time."""

    band: Band
    time: xr.DataArray | None  # the best time; None where there is nothing to choose


def asked(dataset: xr.Dataset) -> xr.DataArray:
    """How many replicates were asked for at each point of the sweep."""
    status = dataset["status"]
    if "replicate" not in status.dims:
        return xr.full_like(status, 0, dtype=int)
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = dict(zip(words, np.atleast_1d(status.attrs.get("flag_values", [])), strict=False))
    absent = [codes[word] for word in ABSENT if word in codes]
    return (~status.isin(absent)).sum("replicate")


def mean_of(dataset: xr.Dataset, name: str) -> Band:
    """The mean of a variable and its interval; NaN where not all replicates have a value."""
    values = _bare(dataset[name])
    if "replicate" not in values.dims:
        whole = _whole(values.notnull(), dataset, name)
        kept = values.where(whole)
        gaps = int((values.notnull() & ~whole).sum())
        return Band(kept, xr.full_like(kept, np.nan), xr.full_like(kept, np.nan), gaps)
    finite = values.where(np.isfinite(values))
    count = finite.notnull().sum("replicate")
    whole = (count == asked(dataset)) & (count > 0)
    interval = mean_interval(finite)
    parts = [part.where(whole) for part in (interval.mean, interval.lower, interval.upper)]
    return Band(parts[0], parts[1], parts[2], int(((count > 0) & ~whole).sum()))


def _whole(known: xr.DataArray, dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Where a mean that was stored without its replicates is one of all that were asked for."""
    if f"{name}__ok_count" not in dataset:
        return known
    count = dataset[f"{name}__ok_count"]
    return known & ((count == asked(dataset)) | (asked(dataset) == 0))


def at_time(dataset: xr.Dataset, name: str, when: object = ORACLE) -> AtTime:
    """A variable at its best time; without a time, or with one that is held, as it is."""
    values = dataset[name]
    if "time" not in values.dims or when != ORACLE:
        return AtTime(mean_of(dataset, name), None)
    values = _bare(values)
    if "replicate" not in values.dims:
        best = oracle(mean_of(dataset, name).mean)
        empty = xr.full_like(best.value, np.nan)
        return AtTime(Band(best.value, empty, empty), best.time)
    whole = _all_along(dataset, values)
    best = oracle(values.where(whole))
    interval = mean_interval(best.value)
    lost = int((values.notnull().any(("replicate", "time")) & ~whole).sum())
    return AtTime(Band(interval.mean, interval.lower, interval.upper, lost), best.time)


def _all_along(dataset: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Where every replicate that was asked for has a value whenever one of them has."""
    count = values.where(np.isfinite(values)).notnull().sum("replicate")
    measured = (count > 0).any([d for d in count.dims if d != "time"])
    enough = (count == asked(dataset)) | ~measured
    return enough.all("time") & (count > 0).any("time")


def expected_at_time(dataset: xr.Dataset, name: str, when: object = ORACLE) -> dict[str, AtTime]:
    """What each theory expects of a variable there, by the theory's variable."""
    return {
        theory: at_time(_over_replicates(dataset, theory), theory, when)
        for theory in predictions(dataset, name)
    }


def _over_replicates(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """A theory alone: its mean over replicates where it depends on what they drew."""
    return expected(dataset, name).to_dataset(name=name)


def expected(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """What a theory expects, as a mean over replicates where it depends on their draws."""
    values = _bare(dataset[name])
    return values.mean("replicate") if "replicate" in values.dims else values


@frozen
class PowerLaw:
    """A line in logarithms through the means of a curve."""

    slope: float
    lower: float
    upper: float
    intercept: float


def power_law(values: xr.DataArray, along: str) -> PowerLaw | None:
    """The power law through the best means of one curve; None where there is none to be drawn."""
    coordinate = values[along].values
    positive = bool((np.asarray(coordinate, float) > 0).all())
    if "replicate" not in values.dims or values.sizes[along] < 3 or not positive:
        return None
    fit = slope(_bare(values), along)
    parts = [float(part) for part in (fit.slope, fit.lower, fit.upper, fit.intercept)]
    return PowerLaw(*parts) if np.isfinite(parts).all() else None


def _bare(values: xr.DataArray) -> xr.DataArray:
    """The same numbers without attributes."""
    bare = values.copy(deep=False)
    bare.attrs = {}
    return bare

"""Times at which something happens."""

from __future__ import annotations

import xarray as xr

from testbed.analysis.replicates import bare


def crossing_time(values: xr.DataArray, threshold: float | xr.DataArray) -> xr.DataArray:
    """First time at which values reach the threshold from below, interpolated; NaN if never."""
    labels = {"long_name": "time at which the threshold is reached"}
    labels["units"] = str(values["time"].attrs.get("units", "1"))
    values = bare(values)
    above = values >= threshold
    position = above.argmax("time")
    before = (position - 1).clip(min=0)
    high, low = values.isel(time=position, drop=True), values.isel(time=before, drop=True)
    late = values["time"].isel(time=position, drop=True)
    early = values["time"].isel(time=before, drop=True)
    share = xr.where(high > low, (threshold - low) / (high - low), 1.0)
    time = (early + share * (late - early)).where(above.any("time"))
    return time.rename("crossing_time").assign_attrs(labels)

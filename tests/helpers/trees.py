"""Results made by hand, so that what a figure has to show is known."""

from __future__ import annotations

import numpy as np
import xarray as xr

TIMES = (0.0, 1.0, 10.0, 100.0, float("inf"))
WIDTHS = (10, 100, 1000)
FLAGS = {
    "flag_values": np.arange(5, dtype="int8"),
    "flag_meanings": "ok failed diverged not_run theory_only",
}


def group(sweep, replicates=6, times=TIMES, seed=0, level=1.0):
    """A group with a risk that falls like width^-1/2 and has its best time at τ = 10."""
    rng = np.random.Generator(np.random.Philox(seed))
    sizes = [len(values) for values in sweep.values()]
    bowl = np.array([3.0, 1.5, 1.0, 1.5, 2.0])[: len(times)]
    scale = np.ones(sizes)
    if "width" in sweep:
        axis = list(sweep).index("width")
        shape = [-1 if i == axis else 1 for i in range(len(sizes))]
        scale = scale * (np.asarray(sweep["width"], float) ** -0.5).reshape(shape)
    noise = 1 + 0.05 * rng.standard_normal((*sizes, replicates, 1))
    values = level * scale[..., None, None] * noise * bowl
    dims = (*sweep, "replicate", "time")
    dataset = xr.Dataset(
        {
            "excess_risk": (dims, values, {"long_name": "excess risk", "units": "1"}),
            "status": (dims[:-1], np.zeros((*sizes, replicates), dtype="int8"), FLAGS),
        },
        {**sweep, "replicate": np.arange(replicates), "time": list(times)},
    )
    return dataset


def tree(**groups):
    """A result with these groups."""
    root = xr.Dataset(attrs={"title": "Made by hand"})
    return xr.DataTree.from_dict(
        {"/": root, **{f"/{name}": value for name, value in groups.items()}}
    )


def lose(dataset, replicate=0, since=2, **point):
    """The dataset after a replicate has diverged at a point of the sweep."""
    lost = dataset.copy(deep=True)
    lost["excess_risk"].loc[
        {**point, "replicate": replicate, "time": list(dataset["time"].values[since:])}
    ] = np.nan
    lost["status"].loc[{**point, "replicate": replicate}] = 2
    return lost

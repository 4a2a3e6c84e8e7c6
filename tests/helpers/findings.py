"""Results made by hand, and what the soundness checks find in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from testbed import Finding
from testbed.soundness import CHECKS
from tests.helpers.sequences import BLOCK, sequence_scenario

ROOT = Path(__file__).parents[2]
TIMES = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0])
SCENARIO = sequence_scenario(
    "looked-at",
    head="replicates = 6",
    n="{ values = [100, 200, 400] }",
    modes=40,
    target=BLOCK,
    times="{ geom = [1.0, 300.0, 30] }",
)


def group(status=0, replicates=8, **variables) -> xr.Dataset:
    """An estimator's dataset; variables are (dims, values), replicates vary by a per cent."""
    factor = 1 + 0.01 * np.linspace(-1, 1, replicates)
    data = {}
    for name, (dims, values) in variables.items():
        array = xr.DataArray(np.asarray(values, dtype=float), dims=dims)
        data[name] = array * xr.DataArray(factor, dims="replicate") if "k" not in dims else array
    statuses = np.broadcast_to(np.asarray(status), replicates)
    dataset = xr.Dataset({**data, "status": ("replicate", statuses)})
    count = dataset.sizes.get("time", 0)
    return dataset.assign_coords(time=TIMES[:count], **sweeps(dataset))


def sweeps(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    reference = {
        "n": np.array([100, 200, 400, 800]),
        "k": np.array([5, 10]),
        "depth": np.array([0, 1]),
    }
    return {
        dim: values[: dataset.sizes[dim]]
        for dim, values in reference.items()
        if dim in dataset.sizes
    }


def fired(check: str, **groups: xr.Dataset) -> list[Finding]:
    tree = xr.DataTree.from_dict({name: dataset for name, dataset in groups.items()})
    return list(CHECKS[check](tree))


def only(check: str, **variables) -> Finding:
    (finding,) = fired(check, main=group(**variables))
    assert finding.check == check and finding.estimator == "main"
    return finding


INSIDE = [1.0, 0.5, 0.2, 0.1, 0.2, 0.3]

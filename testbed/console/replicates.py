"""How many replicates a result has, in words: by estimator, by point, and by the end of adaptive
replication."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.contract.cells import STATUS
from testbed.results.groups import estimators
from testbed.scenario.replication import Replication

ABSENT = (STATUS["not_run"], STATUS["theory_only"])


def replicates_text(tree: xr.DataTree, replication: int | Replication) -> str:
    """A line for each estimator, and one that says how adaptive replication ended.

    `kernel: 12 of 12 replicates ok (3 at each of 4 points)`
    """
    lines = list(filter(None, (_counted(*item) for item in estimators(tree).items())))
    if isinstance(replication, Replication):
        lines += _ended(tree, replication.at_most)
    return "\n".join(lines)


def _counted(name: str, group: xr.DataTree) -> str:
    status = group.to_dataset()["status"]
    counts = {word: int((status == value).sum()) for word, value in STATUS.items()}
    ran = _per_point(status)
    if not ran.size:
        return f"{name}: theory only"
    losses = "".join(f", {counts[word]} {word}" for word in ("failed", "diverged") if counts[word])
    where = f" ({_range(ran)} at each of {ran.size} points)" if ran.size > 1 else ""
    return f"{name}: {counts['ok']} of {ran.sum()} replicates ok{losses}{where}"


def _per_point(status: xr.DataArray) -> np.ndarray:
    """The number of replicates that ran at each simulated point."""
    run = (~status.isin(ABSENT)).sum("replicate").values
    simulated = (status != STATUS["theory_only"]).any("replicate").values
    return np.atleast_1d(run[simulated])


def _range(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _ended(tree: xr.DataTree, at_most: int) -> Iterator[str]:
    """With how many replicates the points of an adaptive run were left."""
    counts = [_per_point(group.to_dataset()["status"]) for group in estimators(tree).values()]
    every = np.concatenate([part for part in counts if part.size] or [np.zeros(0)])
    if not every.size:
        return
    fewer = every[every < at_most]
    if fewer.size:
        yield (
            f"adaptive: {_range(fewer)} replicates were enough at {fewer.size} of {every.size} "
            f"points, of at most {at_most}"
        )
    if fewer.size < every.size:
        yield (
            f"adaptive: {every.size - fewer.size} of {every.size} points took all {at_most} "
            "replicates; raise `at_most` if claims or means are left open"
        )

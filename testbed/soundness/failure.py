"""The check for cells that raised."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from testbed.contract.findings import Finding, worst_place
from testbed.results.groups import estimators


def failure(tree: xr.DataTree) -> Iterator[Finding]:
    """Replicates that failed: they are in no mean, and in no other finding."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        if "error" not in dataset:
            continue
        failed = dataset["error"] != ""
        place = worst_place(failed.sum("replicate"), 0)
        if place is None:
            continue
        words = dataset["error"].isel(place.position).values[failed.isel(place.position).values]
        yield Finding(
            check="failure",
            severity="problem",
            estimator=name,
            variable="error",
            **place.named(),
            seen=f"{len(words)} of {dataset.sizes['replicate']} replicates failed, the first with: "
            f"{words[0]}",
            advice="fix what the error says; `.mean('replicate')` leaves these out without a word",
        )

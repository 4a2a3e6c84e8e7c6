"""The check for cells and components that failed."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from testbed.contract.findings import Finding, worst_place
from testbed.results.groups import estimators

ENDING = "__error"  # of the variables that say what a component did wrong


def failure(tree: xr.DataTree) -> Iterator[Finding]:
    """Replicates that failed, which no mean and no other finding includes, and variables that are
    missing because their component failed."""
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        yield from _missing(name, dataset)
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
            observation=f"{len(words)} of {dataset.sizes['replicate']} replicates failed, the "
            f"first with: {words[0]}",
            advice="fix what the error says; `.mean('replicate')` skips these without a warning",
        )


def _missing(estimator: str, dataset: xr.Dataset) -> Iterator[Finding]:
    """One finding for each component that failed, however many variables it has."""
    reported: set[str] = set()
    for name in map(str, dataset.data_vars):
        variable = name.removesuffix(ENDING)
        if variable == name or (place := worst_place((dataset[name] != "") * 1, 0)) is None:
            continue
        text = str(dataset[name].isel(place.position).values)
        if text not in reported:
            reported.add(text)
            yield Finding(
                check="failure",
                severity="problem",
                estimator=estimator,
                variable=variable,
                **place.named(),
                observation=f"{variable} is missing: {text}",
                advice="correct the component, or remove it; all else is unharmed",
            )

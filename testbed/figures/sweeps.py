"""What was measured at one time only, against a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from testbed.analysis import mean_interval
from testbed.figures.style import (
    COLOURS,
    PANELS,
    axis_label,
    legends,
    log_axis,
    panels,
    sweep_points,
    titled,
    words,
)


def sweeps(tree: xr.DataTree, title: str = "", **_: Any) -> Iterator[tuple[str, Figure]]:
    """A panel for each variable, a line for each estimator and point of its other sweeps.

    Of a variable with ranks `k` the least mean over k is shown: the best choice of the rank.
    """
    shown: dict[str, list[tuple[int, str, xr.DataArray, str]]] = {}
    for number, (group, node) in enumerate(tree.children.items()):
        if node.sizes["time"] > 1:
            continue
        dataset = node.to_dataset().isel(time=0)
        for name, values in dataset.data_vars.items():
            along = _longest(values, dataset)
            if along:
                shown.setdefault(str(name), []).append((number, str(group), values, along))
    if not shown:
        return
    figure, axes = panels(min(len(shown), PANELS))
    for ax, jobs in zip(axes, shown.values(), strict=False):
        for number, group, values, along in jobs:
            _lines(ax, number, group, values, along)
    legends(figure, axes)
    titled(figure, title or str(tree.attrs.get("title", "")), len(shown))
    yield "at-one-time", figure


def _longest(values: xr.DataArray, dataset: xr.Dataset) -> str:
    """The longest numeric sweep of a measured variable; empty if there is none to draw against."""
    sweep = [str(dim) for dim in dataset["status"].dims if dim != "replicate"]
    numeric = [d for d in sweep if d in values.dims and dataset[d].dtype.kind in "fiu"]
    own = set(values.dims) - set(sweep) - {"replicate", "k"}
    measured = "__" not in str(values.name) and values.name not in ("status", "duration", "error")
    if own or not measured or not numeric:
        return ""
    return max(numeric, key=lambda dim: values.sizes[dim])


def _lines(ax: Any, number: int, group: str, values: xr.DataArray, along: str) -> None:
    label = axis_label(values)
    interval = mean_interval(values) if "replicate" in values.dims else None
    mean = interval.estimate if interval else values
    if "k" in values.dims:
        mean, interval, label = mean.min("k"), None, f"least over k of\n{label}"
    for point in sweep_points(mean, [str(dim) for dim in mean.dims if dim != along]):
        colour = COLOURS[(number + len(ax.lines)) % len(COLOURS)]
        name = ", ".join(filter(None, (group, words(point))))
        line = mean.sel(point)
        ax.plot(line[along], line, "o-", ms=4, color=colour, label=name)
        if interval:
            low, high = (part.sel(point) for part in (interval.lower, interval.upper))
            ax.fill_between(line[along], low, high, color=colour, alpha=0.2, lw=0)
    log_axis(ax, "x", values[along].values, 5)
    log_axis(ax, "y", mean.values, 5)
    ax.set(xlabel=along, ylabel=label)

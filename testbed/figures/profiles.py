"""Variables along a dimension of their own (thresholds, ranks), at several times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from testbed.figures.style import (
    PANELS,
    axis_label,
    legends,
    log_axis,
    log_time,
    panel_title,
    panels,
    some,
    sweep_points,
    titled,
)

LINES = 5
ALONG_OWN, ALONG_TIME = {"tau": "threshold"}, ("k",)


def profiles(tree: xr.DataTree, title: str = "", **_: Any) -> Iterator[tuple[str, Figure]]:
    """Span profiles against their threshold at several times; projections against time by rank."""
    for name, own in _variables(tree).items():
        jobs = []
        for group, node in tree.children.items():
            if name not in node or node.sizes["time"] < 2:
                continue
            values = node.to_dataset()[name]
            others = [str(d) for d in values.dims if d not in ("time", "replicate", own)]
            for point in sweep_points(values, others):
                if np.isfinite(values.sel(point)).any():
                    jobs.append((str(group), values.sel(point), point))
        if not jobs:
            continue
        figure, axes = panels(min(len(jobs), PANELS))
        for ax, (group, values, point) in zip(axes, jobs, strict=False):
            values = values.mean("replicate") if "replicate" in values.dims else values
            (_against_own if own in ALONG_OWN else _against_time)(ax, values, own)
            ax.set_title(panel_title(str(group), point))
        axes[0].set_ylabel(axis_label(jobs[0][1]))
        legends(figure, axes)
        titled(figure, title or str(tree.attrs.get("title", "")), len(jobs))
        yield name.replace("_", "-"), figure


def _variables(tree: xr.DataTree) -> dict[str, str]:
    """Variables with one own dimension that can be drawn, and that dimension."""
    found = {}
    for group in tree.children.values():
        for name, values in group.to_dataset().data_vars.items():
            own = [d for d in values.dims if d in (*ALONG_OWN, *ALONG_TIME)]
            if len(own) == 1 and "initial_k" not in values.dims and "__" not in str(name):
                found[str(name)] = str(own[0])
    return found


def _against_own(ax: Any, values: xr.DataArray, own: str) -> None:
    times = values["time"].values
    chosen = some(times, LINES)
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(chosen)))
    for colour, at in zip(colours, chosen, strict=True):
        ax.plot(values[own], values.isel(time=at), color=colour, label=f"τ = {times[at]:.4g}")
    ax.set(xscale="log", yscale="log", xlabel=ALONG_OWN[own])


def _against_time(ax: Any, values: xr.DataArray, own: str) -> None:
    ranks = values[own].values[some(values[own].values, LINES)]
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(ranks)))
    for colour, rank in zip(colours, ranks, strict=True):
        ax.plot(values["time"], values.sel({own: rank}), color=colour, label=f"{own} = {rank:g}")
    log_time(ax, values["time"].values)
    log_axis(ax, "y", values.values, 30)

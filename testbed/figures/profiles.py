"""Variables along a dimension of their own (thresholds, ranks), at several times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from attrs import frozen
from matplotlib.axes import Axes

from testbed.contract.figures import RANKS, names
from testbed.figures.averages import Band, mean_of
from testbed.figures.axes import TimeAxis, axis_label, log_axis, number
from testbed.figures.canvas import Canvas, panel_title, plain
from testbed.figures.drawn import (
    Drawn,
    Options,
    at_of,
    averaged,
    gaps,
    held,
    listed,
    selection,
    sentences,
)
from testbed.figures.groups import Group, groups_of, is_number, long_name, sweep_points
from testbed.figures.looks import DASHES
from testbed.figures.spectra import gradient, spread_positions, time_word

LINES = 5
WORDS = {"tau": "threshold", "k": "rank k"}
AGAINST_TIME = ("k",)  # drawn against time by default; the others against themselves


@frozen
class Panel:
    """A variable of one estimator at a point of its sweep."""

    title: str
    band: Band


def profiles(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """Span profiles against their threshold at several times; projections against time by rank;
    `x` says otherwise, and a time that is held leaves their own dimension."""
    groups = groups_of(tree, at_of(options))
    requested = names(options.get("of"))
    for name, dimension in _variables(groups, requested).items():
        shown = [group for group in groups if name in group.dataset]
        panels = [
            panel for group in shown for panel in _panels(group, name, dimension, bool(requested))
        ]
        if panels:
            yield _figure(tree, shown, name, dimension, panels, options)


def _variables(groups: Sequence[Group], requested: Sequence[str]) -> dict[str, str]:
    """Variables with one dimension of their own, and that dimension."""
    dimensions: dict[str, str] = {}
    for group in groups:
        swept = {*group.dataset["status"].dims, "time", "replicate"}
        for name, values in group.dataset.data_vars.items():
            dimension = [str(d) for d in values.dims if d not in swept]
            wanted = (
                name in requested
                if requested
                else bool(set(dimension) & set(RANKS)) and "__" not in str(name)
            )
            if (
                wanted
                and len(dimension) == 1
                and is_number(values)
                and is_number(group.dataset[dimension[0]])
            ):
                dimensions[str(name)] = dimension[0]
    return dimensions


def _panels(group: Group, name: str, dimension: str, requested: bool) -> Iterator[Panel]:
    """A panel for each point of the sweep that has values."""
    values = group.dataset[name]
    sweep = [str(d) for d in values.dims if d not in ("time", "replicate", dimension)]
    if not requested and "time" in values.dims and values.sizes["time"] < 2:
        return  # `sweeps` shows what was measured at one time
    for point in sweep_points(values, sweep):
        if np.isfinite(values.sel(point)).any():
            band = mean_of(group.dataset.sel(point), name)
            yield Panel(panel_title(group.name, point), band)


def _figure(
    tree: xr.DataTree,
    groups: Sequence[Group],
    name: str,
    dimension: str,
    panels: Sequence[Panel],
    options: Options,
) -> Drawn:
    timed = all(
        "time" in panel.band.mean.dims and panel.band.mean.sizes["time"] > 1 for panel in panels
    )
    default = "time" if dimension in AGAINST_TIME and timed else dimension
    x = str(options.get("x", default)) if timed else dimension
    canvas = Canvas.of(len(panels), options)
    recorded = [np.ravel(panel.band.mean["time"].values) for panel in panels if timed]
    times = TimeAxis.of(np.concatenate(recorded)) if timed else TimeAxis((), False)
    for axes, panel in zip(canvas.panels, panels, strict=False):
        if x == "time":
            _against_time(axes, panel.band.mean, dimension, times)
        else:
            _against_own(axes, panel.band.mean, dimension)
        axes.set_title(panel.title)
        axes.set_ylabel(plain(axis_label(groups[0].dataset[name])))
    canvas.legends()
    figure = canvas.finish(str(tree.attrs.get("title", "")))
    mean = [g.dataset[name].dims for g in groups]
    lines = [
        selection(group, name, '.mean("replicate")' if "replicate" in dims else "")
        for group, dims in zip(groups, mean, strict=True)
    ]
    caption = sentences(
        f"{long_name(groups[0].dataset, name)} against "
        f"{'training time' if x == 'time' else WORDS.get(dimension, dimension)}, for "
        f"{listed(group.name for group in groups)}",
        averaged(groups, name).split(",")[0],
        gaps(sum(panel.band.lost for panel in panels), "values"),
        held(at_of(options)),
    )
    return Drawn(name.replace("_", "-"), figure, caption, "\n".join(lines))


def _against_own(axes: Axes, values: xr.DataArray, dimension: str) -> None:
    """A line for each of a few times."""
    if "time" not in values.dims:
        axes.plot(values[dimension], values, "o-", ms=3.5)
    else:
        times = values["time"].values
        chosen = spread_positions(times, LINES)
        for colour, dash, place in zip(gradient(len(chosen)), DASHES, chosen, strict=False):
            text = f"τ = {time_word(times[place])}"
            axes.plot(values[dimension], values.isel(time=place), color=colour, ls=dash, label=text)
    log_axis(axes, "x", values[dimension].values, 10)
    log_axis(axes, "y", values.values, 10)
    axes.set_xlabel(WORDS.get(dimension, dimension))


def _against_time(axes: Axes, values: xr.DataArray, dimension: str, times: TimeAxis) -> None:
    """A line for each of a few ranks."""
    ranks = values[dimension].values[spread_positions(values[dimension].values, LINES)]
    for colour, dash, rank in zip(gradient(len(ranks)), DASHES, ranks, strict=False):
        line = values.sel({dimension: rank})
        text = f"{dimension} = {number(float(rank))}"
        times.plot(axes, line["time"].values, line.values, color=colour, ls=dash, label=text)
    times.apply(axes)
    log_axis(axes, "y", values.values, 30)

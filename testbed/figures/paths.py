"""Variables against training time, with intervals, theory, and the best stopping time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from testbed.contract.figures import RISKS, names
from testbed.figures.averages import Band, expected, mean_of
from testbed.figures.axes import TimeAxis, axis_label, lines_in_view, log_axis
from testbed.figures.canvas import PANELS, Canvas, panel_title, plain
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
from testbed.figures.groups import Group, groups_of, is_number, long_name, predictions, sweep_points
from testbed.figures.looks import ESTIMATOR, Dash, Key, Look, label, looks, shades
from testbed.figures.published import Path, draw_published_paths

LINES = 6  # most lines of one estimator in a panel
LEFT_OUT = ("evaluations", "finite_steps", "rate_used", "time_reached")  # drawn if asked for
OF_ANOTHER = ("_error", "_modes")  # endings of what says how far another variable can be trusted
THEORY: dict[str, Any] = {"color": "black", "lw": 0.8}
NEUTRAL = "#404040"  # of a legend that several estimators share


@frozen
class Line:
    """One curve of a panel: a group at a point of its sweep."""

    group: Group
    key: Key
    dataset: xr.Dataset
    look: Look
    band: Band


@frozen
class Panel:
    """A panel's heading and its lines."""

    title: str
    lines: list[Line]


def paths(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """One figure a variable: a panel for each estimator and point of its other sweeps, a line for
    each value of the longest one; or a panel for each value of `by`, with all estimators."""
    groups = groups_of(tree, at_of(options))
    for name in names(options.get("of")) or _variables(groups):
        shown = [group for group in groups if _recorded(group, name)]
        panels = _by(shown, name, options) if "by" in options else _panels(shown, name, options)
        if panels:
            yield _figure(tree, shown, name, panels, options)


def _recorded(group: Group, name: str) -> bool:
    dataset = group.dataset
    return name in dataset and "time" in dataset[name].dims and dataset.sizes["time"] > 1


def _variables(groups: Sequence[Group]) -> list[str]:
    """Variables with a time and no dimension of their own, in the order in which groups hold
    them."""
    names_in_order: dict[str, None] = {}
    for group in groups:
        swept = {*group.dataset["status"].dims, "time"}
        for name, values in group.dataset.data_vars.items():
            suits = "time" in values.dims and set(values.dims) <= swept and is_number(values)
            if suits and not _left_out(str(name), group.dataset):
                names_in_order[str(name)] = None
    return list(names_in_order)


def _left_out(name: str, dataset: xr.Dataset) -> bool:
    """Theories, records of steps, and what says how far another variable can be trusted."""
    bare = [name.removesuffix(ending) for ending in OF_ANOTHER if name.endswith(ending)]
    return "__" in name or name in LEFT_OUT or any(trusted in dataset for trusted in bare)


# --- what stands where -----------------------------------------------------------------------


def _panels(groups: Sequence[Group], name: str, options: Options) -> list[Panel]:
    """A panel for each estimator and point of its sweeps but the longest, which gets lines."""
    panels = []
    base = looks([{ESTIMATOR: group.name} for group in groups])
    for group, look in zip(groups, base, strict=True):
        sweep, band = group.sweep_of(name), mean_of(group.dataset, name)
        along = str(options.get("colour", ""))
        if along not in sweep:
            along = max(sweep, key=lambda d: group.dataset.sizes[d]) if sweep else ""
        for point in sweep_points(group.dataset[name], [d for d in sweep if d != along]):
            dataset = group.dataset.sel(point)
            if _has_line(dataset[name]):
                panels.append(
                    Panel(
                        panel_title(group.name, point),
                        _lines(group, dataset, band.sel(point), along, look),
                    )
                )
    return panels


def _lines(group: Group, dataset: xr.Dataset, band: Band, along: str, look: Look) -> list[Line]:
    """Lines along a sweep: shades for numbers, colours and dashes for words."""
    if not along:
        return [Line(group, {}, dataset, look, band)]
    values = dataset[along].values
    every = max(1, math.ceil(len(values) / LINES))
    keys: list[Key] = [{along: value} for value in values[::-1][::every][::-1]]
    if values.dtype.kind in "fiu":
        shaded = shades(look.colour, len(keys))
        line_looks = [Look(colour, look.mark, "-") for colour in shaded]
    else:
        line_looks = looks(keys)
    return [
        Line(group, key, dataset.sel(dict(key)), line_look, band.sel(key))
        for key, line_look in zip(keys, line_looks, strict=True)
    ]


def _by(groups: Sequence[Group], name: str, options: Options) -> list[Panel]:
    """A panel for each value of `by`, with a line for each estimator and point of its sweeps."""
    by = str(options["by"])
    several = [group for group in groups if by in group.dataset[name].dims]
    values = dict.fromkeys(v for group in several for v in group.dataset[by].values.tolist())
    bands = {group.name: mean_of(group.dataset, name) for group in groups}
    keyed = [(group, point) for group in groups for point in _points(group, name, by)]
    keys: list[Key] = [{ESTIMATOR: group.name, **point} for group, point in keyed]
    panels = []
    for value in values:
        lines = []
        for (group, point), key, look in zip(
            keyed, keys, looks(keys, str(options.get("colour", ""))), strict=True
        ):
            here = {**point, by: value} if by in group.dataset[name].dims else point
            if by in here and value not in group.dataset[by].values:
                continue
            dataset = group.dataset.sel(here)
            if _has_line(dataset[name]):
                lines.append(Line(group, key, dataset, look, bands[group.name].sel(here)))
        if lines:
            panels.append(Panel(panel_title("", {by: value}), lines))
    return panels


def _points(group: Group, name: str, by: str) -> Iterator[dict[str, object]]:
    return sweep_points(group.dataset[name], [d for d in group.sweep_of(name) if d != by])


def _has_line(values: xr.DataArray) -> bool:
    """Whether there is a line to draw: numbers at two times at least."""
    remaining = [dim for dim in values.dims if dim != "time"]
    finite = values.where(np.isfinite(values)).notnull()
    return int(finite.any(remaining).sum()) > 1


# --- drawing ---------------------------------------------------------------------------------


def _figure(
    tree: xr.DataTree, groups: Sequence[Group], name: str, panels: list[Panel], options: Options
) -> Drawn:
    canvas = Canvas.of(len(panels), options)
    times = TimeAxis.of(np.concatenate([group.dataset["time"].values for group in groups]))
    lost, sources = 0, dict[str, None]()
    for axes, panel in zip(canvas.panels, panels, strict=False):
        lost += _draw(axes, panel.lines, name, times)
        beside = [Path(line.group.name, line.dataset, line.look.colour) for line in panel.lines]
        sources[draw_published_paths(axes, tree, beside, name, times)] = None
        axes.set_title(panel.title)
    for axes in canvas.panels:
        axes.set_ylabel(plain(axis_label(groups[0].dataset[name])))
    canvas.legends(_neutral(panels))
    theories = _name_theories(canvas, groups, name)
    figure = canvas.finish(str(tree.attrs.get("title", name)))
    _show_bottom(canvas)
    return Drawn(
        f"{name}-against-time",
        figure,
        _caption(groups, name, theories, lost, len(panels), times, options)
        + "".join(f" Diamonds: published ({text})." for text in sources if text),
        "\n".join(selection(group, name, _mean(group, name)) for group in groups),
    )


def _show_bottom(canvas: Canvas) -> None:
    """A linear axis of values that are all positive shows zero if it is near."""
    for axes in canvas.panels:
        low, high = axes.get_ylim()
        if axes.get_yscale() == "linear" and 0 < low < 0.3 * high:
            axes.set_ylim(bottom=0)


def _mean(group: Group, name: str) -> str:
    return '.mean("replicate")' if "replicate" in group.dataset[name].dims else ""


def _caption(
    groups: Sequence[Group],
    name: str,
    theories: Sequence[str],
    lost: int,
    panels: int,
    times: TimeAxis,
    options: Options,
) -> str:
    held_values = at_of(options)
    return sentences(
        f"{long_name(groups[0].dataset, name)} against training time for "
        f"{listed(group.name for group in groups)}",
        averaged(groups, name, "shaded bands"),
        "dots mark the best stopping time" if _is_risk(name) else "",
        f"thin black lines: {listed(theories)} (theory)" if theories else "",
        "the arrowheads at ∞ are the limit of infinite training time" if times.limit else "",
        gaps(lost, "recorded times"),
        held(held_values),
        f"{panels - PANELS} more panels have no room" if panels > PANELS else "",
    )


def _is_risk(name: str) -> bool:
    return name in RISKS or "risk" in name or name.endswith("error")


def _draw(axes: Axes, lines: Sequence[Line], name: str, times: TimeAxis) -> int:
    """A panel's lines, their bands and what theories expect; at how many times some were lost."""
    bands = [line.band for line in lines]
    for line, band in zip(lines, bands, strict=True):
        _line(axes, line, band, name, times)
    for line in lines:
        for j, theory in enumerate(predictions(line.dataset, name)):
            style = {**THEORY, "ls": _theory_dash(j)}
            _expected(axes, expected(line.dataset, theory), times, style)
    times.apply(axes)
    log_axis(axes, "y", np.concatenate([band.mean.values.ravel() for band in bands]), 5)
    for line, band in zip(lines, bands, strict=True):
        _shade(axes, line, band, times)
    lines_in_view(axes)
    return sum(band.lost for band in bands)


def _line(axes: Axes, line: Line, band: Band, name: str, times: TimeAxis) -> None:
    """A mean, and a dot at the best stopping time of a risk."""
    style: dict[str, Any] = {"color": line.look.colour, "ls": line.look.dash}
    text = plain(label(line.key))
    if not np.isfinite(band.mean).any():
        axes.plot([], [], label=f"{text} (no values)", **style)
        return
    shown = band.mean[band.measured]  # a metric may be measured at some times alone
    if shown.size < band.mean.size:
        style |= {"marker": line.look.mark, "ms": 3.5}
    times.plot(axes, shown["time"].values, shown.values, label=text, **style)
    if _is_risk(name) and not band.lost:
        style = {"color": line.look.colour}
        place = int(np.argmin(band.mean.fillna(np.inf).values))
        time, value = band.mean["time"].values[[place]], band.mean.values[[place]]
        axes.plot(times.place(time), value, "o", ms=4.5, color=style["color"])


def _shade(axes: Axes, line: Line, band: Band, times: TimeAxis) -> None:
    """The interval of a mean as a band, and as a bar at τ = ∞."""
    low = band.positive_lower() if axes.get_yscale() == "log" else band.lower
    low, high = low[band.measured], band.upper[band.measured]
    recorded = low["time"].values
    below, above, finite = low.values, high.values, np.isfinite(recorded)
    style: dict[str, Any] = {"color": line.look.colour, "alpha": 0.2, "lw": 0, "zorder": 1}
    axes.fill_between(recorded[finite], below[finite], above[finite], **style)
    for i in np.nonzero(~finite)[0]:
        axes.vlines(times.infinity, below[i], above[i], color=line.look.colour, lw=1)


def _expected(axes: Axes, values: xr.DataArray, times: TimeAxis, style: dict[str, Any]) -> None:
    """A theory's line, at one height where it does not depend on time."""
    if "time" in values.dims:
        times.plot(axes, values["time"].values, values.values, **style)
    elif values.ndim == 0 and np.isfinite(values):
        axes.axhline(float(values), **style)


def _theory_dash(position: int) -> Dash:
    """Short dashes first, so that the means shine through."""
    return ((0, (2, 3)), (0, (1, 2)), (0, (4, 2, 1, 2)), (0, (6, 3)))[position % 4]


def _neutral(panels: Sequence[Panel]) -> dict[str, str]:
    """Grey shades for a legend that panels with shades of several colours share."""
    shaded = [[line.look.colour for line in panel.lines] for panel in panels]
    if len(panels[0].lines) < 2 or all(colours == shaded[0] for colours in shaded):
        return {}
    texts = [plain(label(line.key)) for line in panels[0].lines]
    return dict(zip(texts, shades(NEUTRAL, len(texts)), strict=True))


def _name_theories(canvas: Canvas, groups: Sequence[Group], name: str) -> list[str]:
    """Say once, below all panels, which dashes are which theory; their names."""
    drawn: dict[str, object] = {}
    for group in groups:
        for j, theory in enumerate(predictions(group.dataset, name)):
            drawn.setdefault(long_name(group.dataset, theory), _theory_dash(j))
    lines = [Line2D([], [], ls=dash, **THEORY) for dash in drawn.values()]
    canvas.legend_below(lines, [f"{plain(word)} (theory)" for word in drawn])
    return list(drawn)

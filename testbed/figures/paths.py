"""Variables against training time, with intervals, theory, and the best stopping time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testbed.analysis import mean_interval, oracle
from testbed.figures.style import (
    COLOURS,
    DASHES,
    PANELS,
    axis_label,
    legends,
    lines_in_view,
    log_axis,
    log_time,
    lower_end,
    panel_title,
    panels,
    predictions,
    same_height,
    sweep_points,
    titled,
    words,
)

LINES = 6
LEFT_OUT = ("evaluations", "finite_steps", "rate_used", "time_reached")  # drawn if asked for
OF_ANOTHER = ("_error", "_modes")  # endings of what says how far another variable is to be trusted


def paths(
    tree: xr.DataTree, of: str | Sequence[str] = (), title: str = "", **_: Any
) -> Iterator[tuple[str, Figure]]:
    """One figure a variable: a panel for each estimator and point of its other sweeps, a line for
    each value of the longest one."""
    wanted = [of] if isinstance(of, str) else list(of)
    for name in wanted or _variables(tree):
        drawn = _figure(tree, name, title)
        if drawn is not None:
            yield f"{name}-against-time", drawn


def _variables(tree: xr.DataTree) -> list[str]:
    """Variables with a time and no own dimension, in the order in which groups hold them."""
    names: dict[str, None] = {}
    for group in tree.children.values():
        for name, values in group.to_dataset().data_vars.items():
            own = set(values.dims) - set(group["status"].dims) - {"time"}
            if "time" in values.dims and not own and not _left_out(str(name), group):
                names[str(name)] = None
    return list(names)


def _left_out(name: str, group: xr.DataTree) -> bool:
    """Theories, records of steps, and what says how far another variable is to be trusted."""
    bare = [name.removesuffix(ending) for ending in OF_ANOTHER if name.endswith(ending)]
    return "__" in name or name in LEFT_OUT or any(own in group for own in bare)


def _figure(tree: xr.DataTree, name: str, title: str) -> Figure | None:
    jobs = []
    for number, (group, node) in enumerate(tree.children.items()):
        if name not in node or node.sizes["time"] < 2:
            continue
        dataset = node.to_dataset()
        sweep = [d for d in dataset[name].dims if d not in ("replicate", "time")]
        lines = max(sweep, key=lambda d: dataset.sizes[d]) if sweep else None
        others = [str(d) for d in sweep if d != lines]
        for point in sweep_points(dataset[name], others):
            if _seen_twice(dataset[name].sel(point)):
                jobs.append((number, str(group), dataset.sel(point), lines, point))
    if not jobs:
        return None
    figure, axes = panels(min(len(jobs), PANELS))
    for ax, (number, group, dataset, lines, point) in zip(axes, jobs, strict=False):
        _panel(ax, dataset, name, None if lines is None else str(lines), number)
        ax.set_title(panel_title(group, point))
    same_height(axes)
    legends(figure, axes)
    _name_theories(figure, jobs[0][2], name)
    axes[0].set_ylabel(axis_label(jobs[0][2][name]))
    titled(figure, title or str(tree.attrs.get("title", name)), len(jobs))
    return figure


def _seen_twice(values: xr.DataArray) -> bool:
    """Whether there is a line to draw: numbers at two times at least."""
    others = [dim for dim in values.dims if dim != "time"]
    return int(values.where(np.isfinite(values)).notnull().any(others).sum()) > 1


def _panel(ax: Any, dataset: xr.Dataset, name: str, lines: str | None, number: int) -> None:
    values = dataset[name]
    points: list[dict[str, Any]] = [{}]
    if lines:
        every = max(1, int(np.ceil(values.sizes[lines] / LINES)))
        points = [{lines: value} for value in values[lines].values[::-1][::every][::-1]]
    shown = []
    for i, point in enumerate(points):
        own = values.sel(point)
        alpha = _strength(i, points)
        colour = COLOURS[number % len(COLOURS)]
        shown.append(_line(ax, own, colour, alpha, words(point)))
        for j, theory in enumerate(predictions(dataset, name)):
            style = {"color": "black", "lw": 0.9, "alpha": alpha, "ls": DASHES[1 + j % 3]}
            _expected(ax, dataset[theory].sel(point), style)
    log_time(ax, values["time"].values)
    log_axis(ax, "y", np.concatenate(shown), 5)
    _bands(ax, values, points, COLOURS[number % len(COLOURS)])
    lines_in_view(ax)


def _line(ax: Any, values: xr.DataArray, colour: str, alpha: float, label: str) -> np.ndarray:
    """A mean, and a dot at the best stopping time of a risk."""
    time = values["time"]
    if not np.isfinite(values).any():  # every replicate failed, or the cell is theory's alone
        ax.plot([], [], color=colour, alpha=alpha, label=f"{label} (no values)")
        return np.zeros(0)
    if "replicate" not in values.dims:
        ax.plot(time, values, color=colour, alpha=alpha, label=label)
        return values.values
    mean = values.mean("replicate")
    ax.plot(time, mean, color=colour, alpha=alpha, label=label)
    if "risk" in str(values.name) or "error" in str(values.name):
        best = oracle(values)
        ax.plot(best.time, best.value.mean(), "o", ms=4, color=colour, alpha=alpha)
    return mean.values


def _bands(ax: Any, values: xr.DataArray, points: list[dict[str, Any]], colour: str) -> None:
    """The means' intervals."""
    if "replicate" not in values.dims:
        return
    for i, point in enumerate(points):
        interval = mean_interval(values.sel(point))
        low = lower_end(interval) if ax.get_yscale() == "log" else interval.lower
        alpha = 0.2 * _strength(i, points)
        ax.fill_between(values["time"], low, interval.upper, color=colour, alpha=alpha, lw=0)


def _strength(i: int, points: list[dict[str, Any]]) -> float:
    """How opaque the i-th of a panel's lines is."""
    return 1.0 if len(points) == 1 else 0.35 + 0.65 * i / (len(points) - 1)


def _expected(ax: Any, values: xr.DataArray, style: dict[str, Any]) -> None:
    """A theory's line, at one height where it does not speak of time."""
    values = values.mean("replicate") if "replicate" in values.dims else values
    if "time" in values.dims:
        ax.plot(values["time"], values, **style)
    elif np.isfinite(values):
        ax.axhline(float(values), **style)


def _name_theories(figure: Figure, dataset: xr.Dataset, name: str) -> None:
    """Say once, below all panels, which dashes are which theory."""
    lines = [
        Line2D(
            [], [], color="black", lw=0.9, ls=DASHES[1 + j % 3],
            label=f"{dataset[theory].attrs.get('long_name', theory)} (theory)",
        )
        for j, theory in enumerate(predictions(dataset, name))
    ]  # fmt: skip
    if lines:
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))

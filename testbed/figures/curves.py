"""Learning curves: the risk at the best stopping time against a sweep, with slopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from testbed.analysis import mean_interval, oracle, slope
from testbed.figures.style import (
    COLOURS,
    DASHES,
    panels,
    sweep_axis,
    sweep_points,
    titled,
    words,
)

PREFERRED = ("n", "width", "dim")
MARKS = "osD^vP"


def learning_curves(
    tree: xr.DataTree, of: str = "excess_risk", x: str = "", title: str = "", **_: Any
) -> Iterator[tuple[str, Figure]]:
    """Value and time at the best stopping time against the sweep `x` (n, unless there is none)."""
    groups = [
        (number, str(name), node.to_dataset()[of])
        for number, (name, node) in enumerate(tree.children.items())
        if of in node and {"time", "replicate"} <= set(node[of].dims)
    ]
    along = x or next((d for d in PREFERRED if any(d in v.dims for _, _, v in groups)), "")
    groups = [
        (i, name, v)
        for i, name, v in groups
        if along in v.dims and v.sizes[along] > 1 and np.isfinite(v).any()
    ]
    if not groups:
        return
    figure, (left, right) = panels(2)
    figure.set_figwidth(figure.get_figwidth() + 2.5)  # for the legend beside them
    for number, name, values in groups:
        _curves(left, right, number, name, values, along)
    for ax, label in (
        (left, f"{groups[0][2].attrs.get('long_name', of)} at the best τ"),
        (right, "best stopping time τ"),
    ):
        ax.set(yscale="log", ylabel=label)
        sweep_axis(ax, groups[0][2][along].values, along)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center")
    titled(figure, title or str(tree.attrs.get("title", "")))
    yield f"{of}-against-{along}", figure


def _curves(
    left: Any, right: Any, number: int, name: str, values: xr.DataArray, along: str
) -> None:
    others = [str(d) for d in values.dims if d not in (along, "time", "replicate")]
    fits = slope(values, along)
    for i, point in enumerate(sweep_points(values, others)):
        if not np.isfinite(values.sel(point)).any():
            continue  # every cell of this curve failed
        best = oracle(values.sel(point))
        interval = mean_interval(best.value)
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[i % len(DASHES)]
        low, mid, high = (float(part.sel(point)) for part in (fits.lower, fits.slope, fits.upper))
        label = ", ".join(filter(None, (name, words(point))))
        x = best.value[along].values.astype(float)
        style = {"color": colour, "marker": MARKS[i % len(MARKS)], "ms": 4}
        spread = [interval.mean - interval.lower, interval.upper - interval.mean]
        left.errorbar(
            x, interval.mean, yerr=np.nan_to_num(np.stack(spread)), ls="none", capsize=2,
            label=f"{label}\nslope {mid:.2f} [{low:.2f}, {high:.2f}]", **style,
        )  # fmt: skip
        line = np.exp(float(fits.intercept.sel(point))) * x**mid
        left.plot(x, line, color=colour, ls=dash, lw=1)
        right.plot(x, best.time, ls=dash, **style)

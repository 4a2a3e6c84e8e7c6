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
    legend_beside,
    lower_end,
    panels,
    predictions,
    sweep_axis,
    sweep_points,
    titled,
    words,
)

PREFERRED = ("n", "width", "dim")
MARKS = "osD^vP"
THEORY: dict[str, Any] = {"lw": 0.9, "ls": (0, (1, 1.5))}


def learning_curves(
    tree: xr.DataTree, of: str = "excess_risk", x: str = "", title: str = "", **_: Any
) -> Iterator[tuple[str, Figure]]:
    """Value and time at the best stopping time against the sweep `x` (n, unless there is none),
    and what theories expect there; of variables that belong to no time, their value alone."""
    groups = [
        (number, str(name), node.to_dataset())
        for number, (name, node) in enumerate(tree.children.items())
    ]
    along = x or next((d for d in PREFERRED if any(_shows(v, of, d) for *_, v in groups)), "")
    groups = [group for group in groups if _shows(group[2], of, along)]
    if not groups:
        return
    timeless = not any("time" in v[name].dims for *_, v in groups for name in _names(v, of))
    figure, (left, *others) = panels(1 if timeless else 2)
    right = others[0] if others else None
    figure.set_figwidth(figure.get_figwidth() + 2.5)  # for the legend beside them
    expected = False
    for number, name, dataset in groups:
        if of in dataset:
            _curves(left, right, number, name, dataset[of], along)
        expected |= _expected(left, right, number, dataset, of, along)
    first = groups[0][2][_names(groups[0][2], of)[0]]
    long = str(first.attrs.get("long_name", of))
    labels = (long,) if timeless else (f"{long} at the best τ", "best stopping time τ")
    for ax, label in zip((left, *others), labels, strict=True):
        ax.set(yscale="log", ylabel=label)
        sweep_axis(ax, first[along].values, along)
    if expected:
        left.plot([], [], label="expected by theory", **THEORY, color="black")
    legend_beside(figure, *left.get_legend_handles_labels())
    titled(figure, title or str(tree.attrs.get("title", "")))
    yield f"{of}-against-{along}", figure


def _names(dataset: xr.Dataset, of: str) -> list[str]:
    """The variable where it was measured, and its predictions."""
    measured = of in dataset and "replicate" in dataset[of].dims
    return [*([of] if measured else []), *predictions(dataset, of)]


def _shows(dataset: xr.Dataset, of: str, along: str) -> bool:
    """Whether a group has a curve along the sweep, simulated or expected."""
    values = [dataset[name] for name in _names(dataset, of)]
    return any(along in v.dims and v.sizes[along] > 1 and np.isfinite(v).any() for v in values)


def _expected(left: Any, right: Any, number: int, dataset: xr.Dataset, of: str, along: str) -> bool:
    """Each theory's least value over time as a thin line, and when; whether there was one."""
    drawn = False
    for name in predictions(dataset, of):
        values = dataset[name]
        if along not in values.dims:
            continue
        values = values.mean("replicate") if "replicate" in values.dims else values
        for point in sweep_points(
            values, [str(d) for d in values.dims if d not in (along, "time")]
        ):
            curve, style = values.sel(point), {"color": COLOURS[number % len(COLOURS)], **THEORY}
            x = curve[along].astype(float)
            if "time" in curve.dims:
                best = oracle(curve)
                curve = best.value
                right.plot(x, best.time, **style)
            left.plot(x, curve, **style)
            drawn |= bool(np.isfinite(curve).any())
    return drawn


def _curves(
    left: Any, right: Any, number: int, name: str, values: xr.DataArray, along: str
) -> None:
    if "time" not in values.dims:
        values = values.expand_dims(time=[0.0])
    others = [str(d) for d in values.dims if d not in (along, "time", "replicate")]
    fits = slope(values, along)
    for i, point in enumerate(sweep_points(values, others)):
        if not np.isfinite(values.sel(point)).any():
            continue  # every cell of this curve failed, or is theory's alone
        best = oracle(values.sel(point))
        interval = mean_interval(best.value)
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[i % len(DASHES)]
        low, mid, high = (
            float(part.sel(point)) for part in (fits.lower, fits.estimate, fits.upper)
        )
        label = ", ".join(filter(None, (name, words(point))))
        if np.isfinite(mid):
            label += f"\nslope {mid:.2f} [{low:.2f}, {high:.2f}]"
        x = best.value[along].values.astype(float)
        style = {"color": colour, "marker": MARKS[i % len(MARKS)], "ms": 4}
        spread = [interval.estimate - lower_end(interval), interval.upper - interval.estimate]
        left.errorbar(
            x, interval.estimate, yerr=np.nan_to_num(np.stack(spread)), ls="none", capsize=2,
            label=label, **style,
        )  # fmt: skip
        line = np.exp(float(fits.intercept.sel(point))) * x**mid
        line[np.isnan(interval.estimate)] = np.nan
        left.plot(x, line, color=colour, ls=dash, lw=1)
        if right is not None:
            right.plot(x, best.time, ls=dash, **style)

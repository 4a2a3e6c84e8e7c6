"""All estimators beside each other along a sweep, a panel for each point of another sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from testbed.analysis import mean_interval, oracle
from testbed.figures.style import (
    COLOURS,
    DASHES,
    PANELS,
    legend_beside,
    lower_end,
    panels,
    predictions,
    same_height,
    sweep_axis,
    sweep_points,
    titled,
    words,
)

MARKS = "osD^vP"
DEPTH = 30  # how far below the simulated values a theory is followed


def facets(
    tree: xr.DataTree,
    of: str = "excess_risk",
    x: str = "",
    by: str = "",
    at: Mapping[str, Any] | None = None,
    title: str = "",
    **_: Any,
) -> Iterator[tuple[str, Figure]]:
    """`of` at the best stopping time against the sweep `x`, a panel for each value of the sweep
    `by`, other sweeps at their values `at`; what theories say as black dashes. Only if asked for:
    without `x` and `by` there is nothing to draw."""
    chosen = {dim: value for dim, value in (at or {}).items()}
    groups = [
        (number, str(name), _selected(node.to_dataset(), chosen))
        for number, (name, node) in enumerate(tree.children.items())
        if of in node and {x, by, "time", "replicate"} <= set(node[of].dims)
    ]
    if not groups:
        return
    values = groups[0][2][of][by].values[:PANELS]
    figure, axes = panels(len(values))
    figure.set_figwidth(figure.get_figwidth() + 2)  # for the legend beside them
    for ax, value in zip(axes, values, strict=True):
        expected: list[tuple[np.ndarray, str]] = []
        least = np.inf
        for number, name, dataset in groups:
            least = min(least, _curves(ax, number, name, dataset.sel({by: value}), of, x))
            _note_theories(expected, dataset.sel({by: value}), of, x)
        for i, (curve, label) in enumerate(expected):
            along, shown = groups[0][2][x].values.astype(float), np.where(curve > 0, curve, np.nan)
            ax.plot(along, shown, color="black", lw=1, ls=DASHES[1 + i % 3], label=label)
        ax.set(yscale="log", title=words({by: value}))
        if np.isfinite(least) and least > 0:
            _cut_below(ax, least, [curve for curve, _ in expected])
        sweep_axis(ax, groups[0][2][x].values, x)
    same_height(axes)
    axes[0].set_ylabel(f"{groups[0][2][of].attrs.get('long_name', of)}\nat the best τ")
    handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    legend_beside(figure, list(handles.values()), list(handles))
    below = f" ({words(chosen)})" if chosen else ""
    titled(figure, (title or str(tree.attrs.get("title", ""))) + below)
    yield f"{of}-by-{by}", figure


def _cut_below(ax: Any, least: float, expected: list[np.ndarray]) -> None:
    """End a little below the least mean; lower for theories, which like intervals may go to 0."""
    positive = np.concatenate([[least], *(curve[curve > 0] for curve in expected)])
    ax.set_ylim(bottom=max(float(positive.min()), least / DEPTH) / 2)


def _selected(dataset: xr.Dataset, at: Mapping[str, Any]) -> xr.Dataset:
    return dataset.sel({dim: value for dim, value in at.items() if dim in dataset.dims})


def _curves(ax: Any, number: int, name: str, dataset: xr.Dataset, of: str, x: str) -> float:
    """An estimator's lines with their intervals; the least mean that is drawn."""
    values, least = dataset[of], np.inf
    others = [str(dim) for dim in values.dims if dim not in (x, "time", "replicate")]
    for i, point in enumerate(sweep_points(values, others)):
        interval = mean_interval(oracle(values.sel(point)).value)
        if not np.isfinite(interval.estimate).any():
            continue
        least = min(least, float(interval.estimate.min()))
        spread = [interval.estimate - lower_end(interval), interval.upper - interval.estimate]
        ax.errorbar(
            values[x].values.astype(float), interval.estimate, yerr=np.nan_to_num(np.stack(spread)),
            color=COLOURS[number % len(COLOURS)], ls=DASHES[i % len(DASHES)], lw=1.2, capsize=2,
            marker=MARKS[i % len(MARKS)], ms=4,
            label=", ".join(filter(None, (name, *map(str, point.values())))),
        )  # fmt: skip
    return least


def _note_theories(
    expected: list[tuple[np.ndarray, str]], dataset: xr.Dataset, of: str, x: str
) -> None:
    """Each theory's curve once, however many estimators it speaks about."""
    for name in predictions(dataset, of):
        values = dataset[name].min("time") if "time" in dataset[name].dims else dataset[name]
        label = str(dataset[name].attrs.get("long_name", name))
        known = [text for _, text in expected]
        if values.dims == (x,) and np.isfinite(values).any() and label not in known:
            expected.append((values.values, label))

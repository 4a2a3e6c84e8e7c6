"""One look for all figures: a colour per estimator, safe for colour-blind readers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from testbed.contract.names import in_words

if TYPE_CHECKING:
    import xarray as xr

# Okabe and Ito's palette, yellow left out: it vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
NO_BREAK = "\N{NO-BREAK SPACE}"
ROUNDING, EXPLODED = 1e-10, 1e6  # beside the median of what a logarithmic axis shows
PANELS = 12  # most that a figure has room for
LEGEND_SIZE = 8.5  # points
LEGEND_INSIDE = 12  # most lines that a panel has room for beside its curves
LEGEND_TALLEST = 9.0  # inches; a longer legend goes on in another column


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for every figure."""
    settings: Any = {
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": True,  # lines shine through, and labels stay legible above them
        "legend.framealpha": 0.8,
        "legend.edgecolor": "none",
        "legend.fontsize": LEGEND_SIZE,
        "lines.linewidth": 1.5,
        "savefig.dpi": 150,
        "svg.fonttype": "none",
        "svg.hashsalt": "testbed",
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(settings):
        yield


def panels(count: int) -> tuple[Figure, list[Any]]:
    """A figure with `count` axes in rows of three, or of four where there are many."""
    columns = min(4 if count > 9 else 3, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(1.0 + 3.9 * columns, 0.5 + 3.1 * rows))
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, axes


def titled(figure: Figure, title: str, wanted: int = 0) -> None:
    """The figure's title, in as many lines as its width asks for; it says if of the panels that
    were `wanted` some had no room.
    """
    left_out = wanted - len(figure.axes)
    note = f" ({left_out} more panels left out)" if left_out > 0 else ""
    figure.suptitle(textwrap.fill(title + note, int(10 * figure.get_figwidth())))


def legends(figure: Figure, axes: list[Any]) -> None:
    """One legend beside the panels if they all say the same or one says much, else one in each."""
    handles = [axis.get_legend_handles_labels() for axis in axes]
    labels = [tuple(names) for _, names in handles if names]
    said = max((len("\n".join(names).splitlines()) for names in labels), default=0)
    alike = len(set(labels)) == 1
    if alike and (len(axes) > 1 or said > LEGEND_INSIDE):
        legend_beside(figure, *next(pair for pair in handles if pair[1]))
    else:
        for axis, (_, names) in zip(axes, handles, strict=True):
            if len(names) > 1:
                axis.legend()


def legend_beside(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend at the right of all panels, which share what it takes; the figure grows where that
    is too much for one panel, or not high enough."""
    if not labels:
        return
    entry = max(1.2 * (1 + label.count("\n")) + 0.6 for label in labels) * LEGEND_SIZE / 72
    columns = math.ceil(len(labels) * entry / LEGEND_TALLEST)
    inches = math.ceil(len(labels) / columns) * entry + 0.6  # with its frame and the title above
    figure.set_figheight(max(figure.get_figheight(), inches))
    figure.set_figwidth(figure.get_figwidth() + 2.0 * (columns - (len(figure.axes) > 1)))
    figure.legend(handles, labels, loc="outside right center", ncols=columns)


def some(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of at most `count` values, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))


def lower_end(interval: Any) -> xr.DataArray:
    """Where an interval begins on a logarithmic axis; one that holds zero is as long down as up."""
    return interval.lower.where(interval.lower > 0, interval.estimate**2 / interval.upper)


def log_axis(axes: Any, which: str, values: np.ndarray, factor: float) -> None:
    """A logarithmic axis, "x" or "y", where values are positive and span more than a factor."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > factor * finite.min():
        axes.set(**{f"{which}scale": "log"})


def lines_in_view(axes: Any) -> None:
    """On a logarithmic axis: room for lines, not for bands that reach down to zero, nor for what is
    zero but for rounding, or explodes."""
    if axes.get_yscale() != "log":
        return
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    heights = heights[heights > 0]
    if heights.size:
        bottom, top = axes.get_ylim()
        middle = float(np.median(heights))
        least = float(heights[heights > ROUNDING * middle].min())
        axes.set_ylim(max(bottom, least / 3), min(top, EXPLODED * middle))


def sweep_points(values: xr.DataArray, dims: list[str]) -> Iterator[dict[str, Any]]:
    """Every combination of coordinates along some dims."""
    sizes = [values.sizes[dim] for dim in dims]
    for position in np.ndindex(*sizes):
        yield {dim: values[dim].values[i] for dim, i in zip(dims, position, strict=True)}


def words(point: dict[str, Any]) -> str:
    """A point of a sweep as a label: `n = 500, depth = 1`."""
    return in_words(point, " = ", ", ")


def panel_title(name: str, point: dict[str, Any]) -> str:
    """A panel's heading in as many lines as its width asks for, none of which ends at a `=`."""
    kept = [words({dim: value}).replace(" ", NO_BREAK) for dim, value in point.items()]
    whole = f"{name}: {', '.join(kept)}" if kept else name
    return textwrap.fill(whole, 42).replace(NO_BREAK, " ")


def same_height(axes: list[Any]) -> None:
    """Equal limits in all panels, so that heights can be compared."""
    limits = [ax.get_ylim() for ax in axes]
    scales = {ax.get_yscale() for ax in axes}
    if len(scales) > 1:
        return
    for ax in axes:
        ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def predictions(dataset: xr.Dataset, name: str) -> list[str]:
    """The variables in which a theory predicts this one."""
    return [str(v) for v in dataset.data_vars if dataset[v].attrs.get("predicts") == name]


def axis_label(values: xr.DataArray) -> str:
    """Long name with its unit."""
    name = str(values.attrs.get("long_name", values.name))
    unit = values.attrs.get("units", "1")
    return textwrap.fill(name if unit in ("1", "") else f"{name} [{unit}]", 42)


def log_time(axes: Any, times: np.ndarray) -> None:
    """A logarithmic time axis, linear below the first positive time if the grid begins at 0. The
    limit t = ∞ has no place on it."""
    times = times[np.isfinite(times)]
    positive = times[times > 0]
    if positive.size and positive.max() > 30 * positive.min():
        if times.min() == 0:
            axes.set_xscale("symlog", linthresh=float(positive.min()), linscale=0.5)
            axes.set_xlim(left=0)
            first, last = math.ceil(np.log10(positive.min())), int(np.log10(positive.max()))
            axes.set_xticks([0.0, *10.0 ** np.arange(first, last + 1)])
        else:
            axes.set_xscale("log")
    axes.set_xlabel("training time τ")


def sweep_axis(axes: Any, values: np.ndarray, label: str) -> None:
    """An axis over a sweep with ticks at its values only; logarithmic unless they are spaced evenly
    (exponents, smoothness)."""
    values = np.asarray(values, dtype=float)
    steps = np.diff(values)
    even = len(steps) > 1 and np.ptp(steps) <= 1e-6 * np.abs(steps).max()
    if values.min() > 0 and values.max() > 2 * values.min() and not even:
        axes.set_xscale("log")
    every = max(1, math.ceil(len(values) / 6))
    axes.set_xticks(values[::every], [f"{value:g}" for value in values[::every]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)

"""Axes: a place for infinite times, ticks that do not overlap, equal limits."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

ROUNDING, EXPLODED = 1e-10, 1e6  # relative to the median of what a logarithmic axis shows
MINOR = 1e4  # the ratio of the ends of an axis from which it has no small ticks
LOG_FROM = 30.0  # the ratio of the last time to the first from which times are logarithmic
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_TICKS = 100  # on one axis: more would touch one another
CHARACTER = 0.62  # width of a character relative to the font size
Floats = np.ndarray


@frozen
class TimeAxis:
    """An axis of training times: linear below the first positive time if the grid begins at 0,
    and with a place of its own for the limit τ = ∞ at its end."""

    finite: tuple[float, ...]
    limit: bool

    @classmethod
    def of(cls, times: Sequence[float] | Floats) -> TimeAxis:
        """The axis that shows these times."""
        distinct = [
            float(t) for t in np.unique(np.asarray(times, dtype=float)) if not math.isnan(t)
        ]
        return cls(tuple(t for t in distinct if math.isfinite(t)), math.inf in distinct)

    @property
    def logarithmic(self) -> bool:
        positive = [t for t in self.finite if t > 0]
        return bool(positive) and positive[-1] > LOG_FROM * positive[0]

    @property
    def infinity(self) -> float:
        """The position of τ = ∞."""
        if not self.finite or self.finite[-1] <= 0:
            return 1.0
        first = next(t for t in self.finite if t > 0)
        last = self.finite[-1]
        if self.logarithmic:
            return float(last * max(4.0, (last / first) ** 0.1))
        return last + 0.15 * (last - min(self.finite[0], 0.0))

    def place(self, times: Sequence[float] | Floats) -> Floats:
        """The times as positions on the axis."""
        values = np.asarray(times, dtype=float)
        return np.where(np.isposinf(values), self.infinity, values)

    def plot(self, axes: Axes, times: Floats, values: Floats, **style: Any) -> None:
        """A line through the finite times, and a mark at τ = ∞."""
        times, values = np.asarray(times, float), np.asarray(values, float)
        finite = np.isfinite(times)
        axes.plot(times[finite], values[finite], **style)
        at_limit = values[np.isposinf(times)]
        if at_limit.size and np.isfinite(at_limit).all():
            marker_style = {k: v for k, v in style.items() if k not in ("label", "ls", "marker")}
            axes.plot([self.infinity], at_limit, ">", **marker_style)

    def apply(self, axes: Axes, which: str = "x", label: str = "training time τ") -> None:
        """Scale, limits, ticks and label of an axis, "x" or "y"."""
        getattr(axes, f"set_{which}label")(label)
        positive = [t for t in self.finite if t > 0]
        if self.logarithmic and self.finite[0] <= 0:
            scale = getattr(axes, f"set_{which}scale")
            scale("symlog", linthresh=positive[0], linscale=0.5)
            getattr(axes, f"set_{which}lim")(**{"left" if which == "x" else "bottom": 0})
        elif self.logarithmic:
            getattr(axes, f"set_{which}scale")("log")
        if self.limit or (self.logarithmic and self.finite[0] <= 0):
            self._ticks(axes, which, positive)

    def _ticks(self, axes: Axes, which: str, positive: Sequence[float]) -> None:
        if self.logarithmic:
            ticks = _powers(positive[0], positive[-1], _inches(axes, which))
        else:
            ends = np.unique([self.finite[0], self.finite[-1]]) if self.finite else np.zeros(0)
            middle = np.linspace(ends[0], ends[-1], 4)[1:-1] if len(ends) == 2 else ends[:0]
            rounded = [float(f"{t:.1g}") for t in middle if ends[0] < float(f"{t:.1g}") < ends[1]]
            ticks = {float(t): number(t) for t in sorted({*map(float, ends), *rounded})}
        if self.logarithmic and self.finite[0] <= 0:
            ticks = {0.0: "0"} | ticks
        if self.limit:
            ticks[self.infinity] = "∞"
        set_ticks(axes, which, list(ticks), list(ticks.values()), self._distances(list(ticks)))
        if self.limit and self.finite:
            end = self.finite[-1]
            gap = math.sqrt(end * self.infinity) if end > 0 else 0.5
            line = axes.axvline if which == "x" else axes.axhline
            line(gap, color="0.75", lw=0.8, ls=(0, (1, 2)), zorder=0)

    def _distances(self, ticks: Sequence[float]) -> Floats:
        """Positions of ticks between 0 and 1 along the axis."""
        values = np.asarray(ticks, float)
        if self.logarithmic:
            first = next(t for t in self.finite if t > 0)
            zero = math.log10(first) - 0.6
            values = np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), zero)
        return fractions(values)


def _powers(first: float, last: float, inches: float) -> dict[float, str]:
    """Powers of ten between two times; every second or third has a label where room is short."""
    exponents = range(math.ceil(math.log10(first)), int(math.log10(last)) + 1)
    step = max(1, math.ceil(len(exponents) * 0.45 / inches))
    return {10.0**e: power(10.0**e) if e % step == 0 else "" for e in exponents}


def number(value: float) -> str:
    """A number as a tick label: `1e6` rather than `1e+06`, three digits of a fraction."""
    text = f"{value:g}" if float(value).is_integer() else f"{value:.3g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def fractions(values: Floats) -> Floats:
    """Values as fractions of their range."""
    width = float(np.ptp(values)) if len(values) else 0.0
    return (values - values.min()) / width if width > 0 else np.zeros(len(values))


def set_ticks(
    axes: Axes, which: str, ticks: Sequence[float], labels: Sequence[str], places: Floats
) -> None:
    """Ticks at values, with the labels that have room; the first and the last are kept. Where ticks
    would touch one another, only those with a label are drawn."""
    room = (_inches(axes, which), _font(), which == "y")
    steps = np.diff(places)
    even = len(steps) > 1 and float(np.ptp(steps)) < 1e-6
    shown = spaced(places, labels, *room) if even else roomy(places, labels, *room)
    drawn = sorted(shown) if len(ticks) > MOST_TICKS else range(len(ticks))
    setter = axes.set_xticks if which == "x" else axes.set_yticks
    setter([ticks[i] for i in drawn], [labels[i] if i in shown else "" for i in drawn])
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_minor_locator(NullLocator())


def _inches(axes: Axes, which: str) -> float:
    """The approximate length of an axis: its share of the figure without labels."""
    figure, spec = axes.get_figure(root=True), axes.get_subplotspec()
    size = 4.0 if figure is None else figure.get_size_inches()[0 if which == "x" else 1]
    columns, rows = (1, 1)
    if spec is not None:
        rows, columns = spec.get_gridspec().nrows, spec.get_gridspec().ncols
    return float(max(size / (columns if which == "x" else rows) - 0.9, 0.8))


def _font() -> float:
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=rcParams["xtick.labelsize"]).get_size_in_points()


def roomy(
    places: Floats, labels: Sequence[str], inches: float, points: float, upright: bool = False
) -> set[int]:
    """The labels that fit next to each other on an axis: the ends first, then from the left."""
    if not len(places):
        return set()
    plain = [len(text) for text in labels]
    widths = [(1.4 if upright else CHARACTER * count + 0.8) * points / 72 for count in plain]
    kept = [0]
    last = len(places) - 1
    for i in [last, *range(1, last)] if last else []:
        if not labels[i]:
            continue
        needed = [abs(places[i] - places[j]) * inches - (widths[i] + widths[j]) / 2 for j in kept]
        if min(needed) >= 0:
            kept.append(i)
    return set(kept)


def spaced(
    places: Floats, labels: Sequence[str], inches: float, points: float, upright: bool = False
) -> set[int]:
    """The labels of evenly spaced ticks that are shown: every one, every second, every third, …"""
    for step in range(1, len(places) + 1):
        chosen = list(range(0, len(places), step))
        fitting = roomy(places[chosen], [labels[i] for i in chosen], inches, points, upright)
        if len(fitting) == len(chosen):
            return set(chosen)
    return {0}


def sweep_axis(axes: Axes, values: Sequence[float] | Floats, label: str) -> None:
    """An axis over a sweep with ticks at its values only; logarithmic unless they are spaced evenly
    (exponents, smoothness)."""
    distinct = np.unique(np.asarray(values, dtype=float))
    steps = np.diff(distinct)
    even = len(steps) > 1 and np.ptp(steps) <= 1e-6 * np.abs(steps).max()
    logarithmic = distinct.min() > 0 and distinct.max() > 2 * distinct.min() and not even
    if logarithmic:
        axes.set_xscale("log")
    places = fractions(np.log(distinct) if logarithmic else distinct)
    set_ticks(axes, "x", list(distinct), [number(v) for v in distinct], places)
    if len(distinct) > 1:
        margin = 0.04 * (
            np.log(distinct[-1] / distinct[0]) if logarithmic else distinct[-1] - distinct[0]
        )
        ends, margins = distinct[[0, -1]], np.array([-margin, margin])
        axes.set_xlim(*(ends * np.exp(margins) if logarithmic else ends + margins))
    axes.set_xlabel(label)


def log_axis(axes: Axes, which: str, values: Floats, factor: float) -> None:
    """A logarithmic axis, "x" or "y", where values are positive and span more than a factor."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > factor * finite.min():
        getattr(axes, f"set_{which}scale")("log")


def lines_in_view(axes: Axes) -> None:
    """On a logarithmic axis: room for lines, not for bands that reach far beyond them, nor for
    values that are zero up to rounding, or that explode."""
    if axes.get_yscale() != "log":
        return
    heights = _heights(axes)
    heights = heights[heights > 0]
    if heights.size:
        bottom, top = axes.get_ylim()
        middle = float(np.median(heights))
        least = float(heights[heights > ROUNDING * middle].min())
        highest = min(3 * float(heights.max()), EXPLODED * middle)
        axes.set_ylim(max(bottom, least / 3), min(top, highest))


def log_ticks(axes: Axes) -> None:
    """Tick labels of logarithmic axes: powers of ten, or plain numbers at 1, 2 and 5 on a vertical
    axis of less than two decades; small ticks where there are at most four decades."""
    bottom, top = axes.get_ylim()
    if axes.get_yscale() == "log":
        short = bottom > 0 and top < 100 * bottom
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if short else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: number(v) if short else power(v)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if axes.get_xscale() == "log" and not isinstance(axes.xaxis.get_major_locator(), FixedLocator):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    for axis, (first, last) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        long = axis.get_scale() == "log" and first > 0 and last > MINOR * first
        if long or axis.get_scale() == "symlog":
            axis.set_minor_locator(NullLocator())


def power(value: float) -> str:
    """A power of ten in letters, which are set faster than mathematics.

    >>> power(1e-5), power(1.0)
    ('10⁻⁵', '1')
    """
    if value <= 0:
        return ""
    exponent = round(math.log10(value))
    if not math.isclose(value, 10.0**exponent, rel_tol=1e-6):
        return number(value)
    if exponent in (0, 1):
        return "1" if exponent == 0 else "10"
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def same_limits(panels: Sequence[Axes], which: str = "xy") -> None:
    """Equal limits in all panels with the same scale, so that they can be compared."""
    for axis in which:
        drawn = [ax for ax in panels if ax.has_data()]
        limits = [getattr(ax, f"get_{axis}lim")() for ax in drawn]
        scales = {getattr(ax, f"get_{axis}scale")() for ax in drawn}
        if axis == "y" and scales == {"linear", "log"} and _all_positive(drawn):
            for ax in drawn:
                ax.set_yscale("log")
            limits = [ax.get_ylim() for ax in drawn]
        elif len(scales) != 1:
            continue
        low, high = min(limit[0] for limit in limits), max(limit[1] for limit in limits)
        for ax in drawn:
            getattr(ax, f"set_{axis}lim")(low, high)


def _all_positive(panels: Sequence[Axes]) -> bool:
    return all(bool((_heights(axes) > 0).all()) for axes in panels)


def _heights(axes: Axes) -> Floats:
    """The finite heights of all lines that are drawn in units of the data."""
    drawn = [
        np.asarray(line.get_ydata(), float)
        for line in axes.lines
        if line.get_transform().contains_branch_seperately(axes.transData)[1]
    ]
    heights = np.concatenate(drawn) if drawn else np.zeros(0)
    return heights[np.isfinite(heights)]


def outer_labels(panels: Sequence[Axes]) -> None:
    """Labels only at the left column and the bottom row, where all panels have the same labels."""
    for axis, edge in (("y", "is_first_col"), ("x", "is_last_row")):
        texts = {getattr(ax, f"get_{axis}label")() for ax in panels}
        if len(texts) != 1:
            continue
        spec = panels[0].get_subplotspec()
        columns = spec.get_gridspec().ncols if spec is not None else 1
        for i, ax in enumerate(panels):
            place = ax.get_subplotspec()
            outer = place is None or getattr(place, edge)()
            below = axis == "x" and i + columns >= len(panels)  # nothing stands under this panel
            if not (outer or below):
                getattr(ax, f"set_{axis}label")("")


def scaled(panels: Sequence[Axes], scale: object) -> None:
    """Set the scales that the figure's table asks for: "log" or "linear", for both axes or for
    one."""
    by_axis = scale if isinstance(scale, Mapping) else {"x": scale, "y": scale} if scale else {}
    for axis, word in by_axis.items():
        for ax in panels:
            if getattr(ax, f"get_{axis}scale")() != word:
                getattr(ax, f"set_{axis}scale")(word)
                axis_object = ax.xaxis if axis == "x" else ax.yaxis
                if word == "log":
                    axis_object.set_minor_formatter(NullFormatter())


def axis_label(values: xr.DataArray) -> str:
    """Long name with its unit."""
    name = str(values.attrs.get("long_name", values.name))
    unit = values.attrs.get("units", "1")
    return textwrap.fill(name if unit in ("1", "") else f"{name} [{unit}]", 42)

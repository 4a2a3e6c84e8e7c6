"""Learning curves: the value at the best stopping time against a sweep, with slopes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from testbed.contract.figures import ORACLE
from testbed.figures.axes import TimeAxis, sweep_axis
from testbed.figures.canvas import Canvas, plain
from testbed.figures.curves import (
    THEORY,
    Curve,
    curve_notes,
    curves_of,
    default_axis,
    draw_best_time,
    draw_curve,
    draw_expected,
    drawn_variables,
    set_value_axis,
    sweep_values,
    time_words,
    value_code,
)
from testbed.figures.drawn import (
    Drawn,
    Options,
    at_of,
    averaged,
    listed,
    sentences,
)
from testbed.figures.groups import Group, groups_of, long_name
from testbed.figures.published import draw_published


def learning_curves(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """Value and time at the best stopping time against the sweep `x` (n, unless there is none),
    and what theories expect there; of variables without a time, or at a time that is held, their
    value alone. Estimators without the sweep are horizontal references."""
    held_values = at_of(options)
    groups = groups_of(tree, held_values)
    for of, shown in drawn_variables(groups, options):
        x = str(options.get("x", "")) or default_axis(shown, of, "of" in options)
        if not any(_sweeps(group, of, x) for group in shown):
            continue  # before curves are made of every point of other sweeps
        curves = curves_of(
            shown, of, x, held_values.get("time", ORACLE), str(options.get("colour", ""))
        )
        if any(curve.x is not None and len(curve.x) > 1 for curve in curves):
            yield _figure(tree, shown, of, x, curves, options)


def _sweeps(group: Group, of: str, x: str) -> bool:
    """Whether a group has a variable at more than one value of a sweep."""
    return of in group.dataset and group.dataset[of].sizes.get(x, 1) > 1


def _figure(
    tree: xr.DataTree,
    groups: Sequence[Group],
    of: str,
    x: str,
    curves: Sequence[Curve],
    options: Options,
) -> Drawn:
    held_values = at_of(options)
    timed = any(curve.values.time is not None for curve in curves)
    canvas = Canvas.of(2 if timed else 1, options)
    if canvas.on_screen:
        canvas.figure.set_figwidth(canvas.figure.get_figwidth() + 2.5)  # for the legend
    value = canvas.panels[0]
    set_value_axis(value, curves)
    for curve in curves:
        draw_curve(value, curve)
    expected = any([draw_expected(value, curve) for curve in curves])
    sources = draw_published(value, tree, curves, of, x)
    if timed:
        _best_times(canvas, groups, of, curves)
    for axes in canvas.panels:
        sweep_axis(axes, sweep_values(curves), x)
    word = long_name(groups[0].dataset, of)
    value.set_ylabel(plain(word + time_words(held_values.get("time", ORACLE), timed)))
    if expected:
        value.plot([], [], label="expected by theory", **THEORY, color="black")
    canvas.legend_beside(*value.get_legend_handles_labels())
    figure = canvas.finish(str(tree.attrs.get("title", "")), share="x")
    caption = _caption(groups, of, x, curves, timed, held_values)
    caption += f" Diamonds: published ({sources})." if sources else ""
    return Drawn(f"{of}-against-{x}", figure, caption, value_code(groups, of, timed))


def _best_times(canvas: Canvas, groups: Sequence[Group], of: str, curves: Sequence[Curve]) -> None:
    axes = canvas.panels[1]
    recorded = [group.dataset["time"].values for group in groups if "time" in group.dataset.coords]
    times = TimeAxis.of(_near(np.concatenate(recorded), curves))
    for curve in curves:
        draw_best_time(axes, curve, times)
    times.apply(axes, "y", "best stopping time τ")
    if not times.limit and not times.finite:
        axes.set_ylim(0, 1)


def _near(recorded: np.ndarray, curves: Sequence[Curve]) -> np.ndarray:
    """The recorded times around the best ones, so that the axis holds no more."""
    parts = [curve.values.time for curve in curves if curve.values.time is not None]
    parts += [p.time for c in curves for p in c.theories.values() if p.time is not None]
    best = np.concatenate([np.ravel(part.values) for part in parts])
    best = best[~np.isnan(best)]
    return best if best.size else recorded


def _caption(
    groups: Sequence[Group],
    of: str,
    x: str,
    curves: Sequence[Curve],
    timed: bool,
    held_values: Options,
) -> str:
    word = long_name(groups[0].dataset, of)
    subject = f"{word}{time_words(held_values.get('time', ORACLE), timed)} against {x}"
    if timed:
        subject = f"left, {subject}; right, that time"
    return sentences(
        f"{subject}, for {listed(group.name for group in groups)}",
        averaged(groups, of),
        "lines are power laws fitted to the means" if any(curve.law for curve in curves) else "",
        *curve_notes(curves, x, "dotted", held_values),
    )

"""All estimators side by side along a sweep, a panel for each point of another sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import evolve, frozen
from matplotlib.axes import Axes

from testbed.contract.figures import ORACLE, RISKS
from testbed.figures.axes import sweep_axis
from testbed.figures.canvas import Canvas, panel_title, plain
from testbed.figures.curves import (
    Curve,
    curve_notes,
    curves_of,
    draw_curve,
    drawn_variables,
    set_value_axis,
    sweep_values,
    theory_names,
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
from testbed.figures.looks import DASHES, looks, words


@frozen
class Facet:
    """A panel: a value of `by`, and the curves there."""

    value: object
    curves: Sequence[Curve]


def facets(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """A variable at the best stopping time, or at the one that is held, against the sweep `x`, a
    panel for each value of the sweep `by`; what theories say as black dashes."""
    held_values = at_of(options)
    x, by = str(options["x"]), str(options["by"])
    groups = groups_of(tree, held_values)
    for of, shown in drawn_variables(groups, options):
        values = [g.dataset[by].values.tolist() for g in shown if by in g.dataset[of].dims]
        curves = curves_of(shown, of, x, held_values.get("time", ORACLE))
        panels = [
            Facet(value, list(_curves_at(curves, by, value)))
            for value in dict.fromkeys(v for coordinates in values for v in coordinates)
        ]
        panels = _looked(panels, str(options.get("colour", "")))
        if panels:
            yield _figure(tree, shown, of, x, by, panels, options)


def _curves_at(curves: Sequence[Curve], by: str, value: object) -> Iterator[Curve]:
    """The curves at a value of `by`; those without it are references in every panel."""
    for curve in curves:
        if by not in curve.key:
            yield curve
        elif curve.key[by] == value:
            yield evolve(curve, key={k: v for k, v in curve.key.items() if k != by})


def _looked(panels: Sequence[Facet], colour: str) -> list[Facet]:
    """The panels that have curves, with equal looks for equal curves in all of them."""
    distinct = {str(sorted(c.key.items(), key=str)): c.key for p in panels for c in p.curves}
    drawn = dict(zip(distinct, looks(list(distinct.values()), colour), strict=True))
    return [
        Facet(
            panel.value,
            [evolve(c, look=drawn[str(sorted(c.key.items(), key=str))]) for c in panel.curves],
        )
        for panel in panels
        if panel.curves
    ]


def _figure(
    tree: xr.DataTree,
    groups: Sequence[Group],
    of: str,
    x: str,
    by: str,
    panels: Sequence[Facet],
    options: Options,
) -> Drawn:
    held_values = at_of(options)
    canvas = Canvas.of(len(panels), options)
    if canvas.on_screen:
        canvas.figure.set_figwidth(canvas.figure.get_figwidth() + 2)  # for the legend
    everything = [curve for panel in panels for curve in panel.curves]
    timed = any(curve.values.time is not None for curve in everything)
    word = long_name(groups[0].dataset, of) + time_words(held_values.get("time", ORACLE), timed)
    for axes, panel in zip(canvas.panels, panels, strict=False):
        set_value_axis(axes, panel.curves)
        for curve in panel.curves:
            draw_curve(axes, evolve(curve, law=None))
        _theories(axes, panel.curves, theory_names(everything))
        axes.set_title(panel_title("", {by: panel.value}))
        axes.set_ylabel(plain(word))
        sweep_axis(axes, sweep_values(everything), x)
    artists: dict[str, Any] = {}
    for axes in canvas.panels:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            artists.setdefault(text, handle)
    canvas.legend_beside(list(artists.values()), list(artists))
    fixed = {dim: value for dim, value in held_values.items() if value != ORACLE}
    below = f" ({words(fixed)})" if fixed else ""
    figure = canvas.finish(str(tree.attrs.get("title", "")) + below)
    caption = _caption(groups, word, x, by, everything, held_values)
    code = value_code(groups, of, timed)
    return Drawn(f"{of}-by-{by}", figure, caption, code)


def _theories(axes: Axes, curves: Sequence[Curve], available: Sequence[str]) -> None:
    """Each theory's curve once, however many estimators it predicts, in its own dashes."""
    drawn: list[tuple[str, bytes]] = []
    for curve in curves:
        for theory, part in curve.theories.items():
            heights = part.band.mean.values
            mark = (curve.names[theory], np.round(heights, 12).tobytes())
            if mark in drawn or not np.isfinite(heights).any():
                continue
            drawn.append(mark)
            dash: Any = DASHES[1 + available.index(mark[0]) % (len(DASHES) - 1)]
            style: dict[str, Any] = {"color": "black", "lw": 1, "ls": dash, "label": plain(mark[0])}
            if curve.x is None:
                axes.axhline(float(heights), **style)
            else:
                shown = np.where(heights > 0, heights, np.nan)
                axes.plot(curve.x, shown if axes.get_yscale() == "log" else heights, **style)


def _caption(
    groups: Sequence[Group],
    word: str,
    x: str,
    by: str,
    curves: Sequence[Curve],
    held_values: Options,
) -> str:
    return sentences(
        f"{word} against {x}, a panel for each {by}, for {listed(group.name for group in groups)}",
        averaged(groups, next(iter(names_of(groups)), "")),
        *curve_notes(curves, x, "black dashes", held_values),
    )


def names_of(groups: Sequence[Group]) -> list[str]:
    """The risks that groups have, for the count of replicates."""
    return [risk for risk in RISKS if any(risk in group.dataset for group in groups)]

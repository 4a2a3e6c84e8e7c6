"""Variables measured at one time, or selected at one, against a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from attrs import evolve, frozen

from testbed.contract.figures import names
from testbed.figures.axes import axis_label, log_axis, sweep_axis
from testbed.figures.canvas import Canvas, plain
from testbed.figures.curves import Curve, curves_of, draw_curve, lost_points, sweep_values
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
from testbed.figures.groups import RECORDS, Group, groups_of, is_number
from testbed.figures.looks import looks

BEST = "k"  # the dimension of ranks: the least mean over it is shown


@frozen
class Sheet:
    """A panel: a variable, its dimension on the horizontal axis, and its curves."""

    name: str
    x: str
    label: str
    curves: Sequence[Curve]


def sweeps(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """A panel for each variable, a line for each estimator and point of its other sweeps.

    Of a variable with ranks `k` the least mean over k is shown: the best choice of the rank.
    """
    held_values = at_of(options)
    groups = [_at_one_time(group) for group in groups_of(tree, held_values)]
    kept = [group for group in groups if group is not None]
    chosen = names(options.get("of")) or _variables(kept)
    sheets = [_sheet(kept, name, options) for name in chosen]
    drawn = [sheet for sheet in sheets if sheet is not None]
    if drawn:
        yield _figure(tree, kept, drawn, options)


def _at_one_time(group: Group) -> Group | None:
    """A group without its time; None if it has several and none is held."""
    dataset = group.dataset
    if "time" in dataset.dims:
        if dataset.sizes["time"] > 1:
            return None
        time = dataset["time"].values[0].item()
        return evolve(group, dataset=dataset.isel(time=0), held={**group.held, "time": time})
    return group


def _variables(groups: Sequence[Group]) -> list[str]:
    """The measured variables, without records of the run, counts and theories."""
    names_in_order: dict[str, None] = {}
    for group in groups:
        for name, values in group.dataset.data_vars.items():
            if is_number(values) and "__" not in str(name) and name not in RECORDS:
                names_in_order[str(name)] = None
    return list(names_in_order)


def _sheet(groups: Sequence[Group], name: str, options: Options) -> Sheet | None:
    """The curves of a variable; None if there is none against a sweep of numbers."""
    shown = [_best_rank(group, name) for group in groups if name in group.dataset]
    along = [_longest(group, name) for group in shown]
    x = str(options.get("x", "")) or next(filter(None, along), "")
    suited = [g for g, dim in zip(shown, along, strict=True) if dim is not None]
    curves = curves_of(suited, name, x, None, str(options.get("colour", ""))) if x else []
    if not any(curve.x is not None and len(curve.x) > 1 for curve in curves):
        return None
    ranked = any(BEST in group.dataset[name].dims for group in groups if name in group.dataset)
    label = axis_label(shown[0].dataset[name])
    return Sheet(name, x, f"least over {BEST} of\n{label}" if ranked else label, curves)


def _longest(group: Group, name: str) -> str | None:
    """The longest sweep of numbers, empty if nothing is swept; None for a variable with a
    dimension of its own."""
    values, swept = group.dataset[name], group.dataset["status"].dims
    if set(values.dims) - set(swept):
        return None
    numeric = [str(d) for d in values.dims if d != "replicate" and is_number(group.dataset[d])]
    return max(numeric, key=lambda dim: values.sizes[dim]) if numeric else ""


def _best_rank(group: Group, name: str) -> Group:
    """A group in which a variable with ranks has its least mean over them."""
    values = group.dataset[name]
    if BEST not in values.dims:
        return group
    mean = values.mean("replicate") if "replicate" in values.dims else values
    best = mean.min(BEST)
    best.attrs = values.attrs
    return evolve(group, dataset=group.dataset.assign({name: best}))


def _figure(
    tree: xr.DataTree, groups: Sequence[Group], sheets: Sequence[Sheet], options: Options
) -> Drawn:
    canvas = Canvas.of(len(sheets), options)
    keys = [curve.key for sheet in sheets for curve in sheet.curves]
    distinct = {str(sorted(key.items(), key=str)): key for key in keys}
    drawn = looks(list(distinct.values()), str(options.get("colour", "")))
    by_key = dict(zip(distinct, drawn, strict=True))
    for axes, sheet in zip(canvas.panels, sheets, strict=False):
        for curve in sheet.curves:
            look = by_key[str(sorted(curve.key.items(), key=str))]
            draw_curve(axes, evolve(curve, look=look, law=None))
        means = [np.ravel(curve.values.band.mean.values) for curve in sheet.curves]
        log_axis(axes, "y", np.concatenate(means), 5)
        sweep_axis(axes, sweep_values(sheet.curves), sheet.x)
        axes.set_ylabel(plain(sheet.label))
    if len(distinct) > 1:
        canvas.legends()
    shared = "x" if len({sheet.x for sheet in sheets}) == 1 else ""
    figure = canvas.finish(str(tree.attrs.get("title", "")), share=shared)
    lines = [
        selection(group, sheet.name, _mean(group, sheet.name))
        for sheet in sheets
        for group in groups
        if sheet.name in group.dataset
    ]
    name = "at-one-time" if not options.get("of") else f"{sheets[0].name}-at-one-time"
    return Drawn(name, figure, _caption(groups, sheets, options), "\n".join(lines))


def _mean(group: Group, name: str) -> str:
    return '.mean("replicate")' if "replicate" in group.dataset[name].dims else ""


def _caption(groups: Sequence[Group], sheets: Sequence[Sheet], options: Options) -> str:
    times = {str(group.held["time"]) for group in groups if "time" in group.held}
    curves = [curve for sheet in sheets for curve in sheet.curves]
    labels = [sheet.label.replace("\n", " ") for sheet in sheets]
    references = any(curve.x is None for curve in curves)
    return sentences(
        f"{listed(labels)} against {listed(sheet.x for sheet in sheets)}, for "
        f"{listed(group.name for group in groups)}",
        f"measured at τ = {listed(sorted(times))}" if times else "",
        averaged(groups, sheets[0].name),
        "horizontal lines: estimators without the sweep" if references else "",
        gaps(lost_points(curves)),
        held({dim: value for dim, value in at_of(options).items() if dim != "time"}),
    )

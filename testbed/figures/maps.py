"""Where one estimator beats another: the ratio of their best risks over two sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from testbed.analysis import oracle, paired_difference, simulated
from testbed.contract.figures import ORACLE, RISKS, names
from testbed.figures.averages import at_time, expected
from testbed.figures.axes import number
from testbed.figures.canvas import Canvas, panel_title, plain
from testbed.figures.drawn import Drawn, Options, at_of, held, selection, sentences
from testbed.figures.groups import groups_of, predictions, sweep_points

MARKS = {"v": "lower", "^": "higher", "o": "cannot tell"}


def maps(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """Colours: log₂ of the expected best risk of estimator of[0] over that of of[1] against the
    sweeps x and y, a panel for each point of the other sweeps.

    Marks stand where both were simulated: below, above, or a paired 95% interval that holds 0.
    """
    held_values, of = at_of(options), names(options["of"])
    x, y = str(options["x"]), str(options["y"])
    groups = {group.name: group for group in groups_of(tree, held_values)}
    if not set(of) <= set(groups):
        return
    pair = [groups[name] for name in of]
    risk = next(name for name in RISKS if all(name in group.dataset for group in pair))
    ratio, verdict = comparison(pair[0].dataset, pair[1].dataset, risk, held_values)
    points = list(sweep_points(ratio, [str(dim) for dim in ratio.dims if dim not in (x, y)]))
    canvas = Canvas.of(len(points), options)
    bound = float(np.nanmax(np.abs(ratio))) or 1.0
    for axes, point in zip(canvas.panels, points, strict=False):
        shown = [part.sel(point).transpose(y, x) for part in (ratio, verdict)]
        image = _panel(axes, shown[0], shown[1], bound)
        axes.set(xlabel=x, ylabel=y, title=panel_title("", point))
    for mark, word in MARKS.items():
        canvas.panels[0].plot([], [], mark, mfc="white", mec="black", ls="none", label=word)
    handles, labels = canvas.panels[0].get_legend_handles_labels()
    canvas.figure.legend(
        handles, labels, loc="outside lower center", ncols=3, title="simulated, 95% interval"
    )
    best = "best risk" if held_values.get("time", ORACLE) == ORACLE else "risk"
    label = plain(f"log₂ of the {best}: {of[0]} over {of[1]}")
    canvas.figure.colorbar(image, ax=list(canvas.panels), label=label)
    figure = canvas.finish(str(tree.attrs.get("title", "")), share="")
    caption = _caption(of, best, x, y, held_values)
    code = "\n".join(selection(group, risk) for group in pair)
    yield Drawn(f"{of[0]}-over-{of[1]}", figure, caption, code)


def comparison(
    first: xr.Dataset,
    second: xr.Dataset,
    risk: str,
    held_values: Mapping[str, object] | None = None,
) -> tuple[xr.DataArray, xr.DataArray]:
    """log₂ of the ratio of best expected risks, and the sign of the paired difference of the risks
    measured there: −1, 1, 0 where the data cannot tell, NaN where they were not simulated."""
    when = (held_values or {}).get("time", ORACLE)
    best = [_expected(dataset, risk, when) for dataset in (first, second)]
    ratio: xr.DataArray = xr.apply_ufunc(np.log2, best[0] / best[1])
    measured = [_measured(dataset, risk, when) for dataset in (first, second)]
    left, right = xr.broadcast(measured[0], measured[1])
    gap = paired_difference(left, right)
    sign = (gap.lower > 0).astype(float) - (gap.upper < 0).astype(float)
    return ratio, sign.where(gap.lower.notnull())


def _measured(dataset: xr.Dataset, risk: str, when: object) -> xr.DataArray:
    """The replicates' risks at the best time of their mean, or at the time that is held."""
    values = simulated(dataset, risk)
    if "time" in values.dims and when == ORACLE:
        values = oracle(values).value
    return _without_scalars(values)


def _expected(dataset: xr.Dataset, risk: str, when: object) -> xr.DataArray:
    """The least expected risk over time: a theory's, or else the mean over replicates."""
    theories = predictions(dataset, risk)
    if not theories:
        return _without_scalars(at_time(dataset, risk, when).band.mean)
    values = expected(dataset, theories[0])
    return _without_scalars(values.min("time") if "time" in values.dims else values)


def _without_scalars(values: xr.DataArray) -> xr.DataArray:
    """The array without scalar coordinates, which may differ between two estimators."""
    scalars = [name for name, coordinate in values.coords.items() if not coordinate.dims]
    bare = values.drop_vars(scalars)
    bare.attrs = {}
    return bare


def _panel(axes: Axes, ratio: xr.DataArray, verdict: xr.DataArray, bound: float) -> AxesImage:
    image = axes.imshow(
        ratio, cmap="RdBu_r", vmin=-bound, vmax=bound, origin="lower", aspect="auto"
    )
    for (row, column), value in np.ndenumerate(ratio.values):
        ink = "white" if abs(value) > 0.6 * bound else "black"
        place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": ink}
        axes.text(column, row + 0.22, f"{value:+.2f}" if np.isfinite(value) else "", **place)
    for mark, sign in zip(MARKS, (-1, 1, 0), strict=True):
        rows, columns = np.nonzero(verdict.values == sign)
        axes.plot(columns, rows - 0.18, mark, mfc="white", mec="black", ls="none", ms=6)
    for which, values in (("x", ratio[ratio.dims[1]]), ("y", ratio[ratio.dims[0]])):
        words = [
            number(v) if isinstance(v, (int, float)) else str(v) for v in values.values.tolist()
        ]
        getattr(axes, f"set_{which}ticks")(range(len(words)), words)
    return image


def _caption(of: Sequence[str], best: str, x: str, y: str, held_values: Options) -> str:
    return sentences(
        f"log₂ of the {best} of {of[0]} over that of {of[1]}, as theory expects it or else as "
        f"measured, against {x} and {y}",
        f"marks stand where both were simulated: {of[0]} is lower, higher, or the paired 95% "
        "interval holds zero",
        held(held_values),
    )

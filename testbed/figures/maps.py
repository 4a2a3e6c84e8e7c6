"""Where one estimator beats another: the ratio of their best risks over two sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from testbed.analysis import oracle, paired_difference
from testbed.figures.style import PANELS, panels, predictions, sweep_points, titled, words

MARKS = {"v": "lower", "^": "higher", "o": "cannot tell"}


def maps(
    tree: xr.DataTree,
    of: str | Sequence[str] = (),
    x: str = "",
    y: str = "",
    at: Mapping[str, Any] | None = None,
    title: str = "",
    **_: Any,
) -> Iterator[tuple[str, Figure]]:
    """Colours: log₂ of the expected best risk of estimator of[0] over that of of[1] against the
    sweeps x and y, a panel for each point of the other sweeps.

    Marks stand where both were simulated: below, above, or a paired 95% interval that holds 0.
    Nothing is drawn unless `of` names two estimators, and x and y sweeps of theirs.
    """
    if isinstance(of, str) or len(of) != 2 or not {x, y} <= set(_dims(tree, of)):
        return
    ratio, verdict = comparison(tree, *of)
    ratio, verdict = ratio.sel(dict(at or {})), verdict.sel(dict(at or {}))
    points = list(sweep_points(ratio, [str(dim) for dim in ratio.dims if dim not in (x, y)]))
    figure, axes = panels(min(len(points), PANELS))
    bound = float(np.nanmax(np.abs(ratio)))
    for ax, point in zip(axes, points, strict=False):
        shown = [part.sel(point).transpose(y, x) for part in (ratio, verdict)]
        image = _panel(ax, shown[0], shown[1], bound)
        ax.set(xlabel=x, ylabel=y, title=words(point))
    for mark, word in MARKS.items():
        axes[0].plot([], [], mark, mfc="white", mec="black", ls="none", label=word)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, title="simulated, 95% interval")
    label = f"log₂ of the best risk: {of[0]} over {of[1]}"
    figure.colorbar(image, ax=axes, label=label)
    titled(figure, title or str(tree.attrs.get("title", "")), len(points))
    yield f"{of[0]}-over-{of[1]}", figure


def _dims(tree: xr.DataTree, of: Sequence[str]) -> list[str]:
    if not set(of) <= set(tree.children):
        return []
    return [str(dim) for dim in tree[of[0]]["excess_risk"].dims]


def comparison(tree: xr.DataTree, one: str, other: str) -> tuple[xr.DataArray, xr.DataArray]:
    """log₂ of the ratio of best expected risks, and the sign of the paired difference of the risks
    measured there: −1, 1, 0 where the data cannot tell, NaN where they were not simulated."""
    best = [_expected(tree[name].to_dataset()) for name in (one, other)]
    ratio: xr.DataArray = xr.apply_ufunc(np.log2, best[0] / best[1])
    values = [oracle(tree[name].to_dataset()["excess_risk"]).value for name in (one, other)]
    own, others = xr.broadcast(*(value.drop_vars(_scalars(value)) for value in values))
    interval = paired_difference(own, others)
    sign = (interval.lower > 0).astype(float) - (interval.upper < 0).astype(float)
    return ratio, sign.where(interval.lower.notnull())


def _expected(dataset: xr.Dataset) -> xr.DataArray:
    """The least expected risk over time: a theory's, or else the mean over replicates."""
    named = predictions(dataset, "excess_risk")
    values = dataset[named[0]] if named else dataset["excess_risk"].mean("replicate")
    best = values.min("time")
    best.attrs = {}
    return best.drop_vars(_scalars(best))


def _scalars(values: xr.DataArray) -> list[Any]:
    return [name for name, coordinate in values.coords.items() if not coordinate.dims]


def _panel(ax: Any, ratio: xr.DataArray, verdict: xr.DataArray, bound: float) -> Any:
    image = ax.imshow(ratio, cmap="RdBu_r", vmin=-bound, vmax=bound, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(ratio.values):
        ink = "white" if abs(value) > 0.6 * bound else "black"
        place = {"ha": "center", "va": "center", "fontsize": 8, "color": ink}
        ax.text(column, row + 0.22, f"{value:+.2f}", **place)
    for mark, sign in zip(MARKS, (-1, 1, 0), strict=True):
        rows, columns = np.nonzero(verdict.values == sign)
        ax.plot(columns, rows - 0.18, mark, mfc="white", mec="black", ls="none", ms=6)
    for which, values in (("x", ratio[ratio.dims[1]]), ("y", ratio[ratio.dims[0]])):
        labels = [f"{value:g}" for value in values.values]
        getattr(ax, f"set_{which}ticks")(range(len(labels)), labels)
    return image

"""Published numbers beside measured ones: the points that a result's claims compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from testbed.figures.axes import TimeAxis
from testbed.figures.curves import Curve
from testbed.figures.groups import sweep_points
from testbed.figures.looks import ESTIMATOR

DIAMOND: dict[str, Any] = {"marker": "D", "mfc": "none", "ls": "none", "ms": 7}
GROUP, COMPARES = "published", "compares"


def draw_published(axes: Axes, tree: xr.DataTree, curves: Sequence[Curve], of: str, x: str) -> str:
    """Draw each published curve as open diamonds, in the colour of the measured curve beside it;
    the sources, or nothing where there is none."""
    sources: dict[str, None] = {}
    for estimator, values, source in _published(tree, of, x):
        for point in sweep_points(values, [str(dim) for dim in values.dims if dim != x]):
            heights = values.sel(point)
            matching = [curve for curve in curves if _matches(curve, estimator, point)]
            if not matching or not np.isfinite(heights).any():
                continue
            axes.plot(heights[x], heights, color=matching[0].look.colour, **DIAMOND)
            sources[source] = None
    return _named(axes, sources)


class Path(NamedTuple):
    """A measured path along training: whose, at which values of its sweeps, in which colour."""

    estimator: str
    dataset: xr.Dataset
    colour: str


def draw_published_paths(
    axes: Axes, tree: xr.DataTree, paths: Sequence[Path], of: str, times: TimeAxis
) -> str:
    """Draw published numbers along training time as `draw_published` does along a sweep."""
    sources: dict[str, None] = {}
    for estimator, values, source in _published(tree, of, "time"):
        for point in sweep_points(values, [str(dim) for dim in values.dims if dim != "time"]):
            heights = values.sel(point)
            for path in paths:
                if path.estimator != estimator or not _stands_at(path.dataset, point):
                    continue
                if np.isfinite(heights).any():
                    place = times.place(heights["time"].values)
                    axes.plot(place, heights, color=path.colour, **DIAMOND)
                    sources[source] = None
    return _named(axes, sources)


def _stands_at(dataset: xr.Dataset, point: Mapping[str, object]) -> bool:
    """Whether the dataset is at a point, as far as it has the point's dimensions."""
    return all(
        _equal(dataset[dim].item(), value)
        for dim, value in point.items()
        if dim in dataset.coords and not dataset[dim].dims
    )


def _equal(first: object, second: object) -> bool:
    try:
        return bool(np.isclose(float(str(first)), float(str(second))))
    except ValueError:
        return first == second


def _named(axes: Axes, sources: Mapping[str, None]) -> str:
    """The sources, with an entry in the legend if there is one."""
    if sources:
        axes.plot([], [], label="published", color="black", **DIAMOND)
    return "; ".join(sources)


def _published(tree: xr.DataTree, of: str, x: str) -> Iterator[tuple[str, xr.DataArray, str]]:
    """The published numbers along `x` that stand beside a variable: of which estimator, and their
    source."""
    if GROUP not in tree.children:
        return
    for node in tree[GROUP].children.values():
        dataset = node.to_dataset()
        for values in dataset.data_vars.values():
            for text in str(values.attrs.get(COMPARES, "")).split():
                estimator, _, variable = text.partition("/")
                if variable == of and x in values.dims:
                    yield estimator, values, str(dataset.attrs.get("source", ""))


def _matches(curve: Curve, estimator: str, point: Mapping[str, object]) -> bool:
    """Whether a curve is the estimator's at a point, as far as the point says."""
    return curve.key.get(ESTIMATOR) == estimator and all(
        dim not in curve.key or _equal(curve.key[dim], value) for dim, value in point.items()
    )

"""Published numbers beside measured ones: the points that a result's claims compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from testbed.figures.curves import Curve
from testbed.figures.groups import sweep_points
from testbed.figures.looks import ESTIMATOR

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
            style: dict[str, Any] = {
                "color": matching[0].look.colour,
                "marker": "D",
                "mfc": "none",
                "ls": "none",
            }
            axes.plot(heights[x], heights, ms=7, **style)
            sources[source] = None
    if sources:
        axes.plot([], [], color="black", marker="D", mfc="none", ls="none", label="published")
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
        dim not in curve.key or np.isclose(float(str(curve.key[dim])), float(str(value)))
        for dim, value in point.items()
    )

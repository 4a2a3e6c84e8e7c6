"""The learned eigenvalues at several times, with the truth's energy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import frozen
from matplotlib import colormaps
from matplotlib.axes import Axes

from testbed.figures.averages import mean_of
from testbed.figures.axes import log_axis, number
from testbed.figures.canvas import Canvas, panel_title, plain
from testbed.figures.drawn import Drawn, Options, at_of, averaged, gaps, held, listed, sentences
from testbed.figures.groups import Group, groups_of, long_name, predictions, sweep_points
from testbed.figures.looks import DASHES

TIMES = 5
VARIABLE = "eigenvalue"


@frozen
class Panel:
    """The eigenvalues of one estimator at a point of its sweep."""

    group: Group
    dataset: xr.Dataset
    point: dict[str, object]


def spectra(tree: xr.DataTree, options: Options) -> Iterator[Drawn]:
    """Learned eigenvalues against the mode at a few times; at the largest n of a sweep.

    Dots are the truth's squared coefficients: a model that adapts lifts the eigenvalues above them.
    """
    groups = [group for group in groups_of(tree, at_of(options)) if VARIABLE in group.dataset]
    panels = [panel for group in groups for panel in _panels(group)]
    if not panels:
        return
    canvas = Canvas.of(len(panels), options)
    lost = 0
    for axes, panel in zip(canvas.panels, panels, strict=False):
        lost += _draw(axes, panel.dataset)
        axes.set_title(panel_title(panel.group.name, panel.point))
        axes.set_ylabel("eigenvalue of the learned kernel")
    canvas.legends()
    figure = canvas.finish(str(tree.attrs.get("title", "")))
    code = "\n".join(_code(panel) for panel in panels)
    yield Drawn("learned-spectrum", figure, _caption(groups, panels, lost, options), code)


def _panels(group: Group) -> Iterator[Panel]:
    """A panel for each point of the sweep, at the largest n."""
    dataset, shown = group.dataset, {}
    if "n" in dataset[VARIABLE].dims:
        dataset = dataset.isel(n=-1)
        shown = {"n": dataset["n"].values.item()}
    other_dims = ("time", "mode", "replicate")
    for point in sweep_points(
        dataset[VARIABLE], [str(d) for d in dataset[VARIABLE].dims if d not in other_dims]
    ):
        here = dataset.sel(point)
        if np.isfinite(here[VARIABLE]).any():
            yield Panel(group, here, {**shown, **point})


def _draw(axes: Axes, dataset: xr.Dataset) -> int:
    """A panel; at how many times and modes some replicates are missing."""
    band = mean_of(dataset, VARIABLE)
    values = band.mean if "time" in band.mean.dims else band.mean.expand_dims("time")
    times = values["time"].values.ravel()
    chosen = spread_positions(times, TIMES)
    for colour, dash, place in zip(gradient(len(chosen)), DASHES, chosen, strict=False):
        text = f"τ = {time_word(times[place])}"
        line: Any = {"color": colour, "ls": dash, "lw": 1.2, "label": text}
        axes.plot(values["mode"], values.isel(time=place), **line)
    _theories(axes, dataset)
    _truth(axes, dataset)
    log_axis(axes, "x", values["mode"].values, 5)
    axes.set(yscale="log", xlabel="mode j")
    return band.lost


def _theories(axes: Axes, dataset: xr.Dataset) -> None:
    for theory in predictions(dataset, VARIABLE):
        expected = dataset[theory].mean([d for d in dataset[theory].dims if d != "mode"])
        label = plain(f"{long_name(dataset, theory)}\n(theory)")
        axes.plot(expected["mode"], expected, color="black", ls=":", lw=1, label=label)


def _truth(axes: Axes, dataset: xr.Dataset) -> None:
    if "truth_coefficient" not in dataset:
        return
    truth = dataset["truth_coefficient"]
    truth = truth.mean("replicate") if "replicate" in truth.dims else truth
    energy = (truth**2).where(truth != 0)
    axes.plot(truth["mode"], energy, "o", ms=3.5, color="#D55E00", label="truth θ*²")


def spread_positions(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of at most `count` values, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))


def gradient(count: int) -> list[Any]:
    """Colours from dark to light for ordered lines; dashes tell neighbouring lines apart."""
    return list(colormaps["viridis"](np.linspace(0, 0.85, count)))


def time_word(time: float) -> str:
    """A time in a legend."""
    return "∞" if np.isinf(time) else number(float(f"{time:.4g}"))


def _code(panel: Panel) -> str:
    point = {**panel.group.held, **panel.point}
    chosen = ", ".join(f"{dim}={_bare(value)!r}" for dim, value in point.items())
    line = f"tree[{panel.group.name!r}][{VARIABLE!r}]" + (f".sel({chosen})" if chosen else "")
    return line + ('.mean("replicate")' if "replicate" in panel.dataset[VARIABLE].dims else "")


def _bare(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _caption(groups: Sequence[Group], panels: Sequence[Panel], lost: int, options: Options) -> str:
    largest = any("n" in panel.point for panel in panels)
    truth = any("truth_coefficient" in panel.dataset for panel in panels)
    theories = {
        long_name(p.dataset, name) for p in panels for name in predictions(p.dataset, VARIABLE)
    }
    return sentences(
        f"eigenvalues of the learned kernel against the mode at a few training times, for "
        f"{listed(group.name for group in groups)}",
        "the largest n of the sweep is shown" if largest else "",
        "dots are the squared coefficients of the truth" if truth else "",
        f"dotted: {listed(sorted(theories))} (theory)" if theories else "",
        averaged(groups, VARIABLE).split(",")[0],
        gaps(lost, "eigenvalues"),
        held(at_of(options)),
    )

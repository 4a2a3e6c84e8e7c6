"""What was learned: eigenvalues at several times, with the truth's energy below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from testbed.figures.style import (
    PANELS,
    legends,
    log_axis,
    panel_title,
    panels,
    predictions,
    some,
    sweep_points,
    titled,
)

TIMES = 5


def spectra(tree: xr.DataTree, title: str = "", **_: Any) -> Iterator[tuple[str, Figure]]:
    """Learned eigenvalues against the mode at a few times; at the largest n of a sweep.

    Dots are the truth's squared coefficients: a model that adapts lifts the eigenvalues above them.
    """
    jobs = []
    for name, node in tree.children.items():
        if "eigenvalue" not in node:
            continue
        dataset = node.to_dataset()
        if "n" in dataset["eigenvalue"].dims:
            dataset = dataset.isel(n=-1)
        others = [
            str(d) for d in dataset["eigenvalue"].dims if d not in ("time", "mode", "replicate")
        ]
        for point in sweep_points(dataset["eigenvalue"], others):
            if np.isfinite(dataset["eigenvalue"].sel(point)).any():
                jobs.append((str(name), dataset.sel(point), point))
    if not jobs:
        return
    figure, axes = panels(min(len(jobs), PANELS))
    for ax, (name, dataset, point) in zip(axes, jobs, strict=False):
        _panel(ax, dataset)
        shown = {"n": dataset["n"].values[()]} if "n" in dataset.coords else {}
        ax.set_title(panel_title(name, {**shown, **point}))
    axes[0].set_ylabel("eigenvalue of the learned kernel")
    legends(figure, axes)
    titled(figure, title or str(tree.attrs.get("title", "")), len(jobs))
    yield "learned-spectrum", figure


def _panel(ax: Any, dataset: xr.Dataset) -> None:
    values = dataset["eigenvalue"]
    values = values.mean("replicate") if "replicate" in values.dims else values
    times = values["time"].values
    chosen = some(times, TIMES)
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(chosen)))
    for colour, at in zip(colours, chosen, strict=True):
        label = f"τ = {times[at]:.4g}"
        ax.plot(values["mode"], values.isel(time=at), color=colour, lw=1.2, label=label)
    for theory in predictions(dataset, "eigenvalue"):
        expected = dataset[theory].mean([d for d in dataset[theory].dims if d != "mode"])
        label = f"{dataset[theory].attrs.get('long_name', theory)}\n(theory)"
        ax.plot(expected["mode"], expected, "k:", lw=1, label=label)
    if "truth_coefficient" in dataset:
        truth = dataset["truth_coefficient"]
        truth = truth.mean("replicate") if "replicate" in truth.dims else truth
        energy = (truth**2).where(truth != 0)
        ax.plot(truth["mode"], energy, "o", ms=3.5, color="#D55E00", label="truth θ*²")
    log_axis(ax, "x", values["mode"].values, 5)
    ax.set(yscale="log", xlabel="mode j")

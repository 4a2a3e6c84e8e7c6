"""Results in words: what was run, what became of it, and the numbers one asks for first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.analysis.analysis import mean_interval, oracle, slope
from testbed.contract.names import in_words
from testbed.results.groups import estimators
from testbed.soundness.table import findings_text

RESULT_LINES = 24  # rows of one table


def summary(tree: xr.DataTree) -> str:
    """A printed summary of a result: dims, statuses, metrics at the best stopping time, slopes,
    and what the soundness checks found."""
    lines = [str(tree.attrs.get("title", ""))]
    for name, group in estimators(tree).items():
        lines += ["", *_group(name, group.to_dataset())]
    lines += ["", findings_text(tree)]
    return "\n".join(lines)


def _group(name: str, dataset: xr.Dataset) -> Iterator[str]:
    sizes = ", ".join(f"{dim} {size}" for dim, size in dataset.sizes.items())
    yield f"{name}  ({sizes})"
    meanings = str(dataset["status"].attrs["flag_meanings"]).split()
    for word, value in zip(meanings, dataset["status"].attrs["flag_values"], strict=True):
        count = int((dataset["status"] == value).sum())
        if count and word != "ok":
            yield f"  {count} of {dataset['status'].size} replicates are {word}"
    if "excess_risk" in dataset:
        yield from _risk(dataset["excess_risk"])
    others = sorted(
        str(v) for v in dataset.data_vars
        if "time" in dataset[v].dims and "__" not in str(v) and v != "excess_risk"
    )  # fmt: skip
    if others:
        yield f"  also: {', '.join(others)}"


def _risk(risk: xr.DataArray) -> Iterator[str]:
    """The risk at the best stopping time, point by point, and its slope along the sample size."""
    if "replicate" not in risk.dims:
        return
    best = oracle(risk)
    interval = mean_interval(best.value)
    sweep = [dim for dim in interval.mean.dims]
    rows = interval.mean.stack(point=sweep)["point"].values if sweep else [()]
    yield "  excess risk at the best stopping time (95% interval)"
    for point in rows[:RESULT_LINES]:
        at = dict(zip(sweep, point, strict=True)) if sweep else {}
        mean, half = (float(part.sel(at)) for part in (interval.mean, interval.upper))
        where = in_words(at)
        if np.isnan(mean):
            yield f"    {where:<24} no values: not simulated, or failed"
            continue
        note = "   at an end of the time grid: not bracketed" if bool(best.at_end.sel(at)) else ""
        time = float(best.time.sel(at))
        yield f"    {where:<24} {mean:.4g} ± {half - mean:.1g}  at τ = {time:.3g}{note}"
    if len(rows) > RESULT_LINES:
        yield f"    … and {len(rows) - RESULT_LINES} more points"
    if "n" in risk.dims and risk.sizes["n"] > 2:
        yield from _slopes(risk)


def _slopes(risk: xr.DataArray) -> Iterator[str]:
    fit = slope(risk, "n")
    dims = list(fit.slope.dims)
    for point in fit.slope.stack(point=dims)["point"].values if dims else [()]:
        at = dict(zip(dims, point, strict=True)) if dims else {}
        low, middle, high = (float(part.sel(at)) for part in (fit.lower, fit.slope, fit.upper))
        where = in_words(at)
        yield f"    slope in n  {where:<12} {middle:+.3f}  [{low:+.3f}, {high:+.3f}]"

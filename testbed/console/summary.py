"""Summarise results in words: the estimators, their status, and the most important numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import xarray as xr

from testbed.analysis import oracle, simulated, slope
from testbed.analysis.stopping import end_note
from testbed.claims import verdicts_text
from testbed.contract.figures import RISKS
from testbed.contract.names import in_words
from testbed.errors import printable, printable_lines
from testbed.results.groups import estimators, without_scalars
from testbed.soundness.table import findings_text

RESULT_LINES = 24  # rows of one table
Point = Mapping[Hashable, object]


def summary(tree: xr.DataTree) -> str:
    """A printed summary of a result: dims, statuses, metrics at the best stopping time, slopes,
    and what the soundness checks found."""
    lines = [printable(str(tree.attrs.get("title", "")))]
    for name, group in estimators(without_scalars(tree)).items():
        lines += ["", *_group(name, group.to_dataset())]
    verdicts = verdicts_text(tree)
    lines += ["", verdicts] if verdicts else []
    lines += ["", findings_text(tree)]
    return printable_lines("\n".join(lines))


def _group(name: str, dataset: xr.Dataset) -> Iterator[str]:
    sizes = ", ".join(f"{dim} {size}" for dim, size in dataset.sizes.items())
    yield f"{name}  ({sizes})"
    meanings = str(dataset["status"].attrs["flag_meanings"]).split()
    for word, value in zip(meanings, dataset["status"].attrs["flag_values"], strict=True):
        count = int((dataset["status"] == value).sum())
        if count and word != "ok":
            yield f"  {count} of {dataset['status'].size} replicates are {word}"
    risk = next((name for name in RISKS if _is_simulated(dataset, name)), "")
    if risk:
        yield from _risk(simulated(dataset, risk))
    names = sorted(
        str(name)
        for name, values in dataset.data_vars.items()
        if "time" in values.dims and "__" not in str(name) and name != risk
    )
    if names:
        yield f"  also: {', '.join(names)}"


def _is_simulated(dataset: xr.Dataset, name: str) -> bool:
    """Whether a variable was measured along time for replicates."""
    return name in dataset and {"replicate", "time"} <= set(dataset[name].dims)


def _risk(risk: xr.DataArray) -> Iterator[str]:
    """The risk at the best stopping time, point by point, and its slope along the sample size."""
    best = oracle(risk)
    points = _points(best["estimate"])
    name = str(risk.name).replace("_", " ")
    trained = risk.sizes["time"] > 1  # models that are fitted at once have one time, 0
    when = " at the best stopping time" if trained else ""
    yield f"  {name}{when} ({100 * best.attrs['level']:g}% interval)"
    for point in points[:RESULT_LINES]:
        yield f"    {in_words(point):<24} {_best_risk(best.sel(point), trained)}"
    if len(points) > RESULT_LINES:
        yield f"    … and {len(points) - RESULT_LINES} more points"
    if "n" in risk.dims and risk.sizes["n"] > 2:
        fit = slope(risk, "n")
        for point in _points(fit["estimate"]):
            yield f"    slope in n  {in_words(point):<12} {_slope(fit.sel(point))}"


def _points(values: xr.DataArray) -> list[Point]:
    """All points of a table's dimensions."""
    dims = values.dims
    stacked = values.stack(point=dims)["point"].values if dims else [()]
    return [dict(zip(dims, point, strict=True)) for point in stacked]


def _best_risk(row: xr.Dataset, trained: bool) -> str:
    """A mean with its limits, its time if it was trained, and its reservations; or why there is
    none."""
    estimate, reason = float(row["estimate"]), str(row["reason"].item())
    if np.isnan(estimate):
        return f"no best risk: {reason}"
    when = f"  at τ = {float(row['time']):.3g}" if trained else ""
    text = f"{estimate:.4g}{_limits(row, '.3g')}{when}"
    return "   ".join(filter(None, [text, end_note(row), reason]))


def _slope(row: xr.Dataset) -> str:
    estimate, reason = float(row["estimate"]), str(row["reason"].item())
    if np.isnan(estimate):
        return f"no slope: {reason}"
    return "   ".join([f"{estimate:+.3f}{_limits(row, '+.3f')}", *filter(None, [reason])])


def _limits(row: xr.Dataset, digits: str) -> str:
    """An interval in brackets; nothing where there is none."""
    lower, upper = float(row["lower"]), float(row["upper"])
    return f"  [{lower:{digits}}, {upper:{digits}}]" if np.isfinite([lower, upper]).all() else ""

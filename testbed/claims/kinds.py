"""The kinds of claims that core offers."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from attrs import evolve

from testbed import analysis
from testbed.contract.claims import SUPPORTED, ClaimKind, Evidence, Judgement


def _judged(table: xr.Dataset, allowed: tuple[float, float], reason: str = "") -> Judgement:
    """The interval of one point as a judgement, or the reason why it is missing."""
    missing = not np.isfinite([float(table["lower"]), float(table["upper"])]).all()
    if missing and not reason:
        reason = str(table["reason"].item()) or "there is no interval"
    parts = {name: float(table[name]) for name in ("estimate", "lower", "upper")}
    return Judgement(**parts, allowed=allowed, reason=reason)


def _around(evidence: Evidence) -> tuple[float, float]:
    return evidence.expect - evidence.within, evidence.expect + evidence.within


def _mean(evidence: Evidence, values: xr.DataArray, level: float) -> xr.Dataset:
    """Means with intervals: at best times where the evidence has times to choose from."""
    if "time" in values.dims and evidence.along != "time":
        return analysis.oracle(values, level=level)
    return analysis.mean_interval(values, level)


def judge_slope(evidence: Evidence) -> Judgement:
    """The exponent along a dimension is `expect`, within a margin."""
    table = analysis.slope(evidence.values, evidence.along, evidence.level)
    judgement = _judged(table, _around(evidence))
    if bool(table["refused"]) and judgement.verdict == SUPPORTED:
        return evolve(judgement, reason=str(table["reason"].item()))
    return judgement


def judge_order(evidence: Evidence) -> Judgement:
    """`of` lies below `than`, by at least `within`, replicate by replicate."""
    return _judged(_difference(evidence), (-math.inf, -evidence.within))


def judge_equal(evidence: Evidence) -> Judgement:
    """`of` and `than` differ by at most `within`: an equivalence test."""
    return _judged(_difference(evidence), (-evidence.within, evidence.within))


def _difference(evidence: Evidence) -> xr.Dataset:
    assert evidence.rival is not None  # as the plan has checked
    best = "time" in evidence.values.dims and "time" in evidence.rival.dims
    return analysis.paired_difference(evidence.values, evidence.rival, evidence.level, best=best)


def judge_agrees(evidence: Evidence) -> Judgement:
    """Simulation and theory differ everywhere by at most the share `within` of the theory."""
    values, theory = evidence.values, evidence.theory
    assert theory is not None  # as the plan has checked
    if "replicate" in theory.dims:
        theory = theory.mean("replicate")
    spoken = theory.notnull()
    points = max(int(spoken.sum()), 1)
    level = 1 - (1 - evidence.level) / points
    table = analysis.mean_interval(values, level)
    gap = (table[["estimate", "lower", "upper"]] / theory - 1).where(spoken)
    allowed = (-evidence.within, evidence.within)
    return _extreme(gap["estimate"], gap["lower"], gap["upper"], allowed)


def _extreme(
    estimate: xr.DataArray, lower: xr.DataArray, upper: xr.DataArray, allowed: tuple[float, float]
) -> Judgement:
    """The judgement of the point that fits the allowed range worst; all points must fit."""
    if not lower.notnull().any():
        nan = math.nan
        return Judgement(
            estimate=nan, lower=nan, upper=nan, allowed=allowed, reason="there is no interval"
        )
    low, high = allowed
    outside = np.maximum((lower - high).values, (low - upper).values).ravel()
    short = np.maximum((upper - high).values, (low - lower).values).ravel()
    refuting = np.nanmax(outside) > 0
    position = int(np.nanargmax(outside if refuting else short))
    parts = [float(part.values.ravel()[position]) for part in (estimate, lower, upper)]
    return Judgement(estimate=parts[0], lower=parts[1], upper=parts[2], allowed=allowed)


def judge_monotone(evidence: Evidence) -> Judgement:
    """Each mean lies below or above the previous one, as `side` says, up to `within`."""
    values, along = evidence.values, evidence.along
    length = values.sizes[along]
    level = 1 - (1 - evidence.level) / max(length - 1, 1)
    sign = -1.0 if evidence.side == "increasing" else 1.0
    best = "time" in values.dims and along != "time"
    tables = []
    for position in range(length - 1):
        earlier, later = (
            values.isel({along: place}, drop=True) for place in (position, position + 1)
        )
        table = analysis.paired_difference(later, earlier, level, best=best)
        tables.append([sign * table[name] for name in ("estimate", "lower", "upper")])
    estimate, lower, upper = (xr.concat(parts, "pair") for parts in zip(*tables, strict=True))
    if sign < 0:
        lower, upper = upper, lower
    return _extreme(estimate, lower, upper, allowed=(-math.inf, evidence.within))


def judge_converges(evidence: Evidence) -> Judgement:
    """The limit along a dimension is `expect`, within a margin."""
    table = analysis.extrapolation(evidence.values, evidence.along, evidence.level)
    return _judged(table, _around(evidence))


def judge_bound(evidence: Evidence) -> Judgement:
    """The mean lies below or above `expect`, up to `within`, everywhere along a dimension."""
    points = evidence.values.sizes[evidence.along] if evidence.along else 1
    table = _mean(evidence, evidence.values, 1 - (1 - evidence.level) / points)
    if evidence.side == "above":
        allowed = (evidence.expect - evidence.within, math.inf)
    else:
        allowed = (-math.inf, evidence.expect + evidence.within)
    return _extreme(table["estimate"], table["lower"], table["upper"], allowed=allowed)


def judge_collapse(evidence: Evidence) -> Judgement:
    """The exponent that collapses the paths of several sizes is `expect`, within a margin."""
    table = analysis.collapse(evidence.values, evidence.along, level=evidence.level)
    return _judged(table, _around(evidence))


def judge_flagged(evidence: Evidence) -> Judgement:
    """A soundness check has a finding; core looks it up."""
    raise NotImplementedError("flagged is judged from the findings")


KINDS: dict[str, ClaimKind] = {
    kind.name: kind
    for kind in (
        ClaimKind("slope", "the exponent along", judge_slope, ("along", "expect", "within")),
        ClaimKind("order", "`of` below `than`", judge_order, ("than",)),
        ClaimKind("equal", "`of` equals `than`", judge_equal, ("than", "within")),
        ClaimKind("agrees", "simulation and theory", judge_agrees, ("expect", "within")),
        ClaimKind("monotone", "rises or falls along", judge_monotone, ("along", "side")),
        ClaimKind("converges", "the limit along", judge_converges, ("along", "expect", "within")),
        ClaimKind("bound", "below or above a number", judge_bound, ("expect", "side")),
        ClaimKind("collapse", "paths fall on one", judge_collapse, ("along", "expect", "within")),
        ClaimKind("flagged", "a soundness check fires", judge_flagged, ("expect",)),
    )
}
"""Core's kinds of claims by name; plugins add theirs."""

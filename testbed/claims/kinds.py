"""The kinds of claims that core offers.

Each measures an interval and says which values the claim allows. Dimensions in `evidence.separate`
stay: there the table has one row for each of their points, so that many trials are measured at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import xarray as xr

from testbed import analysis
from testbed.claims.measured import (
    PARTS,
    Measured,
    around,
    on_side,
    shared_level,
    single,
    takes_best,
    worst,
)
from testbed.claims.shares import measure_share
from testbed.contract.claims import ClaimKind, Evidence, Judgement

Measure = Callable[[Evidence], Measured]


# --- one interval -------------------------------------------------------------------------------


def measure_slope(evidence: Evidence) -> Measured:
    """The exponent along a dimension is `expect`, within a margin or on one side; with `than`, the
    exponent minus that of `than`. A slope is not supported where the power law bends."""
    values, along, level = evidence.values, evidence.along, evidence.level
    low, high = allowed = on_side(evidence)
    if evidence.rival is not None:
        table = analysis.slope_difference(
            values, evidence.rival, along, level, survivors=evidence.survivors
        )
        return single(table, allowed)
    table = analysis.slope(values, along, level, survivors=evidence.survivors)
    measured = single(table, allowed)
    inside = (table["lower"] >= low) & (table["upper"] <= high)
    bent = table["reason"].where(table["refused"] & inside, measured.table["reason"])
    return Measured(measured.table.assign(reason=bent), allowed)


def measure_order(evidence: Evidence) -> Measured:
    """`of` lies below `than`, by at least `within`, replicate by replicate; everywhere along a
    dimension, if there is one."""
    return worst(_difference(evidence), evidence, (-math.inf, 0.0 - evidence.within))


def measure_equal(evidence: Evidence) -> Measured:
    """`of` and `than` differ by at most `within`: an equivalence test."""
    return worst(_difference(evidence), evidence, (-evidence.within, evidence.within))


def _rival(evidence: Evidence) -> xr.DataArray:
    """The variable that `than` names; the plan has checked that there is one."""
    assert evidence.rival is not None
    return evidence.rival


def _difference(evidence: Evidence) -> xr.Dataset:
    values, rival = evidence.values, _rival(evidence)
    best = takes_best(evidence, values, rival)
    return analysis.paired_difference(
        values, rival, shared_level(evidence), best=best, survivors=evidence.survivors
    )  # fmt: skip


def measure_ratio(evidence: Evidence) -> Measured:
    """The mean of `of` over that of `than` is `expect`, or lies on the side of it that is said;
    everywhere along a dimension, if there is one."""
    values, rival = evidence.values, _rival(evidence)
    best = takes_best(evidence, values, rival)
    level = shared_level(evidence)
    table = analysis.paired_ratio(values, rival, level, best=best, survivors=evidence.survivors)
    return worst(table, evidence, on_side(evidence))


def measure_sooner(evidence: Evidence) -> Measured:
    """The mean of `of` has fallen to the share `expect` of its first value sooner than that of
    `than`: the ratio of the times is at most 1 + `within`; everywhere along a dimension, if there
    is one."""
    values, rival, level = evidence.values, _rival(evidence), shared_level(evidence)
    table = analysis.time_ratio(
        values, rival, evidence.expect, level, survivors=evidence.survivors
    )  # fmt: skip
    return worst(table, evidence, (-math.inf, 1 + evidence.within))


def measure_converges(evidence: Evidence) -> Measured:
    """The limit along a dimension is `expect`, within a margin."""
    table = analysis.extrapolation(
        evidence.values, evidence.along, evidence.level, survivors=evidence.survivors
    )
    return single(table, around(evidence))


def measure_collapse(evidence: Evidence) -> Measured:
    """The exponent that collapses the paths of several sizes is `expect`, within a margin."""
    table = analysis.collapse(
        evidence.values, evidence.along, level=evidence.level, survivors=evidence.survivors
    )
    return single(table, around(evidence))


# --- all of several intervals -------------------------------------------------------------------


def measure_agrees(evidence: Evidence) -> Measured:
    """Simulation and theory differ by at most the share `within` of the theory, everywhere."""
    values, theory = evidence.values, evidence.theory
    assert theory is not None  # as the plan has checked
    if "replicate" in theory.dims:
        theory = theory.mean("replicate")
    measured = values.notnull().any("replicate")
    if "time" in measured.dims and "time" not in theory.dims:
        measured = measured.any("time")
    spoken = theory.notnull() & measured
    counted = spoken.any(evidence.separate) if evidence.separate else spoken
    level = 1 - (1 - evidence.level) / max(int(counted.sum()), 1)
    if "time" in values.dims and "time" not in theory.dims:
        table = analysis.oracle(values, level=level, survivors=evidence.survivors)
    else:
        table = analysis.mean_interval(values, level, survivors=evidence.survivors)
    gap = (table[list(PARTS)] / theory - 1).where(spoken)
    reason = table["reason"].where(spoken, "")
    return worst(gap.assign(reason=reason), evidence, (-evidence.within, evidence.within))


def measure_monotone(evidence: Evidence) -> Measured:
    """Every mean lies beyond the one before, on the side that `side` says, up to `within`."""
    values, along = evidence.values, evidence.along
    later = values.isel({along: slice(1, None)})
    earlier = values.isel({along: slice(None, -1)}).assign_coords({along: later[along]})
    pair = (earlier, later) if evidence.side == "increasing" else (later, earlier)
    level = 1 - (1 - evidence.level) / max(later.sizes[along], 1)
    best = takes_best(evidence, values)
    table = analysis.paired_difference(*pair, level, best=best, survivors=evidence.survivors)
    return worst(table, evidence, (-math.inf, evidence.within))


def measure_bound(evidence: Evidence) -> Measured:
    """The mean lies below or above `expect`, up to `within`, everywhere along a dimension."""
    values = evidence.values
    level = shared_level(evidence)
    if takes_best(evidence, values):
        table = analysis.oracle(values, level=level, survivors=evidence.survivors)
    else:
        table = analysis.mean_interval(values, level, survivors=evidence.survivors)
    if evidence.theory is None or evidence.along not in evidence.theory.dims:
        return worst(table, evidence, on_side(evidence))
    distance = table[list(PARTS)] - evidence.theory
    allowed = (-evidence.within, math.inf) if evidence.side == "above" else (
        -math.inf, evidence.within
    )  # fmt: skip
    return worst(distance.assign(reason=table["reason"]), evidence, allowed)


def _judge(measure: Measure) -> Callable[[Evidence], Judgement]:
    return lambda evidence: measure(evidence).judgement()


def judge_findings(evidence: Evidence) -> Judgement:
    """A soundness check has a finding, or has none; core looks it up."""
    raise NotImplementedError("this is judged from the findings")


MEASURES: dict[str, tuple[str, Measure, tuple[str, ...]]] = {
    "slope": ("the exponent along", measure_slope, ("along", "expect")),
    "order": ("`of` below `than`", measure_order, ("than",)),
    "equal": ("`of` equals `than`", measure_equal, ("than", "within")),
    "ratio": ("`of` over `than`", measure_ratio, ("than", "expect")),
    "agrees": ("simulation and theory", measure_agrees, ("expect", "within")),
    "monotone": ("rises or falls along", measure_monotone, ("along", "side")),
    "converges": ("the limit along", measure_converges, ("along", "expect", "within")),
    "bound": ("below or above a number", measure_bound, ("expect", "side")),
    "collapse": ("paths fall on one", measure_collapse, ("along", "expect", "within")),
    "share": ("most replicates lie on one side", measure_share, ("expect", "within", "side")),
    "sooner": ("`of` falls sooner than `than`", measure_sooner, ("than", "expect")),
}
"""What each kind says, how it is measured, and the keys that it needs."""

PATHS = ("collapse", "sooner")
"""Kinds that need all times."""

KINDS: dict[str, ClaimKind] = {
    name: ClaimKind(
        name,
        words,
        _judge(measure),
        required,
        takes=("time",) if name in PATHS else (),
        everywhere=name == "agrees",
    )
    for name, (words, measure, required) in MEASURES.items()
}
"""Core's kinds of claims by name; plugins add theirs."""
KINDS["flagged"] = ClaimKind("flagged", "a soundness check fires", judge_findings, ("expect",))
KINDS["unflagged"] = ClaimKind(
    "unflagged", "a soundness check finds nothing", judge_findings, ("expect",)
)

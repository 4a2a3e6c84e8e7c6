"""The kinds of claims that core offers.

Each measures an interval and says which values the claim allows. Dimensions in `evidence.separate`
stay: there the table has one row for each of their points, so that many trials are measured at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed import analysis
from testbed.contract.claims import INCONCLUSIVE, REFUTED, SUPPORTED, ClaimKind, Evidence, Judgement

PARTS = ("estimate", "lower", "upper")
MISSING = "there is no interval"


class Measured(NamedTuple):
    """Intervals (`estimate`, `lower`, `upper`, `reason`), and the values that the claim allows."""

    table: xr.Dataset
    allowed: tuple[float, float]

    def verdicts(self) -> xr.DataArray:
        """The verdict of every row, by the rule of `Judgement.verdict`."""
        low, high = self.allowed
        lower, upper = self.table["lower"], self.table["upper"]
        words = xr.where((upper < low) | (lower > high), REFUTED, INCONCLUSIVE)
        words = words.where(~((lower >= low) & (upper <= high)), SUPPORTED)
        decided = lower.notnull() & upper.notnull() & (self.table["reason"] == "")
        return words.where(decided, INCONCLUSIVE)

    def judgement(self) -> Judgement:
        """The only row as a judgement."""
        parts = {name: float(self.table[name]) for name in PARTS}
        return Judgement(**parts, allowed=self.allowed, reason=str(self.table["reason"].item()))


Measure = Callable[[Evidence], Measured]


def _measured(table: xr.Dataset, allowed: tuple[float, float]) -> Measured:
    """Intervals with a reason only where an interval is missing."""
    there = np.isfinite(table["lower"]) & np.isfinite(table["upper"])
    words = table["reason"].where(table["reason"] != "", MISSING)
    rows = table[list(PARTS)].drop_vars(set(table.coords) - set(table.dims))
    return Measured(rows.assign(reason=words.where(~there, "")), allowed)


def _around(evidence: Evidence) -> tuple[float, float]:
    return evidence.expect - evidence.within, evidence.expect + evidence.within


def _best(evidence: Evidence, *sides: xr.DataArray) -> bool:
    """Whether a side has times, of which the best is taken."""
    return evidence.along != "time" and any("time" in side.dims for side in sides)


# --- one interval -------------------------------------------------------------------------------


def measure_slope(evidence: Evidence) -> Measured:
    """The exponent along a dimension is `expect`, within a margin. A slope is not supported where
    the power law bends."""
    table = analysis.slope(
        evidence.values, evidence.along, evidence.level, survivors=evidence.survivors
    )  # fmt: skip
    low, high = allowed = _around(evidence)
    measured = _measured(table, allowed)
    inside = (table["lower"] >= low) & (table["upper"] <= high)
    bent = table["reason"].where(table["refused"] & inside, measured.table["reason"])
    return Measured(measured.table.assign(reason=bent), allowed)


def measure_order(evidence: Evidence) -> Measured:
    """`of` lies below `than`, by at least `within`, replicate by replicate; everywhere along a
    dimension, if there is one."""
    return _worst(_difference(evidence), evidence, (-math.inf, 0.0 - evidence.within))


def measure_equal(evidence: Evidence) -> Measured:
    """`of` and `than` differ by at most `within`: an equivalence test."""
    return _worst(_difference(evidence), evidence, (-evidence.within, evidence.within))


def _rival(evidence: Evidence) -> xr.DataArray:
    """The variable that `than` names; the plan has checked that there is one."""
    assert evidence.rival is not None
    return evidence.rival


def _difference(evidence: Evidence) -> xr.Dataset:
    values, rival = evidence.values, _rival(evidence)
    best = _best(evidence, values, rival)
    return analysis.paired_difference(
        values, rival, _shared(evidence), best=best, survivors=evidence.survivors
    )  # fmt: skip


def measure_ratio(evidence: Evidence) -> Measured:
    """The mean of `of` over that of `than` is `expect`, or lies on the side of it that is said;
    everywhere along a dimension, if there is one."""
    values, rival = evidence.values, _rival(evidence)
    best = _best(evidence, values, rival)
    level = _shared(evidence)
    table = analysis.paired_ratio(values, rival, level, best=best, survivors=evidence.survivors)
    return _worst(table, evidence, _side(evidence))


def _shared(evidence: Evidence) -> float:
    """The level of each interval along a dimension, so that all of them hold together."""
    points = evidence.values.sizes[evidence.along] if evidence.along else 1
    return 1 - (1 - evidence.level) / points


def _side(evidence: Evidence) -> tuple[float, float]:
    """The values on the claimed side of `expect`, up to `within`."""
    low, high = _around(evidence)
    if evidence.side == "above":
        return low, math.inf
    return (-math.inf, high) if evidence.side == "below" else (low, high)


def measure_converges(evidence: Evidence) -> Measured:
    """The limit along a dimension is `expect`, within a margin."""
    table = analysis.extrapolation(
        evidence.values, evidence.along, evidence.level, survivors=evidence.survivors
    )
    return _measured(table, _around(evidence))


def measure_collapse(evidence: Evidence) -> Measured:
    """The exponent that collapses the paths of several sizes is `expect`, within a margin."""
    table = analysis.collapse(
        evidence.values, evidence.along, level=evidence.level, survivors=evidence.survivors
    )
    return _measured(table, _around(evidence))


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
    return _worst(gap.assign(reason=reason), evidence, (-evidence.within, evidence.within))


def measure_monotone(evidence: Evidence) -> Measured:
    """Every mean lies beyond the one before, on the side that `side` says, up to `within`."""
    values, along = evidence.values, evidence.along
    later = values.isel({along: slice(1, None)})
    earlier = values.isel({along: slice(None, -1)}).assign_coords({along: later[along]})
    pair = (earlier, later) if evidence.side == "increasing" else (later, earlier)
    level = 1 - (1 - evidence.level) / max(later.sizes[along], 1)
    best = _best(evidence, values)
    table = analysis.paired_difference(*pair, level, best=best, survivors=evidence.survivors)
    return _worst(table, evidence, (-math.inf, evidence.within))


def measure_bound(evidence: Evidence) -> Measured:
    """The mean lies below or above `expect`, up to `within`, everywhere along a dimension."""
    values = evidence.values
    level = _shared(evidence)
    if _best(evidence, values):
        table = analysis.oracle(values, level=level, survivors=evidence.survivors)
    else:
        table = analysis.mean_interval(values, level, survivors=evidence.survivors)
    if evidence.theory is None or evidence.along not in evidence.theory.dims:
        return _worst(table, evidence, _side(evidence))
    distance = table[list(PARTS)] - evidence.theory
    allowed = (-evidence.within, math.inf) if evidence.side == "above" else (
        -math.inf, evidence.within
    )  # fmt: skip
    return _worst(distance.assign(reason=table["reason"]), evidence, allowed)


def _worst(table: xr.Dataset, evidence: Evidence, allowed: tuple[float, float]) -> Measured:
    """The interval that fits an allowed range worst; all of them must fit.

    A point that was to be simulated and has no interval leaves the claim open, unless another point
    refutes it.
    """
    rows = table[[*PARTS, "reason"]].drop_vars(set(table.coords) - set(table.dims))
    dims = [dim for dim in rows.dims if dim not in evidence.separate]
    if not dims:
        return _measured(table, allowed)
    rows = rows.drop_vars(dims, errors="ignore").stack(place=dims, create_index=False)
    low, high = allowed
    there = rows["lower"].notnull() & rows["upper"].notnull()
    outside = _larger(rows["lower"] - high, low - rows["upper"]).where(there, -np.inf)
    short = _larger(rows["upper"] - high, low - rows["lower"]).where(there, -np.inf)
    refuting = outside.max("place") > 0
    lost = ~there & (rows["reason"] != "") & (rows["reason"] != "not simulated")
    score = xr.where(refuting, outside, short.where(~lost.any("place"), lost.astype(float)))
    chosen = rows.isel(place=score.argmax("place"))
    return _measured(chosen, allowed)


def _larger(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    return first.where(first > second, second)


def _judge(measure: Measure) -> Callable[[Evidence], Judgement]:
    return lambda evidence: measure(evidence).judgement()


def judge_flagged(evidence: Evidence) -> Judgement:
    """A soundness check has a finding; core looks it up."""
    raise NotImplementedError("flagged is judged from the findings")


MEASURES: dict[str, tuple[str, Measure, tuple[str, ...]]] = {
    "slope": ("the exponent along", measure_slope, ("along", "expect", "within")),
    "order": ("`of` below `than`", measure_order, ("than",)),
    "equal": ("`of` equals `than`", measure_equal, ("than", "within")),
    "ratio": ("`of` over `than`", measure_ratio, ("than", "expect")),
    "agrees": ("simulation and theory", measure_agrees, ("expect", "within")),
    "monotone": ("rises or falls along", measure_monotone, ("along", "side")),
    "converges": ("the limit along", measure_converges, ("along", "expect", "within")),
    "bound": ("below or above a number", measure_bound, ("expect", "side")),
    "collapse": ("paths fall on one", measure_collapse, ("along", "expect", "within")),
}
"""What each kind says, how it is measured, and the keys that it needs."""

KINDS: dict[str, ClaimKind] = {
    name: ClaimKind(
        name,
        words,
        _judge(measure),
        required,
        takes=("time",) if name == "collapse" else (),
        everywhere=name == "agrees",
    )
    for name, (words, measure, required) in MEASURES.items()
}
"""Core's kinds of claims by name; plugins add theirs."""
KINDS["flagged"] = ClaimKind("flagged", "a soundness check fires", judge_flagged, ("expect",))

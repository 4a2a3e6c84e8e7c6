"""An interval for every row of trials, and the values that a claim allows of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.contract.claims import INCONCLUSIVE, REFUTED, SUPPORTED, Evidence, Judgement

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
        row = self.table.compute()
        parts = {name: float(row[name]) for name in PARTS}
        return Judgement(**parts, allowed=self.allowed, reason=str(row["reason"].item()))


def single(table: xr.Dataset, allowed: tuple[float, float]) -> Measured:
    """Intervals with a reason only where an interval is missing."""
    table = table.compute()
    there = np.isfinite(table["lower"]) & np.isfinite(table["upper"])
    words = table["reason"].where(table["reason"] != "", MISSING)
    rows = table[list(PARTS)].drop_vars(set(table.coords) - set(table.dims))
    return Measured(rows.assign(reason=words.where(~there, "")), allowed)


def around(evidence: Evidence) -> tuple[float, float]:
    return evidence.expect - evidence.within, evidence.expect + evidence.within


def takes_best(evidence: Evidence, *sides: xr.DataArray) -> bool:
    """Whether a side has times, of which the best is taken."""
    return evidence.along != "time" and any("time" in side.dims for side in sides)


def shared_level(evidence: Evidence) -> float:
    """The level of each interval along a dimension, so that all of them hold together."""
    points = evidence.values.sizes[evidence.along] if evidence.along else 1
    return 1 - (1 - evidence.level) / points


def on_side(evidence: Evidence) -> tuple[float, float]:
    """The values on the claimed side of `expect`, up to `within`."""
    low, high = around(evidence)
    if evidence.side == "above":
        return low, math.inf
    return (-math.inf, high) if evidence.side == "below" else (low, high)


def worst(table: xr.Dataset, evidence: Evidence, allowed: tuple[float, float]) -> Measured:
    """The interval that fits an allowed range worst; all of them must fit.

    A point that was to be simulated and has no interval leaves the claim open, unless another point
    refutes it.
    """
    rows = table[[*PARTS, "reason"]].drop_vars(set(table.coords) - set(table.dims)).compute()
    dims = [dim for dim in rows.dims if dim not in evidence.separate]
    if not dims:
        return single(table, allowed)
    rows = rows.drop_vars(dims, errors="ignore").stack(place=dims, create_index=False)
    low, high = allowed
    there = rows["lower"].notnull() & rows["upper"].notnull()
    outside = _larger(rows["lower"] - high, low - rows["upper"]).where(there, -np.inf)
    short = _larger(rows["upper"] - high, low - rows["lower"]).where(there, -np.inf)
    refuting = outside.max("place") > 0
    lost = ~there & (rows["reason"] != "") & (rows["reason"] != "not simulated")
    score = xr.where(refuting, outside, short.where(~lost.any("place"), lost.astype(float)))
    chosen = rows.isel(place=score.argmax("place"))
    return single(chosen, allowed)


def _larger(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    return first.where(first > second, second)

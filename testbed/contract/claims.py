"""Kinds of claims: a name, the required keys, and a function that judges.

A kind turns evidence into an interval and the values that the claim allows. Core decides: supported
if the interval lies within them, refuted if it lies outside, inconclusive otherwise. The module
imports neither xarray nor torch, so that plugins can add kinds by the hook `testbed_claims`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import xarray as xr

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
DIVERGED = "diverged"
"""A variable that every estimator has in claims on a share: 1 for replicates that diverged, 0 for
those that did not."""
FINDINGS = ("flagged", "unflagged")
"""Kinds of claims about the findings of soundness checks."""


@frozen(kw_only=True)
class Evidence:
    """The values that decide a claim at one point. They have replicates and the dimension `along`;
    they have time only if the claim concerns the best time or time itself. Values that no chance
    changes, such as a theory's, stand there as equal replicates."""

    values: xr.DataArray
    rival: xr.DataArray | None = None  # the variable that `than` names
    theory: xr.DataArray | None = None  # the variable that `expect` names
    along: str = ""
    expect: float = math.nan
    within: float = 0.0
    side: str = ""
    level: float = 0.95  # of intervals, corrected for the number of verdicts
    looks: int = 1  # how often an adaptive run looked; testbed.analysis accounts for it by itself
    survivors: bool = False  # judge the replicates that are left where some are lost
    separate: tuple[str, ...] = ()  # further dimensions, with a judgement for each of their points


@frozen(kw_only=True)
class Judgement:
    """An interval, and the values that the claim allows."""

    estimate: float
    lower: float
    upper: float
    allowed: tuple[float, float]
    reason: str = ""  # why there is no verdict; empty if there is one

    @property
    def verdict(self) -> str:
        """Supported, refuted or inconclusive."""
        low, high = self.allowed
        if self.reason or math.isnan(self.lower) or math.isnan(self.upper):
            return INCONCLUSIVE
        if low <= self.lower and self.upper <= high:
            return SUPPORTED
        return REFUTED if self.upper < low or self.lower > high else INCONCLUSIVE


@frozen
class ClaimKind:
    """A kind of claim; `name` is the value of the key `that`.

    `sentence` states the claim in reports: "{of} reaches {expect}". It may name of, than, along,
    expect, within, percent (of `within`), least (1 − `within` in percent), around (expect ± within)
    and side ("above 2").
    """

    name: str
    help: str
    judge: Callable[[Evidence], Judgement]
    requires: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()  # dimensions that it needs whole, beside `along`: ("time",)
    sentence: str = ""
    everywhere: bool = False  # whether it holds at every point of what a claim leaves open

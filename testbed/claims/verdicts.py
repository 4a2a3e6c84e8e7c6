"""A verdict on one claim at one point."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Verdict:
    """Whether the results support a claim, with the interval that decides it."""

    claim: str
    that: str
    point: str  # such as "gamma=1.5"; empty where there is one point
    statement: str  # the claim in words
    source: str  # who states it; empty if nobody is named
    verdict: str  # supported, refuted or inconclusive
    estimate: float
    lower: float
    upper: float
    lowest: float  # the least value that the claim allows
    highest: float
    level: float  # of the interval, corrected for the number of verdicts; NaN without chance
    reason: str

    @property
    def title(self) -> str:
        """The claim's name and its point: `falls gamma=1.5`."""
        return f"{self.claim} {self.point}" if self.point else self.claim

"""A claim, and the verdict on it, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf, isnan
from typing import TYPE_CHECKING

from testbed.claims.verdicts import Verdict
from testbed.contract.claims import FINDINGS
from testbed.contract.figures import ORACLE
from testbed.contract.names import in_words

if TYPE_CHECKING:
    from testbed.scenario.tables import ClaimTable

TEMPLATES = {
    "slope": "{of} goes like {along} to the power {side}",
    "slopes": "the exponent of {of} along {along} minus that of {than} is {side}",
    "order": "{of} lies below {than}",
    "equal": "{of} equals {than} up to {within}",
    "ratio": "{of} over {than} is {side}",
    "agrees": "{of} agrees with {expect} up to {percent}",
    "monotone": "{of} is {direction} along {along}",
    "converges": "{of} approaches {around} along {along}",
    "bound": "{of} is {side}",
    "collapse": "paths of {of} fall on one for time/{along}^a, a = {around}",
    "share": "at least {least} of replicates have {of} {side}",
    "paired share": "at least {least} of replicates have {of} minus {than} {side}",
    "sooner": "{of} falls to {expect} of its start sooner than {than}",
    "flagged": "the soundness check {expect} finds something about {of}",
    "unflagged": "the soundness check {expect} finds nothing about {of}",
}
PAIRED = {"slope": "slopes", "share": "paired share"}
"""Sentences of kinds that may compare two variables."""


def statement(claim: ClaimTable, sentence: str = "") -> str:
    """The claim in words: what, along what, and where. `sentence` is that of a plugin's kind."""
    kind = PAIRED.get(claim.that, claim.that) if claim.than else claim.that
    template = sentence or TEMPLATES.get(kind, "{of}: {that} {around}")
    facts = _facts(claim)
    if claim.than:
        facts |= _sides(claim, facts["of"])
    shared = {dim: value for dim, value in claim.at.items() if dim not in claim.than_at}
    places = [place_in_words(shared)] if shared else []
    if claim.range:
        places.append(f"{claim.along} from {claim.range[0]:g} to {claim.range[1]:g}")
    text = template.format(**facts)
    return f"{text} ({', '.join(places)})" if places else text


def place_in_words(held: Mapping[str, object]) -> str:
    """Where dimensions are held: `at the best time, n=100`."""
    time = held.get("time")
    if not isinstance(time, str):
        return f"at {in_words(held)}"
    chosen = "the best time" if time == ORACLE else f"the time of the least {time}"
    point = {dim: value for dim, value in held.items() if dim != "time"}
    return f"at {chosen}, {in_words(point)}" if point else f"at {chosen}"


def _sides(claim: ClaimTable, name: str) -> dict[str, str]:
    """The two variables of a comparison, with the places at which they differ."""
    than = "the same" if claim.than == claim.of else claim.than
    if not claim.than_at:
        return {"of": name, "than": than}
    first = {dim: claim.at[dim] for dim in claim.than_at if dim in claim.at}
    return {
        "of": f"{name} {place_in_words(first)}" if first else name,
        "than": f"{than} {place_in_words(claim.than_at)}",
    }


def _facts(claim: ClaimTable) -> dict[str, str]:
    expect = f"{claim.expect:g}" if isinstance(claim.expect, float | int) else str(claim.expect)
    margin = f" ± {claim.within:g}" if claim.within else ""
    side = f"{claim.side} {expect}" if claim.side in ("above", "below") else f"{expect}{margin}"
    return {
        "that": claim.that,
        "of": claim.of.partition("/")[0] if claim.that in FINDINGS else claim.of,
        "than": claim.than,
        "along": claim.along,
        "expect": expect,
        "around": expect + margin,
        "side": side,
        "within": f"{claim.within or 0:g}",
        "least": f"{100 * (1 - (claim.within or 0)):g}%",
        "percent": f"{100 * (claim.within or 0):g}%",
        "direction": claim.side,
    }


# --- verdicts -----------------------------------------------------------------------------------


def allowed_text(verdict: Verdict) -> str:
    """The values that a claim allows."""
    if verdict.that in FINDINGS:
        return "a finding" if verdict.that == "flagged" else "no finding"
    low, high = (f"{value:.4g}" for value in (verdict.lowest, verdict.highest))
    if isnan(verdict.lowest):
        return ""
    if isinf(verdict.lowest):
        return f"≤ {high}"
    return f"≥ {low}" if isinf(verdict.highest) else f"{low} … {high}"


def found_text(verdict: Verdict) -> str:
    """The estimate with its interval; without chance the estimate alone."""
    if isnan(verdict.estimate):
        return ""
    if verdict.that in FINDINGS:
        return "found" if verdict.estimate else "nothing found"
    if isnan(verdict.level) and verdict.lower == verdict.upper:
        return f"{verdict.estimate:.4g}"
    return f"{verdict.estimate:.4g} [{verdict.lower:.4g}, {verdict.upper:.4g}]"


def level_text(verdicts: Sequence[Verdict]) -> str:
    """The level of the intervals and the correction in a clause; empty without chance."""
    levels = [verdict.level for verdict in verdicts if not isnan(verdict.level)]
    if not levels:
        return ""
    text = f"intervals at {100 * min(levels):.4g}%"
    count = len(levels)
    return f"{text}, corrected for {count} verdicts (Bonferroni)" if count > 1 else text

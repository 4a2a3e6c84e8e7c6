"""A claim as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.contract.names import in_words

if TYPE_CHECKING:
    from testbed.scenario.tables import ClaimTable

TEMPLATES = {
    "slope": "{of} goes like {along} to the power {around}",
    "order": "{of} lies below {than}",
    "equal": "{of} equals {than} up to {within}",
    "ratio": "{of} over {than} is {side}",
    "agrees": "{of} agrees with {expect} up to {percent}",
    "monotone": "{of} is {direction} along {along}",
    "converges": "{of} approaches {around} along {along}",
    "bound": "{of} is {side}",
    "collapse": "paths of {of} fall on one for time/{along}^a, a = {around}",
    "flagged": "the soundness check {expect} finds something about {of}",
}


def statement(claim: ClaimTable) -> str:
    """The claim in words: what, along what, and where."""
    text = TEMPLATES.get(claim.that, "{of}: {that} {around}").format(**_facts(claim))
    places = [in_words(claim.at)] if claim.at else []
    places += [f"than at {in_words(claim.than_at)}"] if claim.than_at else []
    if claim.range:
        places.append(f"{claim.along} from {claim.range[0]:g} to {claim.range[1]:g}")
    return f"{text} ({', '.join(places)})" if places else text


def _facts(claim: ClaimTable) -> dict[str, str]:
    expect = f"{claim.expect:g}" if isinstance(claim.expect, float | int) else str(claim.expect)
    margin = f" ± {claim.within:g}" if claim.within else ""
    side = f"{claim.side} {expect}" if claim.side in ("above", "below") else f"{expect}{margin}"
    return {
        "that": claim.that,
        "of": claim.of.partition("/")[0] if claim.that == "flagged" else claim.of,
        "than": claim.than,
        "along": claim.along,
        "expect": expect,
        "around": expect + margin,
        "side": side,
        "within": f"{claim.within or 0:g}",
        "percent": f"{100 * (claim.within or 0):g}%",
        "direction": claim.side,
    }

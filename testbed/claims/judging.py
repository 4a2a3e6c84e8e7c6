"""Every claim at every point of `each`, with intervals corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import xarray as xr

from testbed.claims.evidence import Sources, Unjudged, evidence_of, moved_by_chance
from testbed.claims.kinds import KINDS
from testbed.claims.verdicts import Verdict
from testbed.claims.words import statement
from testbed.contract.claims import FINDINGS, ClaimKind, Judgement
from testbed.contract.findings import Finding
from testbed.contract.names import in_words
from testbed.contract.published import PublishedTable

if TYPE_CHECKING:
    from testbed.loading import Registry
    from testbed.scenario.tables import ClaimTable

NO_FINDING = "the scenario expects it, and it was not found"


def claim_kinds(registry: Registry) -> dict[str, ClaimKind]:
    """Core's kinds of claims and those of plugins, by name."""
    added = [kind for answer in registry.hook("testbed_claims")() for kind in answer]
    return {**KINDS, **{kind.name: kind for kind in added}}


def judge_claims(
    claims: Sequence[ClaimTable],
    tree: xr.DataTree,
    findings: Sequence[Finding],
    kinds: Mapping[str, ClaimKind],
    published: Mapping[str, PublishedTable] | None = None,
) -> list[Verdict]:
    """The verdicts on all claims. Levels are corrected for the number of those that chance moves
    (Bonferroni): the chance that any true claim of the scenario is refuted is at most
    1 − confidence."""
    judged = judge_each(claims, tree, findings, kinds, published or {})
    return [verdict for _, _, verdict in judged]


def judge_each(
    claims: Sequence[ClaimTable],
    tree: xr.DataTree,
    findings: Sequence[Finding],
    kinds: Mapping[str, ClaimKind],
    published: Mapping[str, PublishedTable],
) -> Iterator[tuple[ClaimTable, dict[str, object], Verdict]]:
    """Every claim and every point of its `each` with the verdict there."""
    sources = Sources(tree, published)
    pairs = [(claim, point) for claim in claims for point in points_of(claim, tree)]
    count = sum(moved_by_chance(claim, tree) for claim, _ in pairs)
    for claim, point in pairs:
        level = 1 - (1 - claim.confidence) / count if moved_by_chance(claim, tree) else math.nan
        yield claim, point, _verdict(claim, point, sources, findings, kinds, level)


def points_of(claim: ClaimTable, tree: xr.DataTree) -> Iterator[dict[str, object]]:
    """The points of `each`, one for each verdict on a claim."""
    group = tree[claim.of.split("/")[0]].to_dataset()
    for values in product(*(group[dim].values.tolist() for dim in claim.each)):
        yield dict(zip(claim.each, values, strict=True))


def _verdict(
    claim: ClaimTable,
    point: Mapping[str, object],
    sources: Sources,
    findings: Sequence[Finding],
    kinds: Mapping[str, ClaimKind],
    level: float,
) -> Verdict:
    try:
        if claim.that in FINDINGS:
            judgement = _flagged(claim, findings)
        else:
            used = claim.confidence if math.isnan(level) else level
            judgement = kinds[claim.that].judge(evidence_of(claim, point, sources, used))
    except Unjudged as reason:
        judgement = _open(str(reason))
    except Exception as error:  # a claim that cannot be judged leaves the verdicts on other claims
        judgement = _open(f"it could not be judged: {type(error).__name__}: {error}")
    low, high = judgement.allowed
    return Verdict(
        claim=claim.name,
        that=claim.that,
        point=in_words(point),
        statement=_statement(claim, kinds),
        source=_source(claim, sources.published),
        verdict=judgement.verdict,
        estimate=judgement.estimate,
        lower=judgement.lower,
        upper=judgement.upper,
        lowest=low,
        highest=high,
        level=level,
        reason=judgement.reason,
    )


def _statement(claim: ClaimTable, kinds: Mapping[str, ClaimKind]) -> str:
    """The claim in words; without its plugin's sentence if that cannot be filled in."""
    sentence = kinds[claim.that].sentence if claim.that in kinds else ""
    try:
        return statement(claim, sentence)
    except (KeyError, ValueError, IndexError, AttributeError):
        return statement(claim)


def _open(reason: str) -> Judgement:
    """No verdict, and why."""
    nan = math.nan
    return Judgement(estimate=nan, lower=nan, upper=nan, allowed=(nan, nan), reason=reason)


def _source(claim: ClaimTable, published: Mapping[str, PublishedTable]) -> str:
    """Who states a claim: what the claim says, or the source of the number that it names."""
    if claim.source or not isinstance(claim.expect, str) or claim.expect not in published:
        return claim.source
    return published[claim.expect].labels["source"]


def _flagged(claim: ClaimTable, findings: Sequence[Finding]) -> Judgement:
    """1 if the check has a finding about the estimator, else 0; `flagged` allows 1, `unflagged`
    0."""
    name = claim.of.split("/")[0]
    fired = [f for f in findings if f.check == claim.expect and f.estimator in ("", name)]
    value = float(any(finding.observation != NO_FINDING for finding in fired))
    wanted = float(claim.that == "flagged")
    return Judgement(estimate=value, lower=value, upper=value, allowed=(wanted, wanted))

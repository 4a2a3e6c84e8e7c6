"""Judge every claim at every point of `each`, with intervals corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import xarray as xr

from testbed import analysis
from testbed.claims.kinds import KINDS
from testbed.claims.verdicts import Verdict
from testbed.contract.claims import ClaimKind, Evidence, Judgement
from testbed.contract.findings import Finding
from testbed.contract.names import in_words

if TYPE_CHECKING:
    from testbed.loading import Registry
    from testbed.scenario.tables import ClaimTable

ORACLE = "oracle"


def claim_kinds(registry: Registry) -> dict[str, ClaimKind]:
    """Core's kinds of claims and those of plugins, by name."""
    added = [kind for answer in registry.hook("testbed_claims")() for kind in answer]
    return {**KINDS, **{kind.name: kind for kind in added}}


def judge_claims(
    claims: Sequence[ClaimTable],
    tree: xr.DataTree,
    findings: Sequence[Finding],
    kinds: Mapping[str, ClaimKind],
) -> list[Verdict]:
    """The verdicts on all claims. Levels are corrected for their number (Bonferroni): the chance
    that any true claim of the scenario is refuted is at most 1 − confidence."""
    pairs = [(claim, point) for claim in claims for point in _points(claim, tree)]
    return [
        _verdict(claim, point, tree, findings, kinds, 1 - (1 - claim.confidence) / len(pairs))
        for claim, point in pairs
    ]


def _points(claim: ClaimTable, tree: xr.DataTree) -> Iterator[dict[str, object]]:
    group = tree[claim.of.split("/")[0]].to_dataset()
    for values in product(*(group[dim].values for dim in claim.each)):
        yield dict(zip(claim.each, values, strict=True))


def _verdict(
    claim: ClaimTable,
    point: Mapping[str, object],
    tree: xr.DataTree,
    findings: Sequence[Finding],
    kinds: Mapping[str, ClaimKind],
    level: float,
) -> Verdict:
    try:
        if claim.that == "flagged":
            judgement = _flagged(claim, findings)
        else:
            judgement = kinds[claim.that].judge(_evidence(claim, point, tree, level))
    except Exception as error:  # a claim that cannot be judged leaves the verdicts on other claims
        reason = f"it could not be judged: {type(error).__name__}: {error}"
        nan = math.nan
        judgement = Judgement(estimate=nan, lower=nan, upper=nan, allowed=(nan, nan), reason=reason)
    low, high = judgement.allowed
    return Verdict(
        claim=claim.name,
        that=claim.that,
        point=in_words(point),
        verdict=judgement.verdict,
        estimate=judgement.estimate,
        lower=judgement.lower,
        upper=judgement.upper,
        lowest=low,
        highest=high,
        level=level,
        reason=judgement.reason,
    )


def _flagged(claim: ClaimTable, findings: Sequence[Finding]) -> Judgement:
    """1 if the check has a finding about the estimator, else 0; 1 is allowed."""
    name = claim.of.split("/")[0]
    fired = [f for f in findings if f.check == claim.expect and f.estimator in ("", name)]
    flagged = any(
        finding.observation != "the scenario expects it, and it was not found" for finding in fired
    )
    value = float(flagged)
    return Judgement(estimate=value, lower=value, upper=value, allowed=(1.0, 1.0))


def _evidence(
    claim: ClaimTable, point: Mapping[str, object], tree: xr.DataTree, level: float
) -> Evidence:
    estimator, variable = claim.of.split("/")
    dataset = tree[estimator].to_dataset()
    theory = None
    expect = claim.expect
    if isinstance(expect, str):
        theory = _selected(dataset[expect], claim, point)
        at_best = "time" in theory.dims and claim.at.get("time") == ORACLE
        single = theory.min("time") if at_best else theory
        expect = float(single.mean()) if claim.that != "agrees" else math.nan
    rival = None
    if claim.than:
        opponent, name = claim.than.split("/")
        rival = _selected(analysis.simulated(tree[opponent].to_dataset(), name), claim, point)
    return Evidence(
        values=_selected(analysis.simulated(dataset, variable), claim, point),
        rival=rival,
        theory=theory,
        along=claim.along,
        expect=math.nan if expect is None else expect,
        within=claim.within or 0.0,
        side=claim.side,
        level=level,
    )


def _selected(values: xr.DataArray, claim: ClaimTable, point: Mapping[str, object]) -> xr.DataArray:
    """The values at the claim's point; dimensions that the values lack are skipped."""
    for dim, wanted in {**claim.at, **point}.items():
        if dim not in values.dims or (dim == "time" and wanted == ORACLE):
            continue
        numeric = values[dim].dtype.kind in "fiu"
        values = values.sel({dim: wanted}, method="nearest" if numeric else None)
    return values

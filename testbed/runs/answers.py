"""What comes before and after the cells: a plan without objections, and verdicts on the results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import evolve

from testbed.claims import claim_kinds, judge_claims, with_published, with_verdicts
from testbed.errors import Mistake
from testbed.loading import Registry, load_registry
from testbed.planning.claims import unsuitable_claims
from testbed.planning.plan import Plan, make_plan
from testbed.running.state_sizes import StateSizes, state_mistakes, state_sizes
from testbed.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray as xr


def checked_plan(scenario: Scenario, registry: Registry | None = None, sized: bool = True) -> Plan:
    """The plan of a scenario to which neither claims nor plugins object; ScenarioError with every
    mistake otherwise. `sized` plans know how large the states are that a run keeps."""
    registry = registry or load_registry()
    sizes: list[StateSizes] = []

    def objections(plan: Plan) -> Iterator[Mistake]:
        if sized and scenario.compute.keep_states:
            sizes.append(state_sizes(plan.cells))
            yield from state_mistakes(plan, sizes[0])
        if scenario.claims:
            yield from unsuitable_claims(plan, claim_kinds(registry), registry.published())
        for reasons in registry.hook("testbed_check_scenario")(plan=plan):
            for reason in reasons:
                # a text without a place concerns the whole scenario
                yield reason if isinstance(reason, Mistake) else Mistake("$", reason)

    plan = make_plan(scenario, objections)
    return evolve(plan, states=sizes[0].total) if sizes else plan


def answered(plan: Plan, tree: xr.DataTree, registry: Registry) -> xr.DataTree:
    """The results with what soundness checks find, the verdicts on claims, and the published
    numbers that these name."""
    from testbed.soundness import examine, with_findings  # reads results by testbed.analysis

    findings = examine(plan, tree, registry)
    tree = with_findings(tree, findings)
    claims = plan.scenario.claims
    if not claims:
        return tree
    published = registry.published()
    verdicts = judge_claims(claims, tree, findings, claim_kinds(registry), published)
    return with_published(with_verdicts(tree, verdicts), claims, published)

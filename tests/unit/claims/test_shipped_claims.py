"""Every shipped scenario states claims that can be judged."""

from __future__ import annotations

import pytest

from testbed.claims import read_verdicts
from testbed.loading import load_registry
from testbed.planning.files import load_scenario
from testbed.runs import checked_plan, run

SHIPPED = load_registry().scenarios()
REDUCED = {  # sizes at which a scenario ends in a second, and its claims can still be judged
    "eigenvalue-learning": ("replicates=4",),
    "span-profile": ("replicates=4", "design.modes=600"),
    "span-alignment": ("replicates=4",),
    "failure-signatures": ("replicates=4",),
}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_scenario_states_claims_that_pass_the_check(name):
    scenario = load_scenario(SHIPPED[name])
    assert scenario.claims, "a scenario ends in an answer"
    assert checked_plan(scenario).scenario.claims
    assert all(claim.source or isinstance(claim.expect, str) for claim in scenario.claims)


@pytest.mark.parametrize("name", sorted(REDUCED))
def test_reduced_sizes_are_judged(name, tmp_path):
    tree = run(load_scenario(SHIPPED[name], REDUCED[name]), tmp_path)
    for verdict in read_verdicts(tree):
        assert "could not be judged" not in verdict.reason, verdict

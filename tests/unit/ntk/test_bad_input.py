"""Scenarios of kernels that cannot work, refused before anything runs."""

from __future__ import annotations

import pytest

from testbed.errors import ScenarioError
from testbed.plan import Plan
from testbed.runs import checked_plan
from testbed.scenario import read_scenario

TEXT = """
format = 1
name = "kernel"
times = [1.0]
[design]
use = "sphere"
dim = 5
n = {n}
n_test = {n_test}
[target]
use = "linear"
[[estimator]]
name = "kernel"
model = {{ use = "ntk.laplace" {model} }}
optimizer = {{ use = "spectral-filter" }}
{more}
[[metric]]
use = "excess-risk"
[compute]
memory = {memory}
"""


def planned(text) -> Plan:
    return checked_plan(read_scenario(text, "kernel.toml"))


def refused(n=100, n_test=10, model="", more="", memory=2.0):
    text = TEXT.format(n=n, n_test=n_test, model=model, more=more, memory=memory)
    with pytest.raises(ScenarioError) as caught:
        planned(text)
    return str(caught.value)


def test_matrices_beyond_the_memory_are_refused_at_planning():
    error = refused(n=40_000)
    assert "found n = 40000 in the estimator 'kernel'" in error
    assert "13.1 GiB by the route 'krylov', expected at most 2 GiB" in error
    assert "by the route 'eigen'" in refused(n=12_000, model=', route = "eigen"')
    fine = TEXT.format(n=40_000, n_test=10, model="", more="", memory=14.0)
    assert len(planned(fine).cells) == 1
    theory = TEXT.format(n=40_000, n_test=10, model="", more="simulate = false", memory=2.0)
    theory += '[[theory]]\nuse = "ntk.polynomial-barrier"\n'
    assert not any(cell.replicates for cell in planned(theory).cells)


def test_without_test_points_there_is_no_risk():
    assert "design.n_test: found 0; expected a number at least 1" in refused(n_test=0)

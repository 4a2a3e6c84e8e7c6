"""Scenarios of kernels that cannot work, refused before anything runs."""

from __future__ import annotations

import pytest

from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.planning.plan import Plan
from testbed.runs import checked_plan

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
{extra}
[[metric]]
use = "excess-risk"
[compute]
memory = {memory}
"""


def planned(text) -> Plan:
    return checked_plan(read_scenario(text, "kernel.toml"))


def refused(n=100, n_test=10, model="", extra="", memory=2.0):
    text = TEXT.format(n=n, n_test=n_test, model=model, extra=extra, memory=memory)
    with pytest.raises(ScenarioError) as caught:
        planned(text)
    return str(caught.value)


def test_matrices_beyond_the_memory_are_refused_at_planning():
    error = refused(n=40_000)
    assert "found n = 40000 in the estimator 'kernel'" in error
    assert "13.1 GiB by the route 'krylov'; expected at most 2 GiB; lower n" in error
    assert error.startswith("kernel.toml: $.design: ")
    assert "by the route 'eigen'" in refused(n=12_000, model=', route = "eigen"')
    fine = TEXT.format(n=40_000, n_test=10, model="", extra="", memory=14.0)
    assert len(planned(fine).cells) == 1
    theory = TEXT.format(n=40_000, n_test=10, model="", extra="simulate = false", memory=2.0)
    theory += '[[theory]]\nuse = "ntk.polynomial-barrier"\n'
    assert not any(cell.replicates for cell in planned(theory).cells)


@pytest.mark.parametrize(
    ("optimizer", "metric", "message"),
    [
        ("", "", "13.1 GiB by the route 'krylov';"),
        ('filter = "cutoff"', "", "31 GiB by the route 'eigen';"),
        ("times = [1.0, inf]", "", "31 GiB by the route 'eigen';"),
        ("", "loo-risk", "45.3 GiB by the route 'krylov' with the leverage that metrics ask for"),
        ("", "eigenvalues", "34.6 GiB by the route 'krylov' with the spectrum that metrics"),
        ("", "eigenvectors", "34.6 GiB by the route 'krylov' with the spectrum that metrics"),
        ('filter = "cutoff"', "gcv", "57.2 GiB by the route 'eigen' with the leverage"),
        ("", "training-loss", "13.1 GiB by the route 'krylov';"),
    ],
)
def test_memory_is_that_of_the_factors_where_anything_asks_for_them(optimizer, metric, message):
    """n = 40000 makes matrices of 11.9 GiB; how many are held was measured at n = 3500."""
    text = TEXT.format(n=40_000, n_test=10, model="", extra="", memory=2.0)
    options = f", {optimizer}" if optimizer else ""
    text = text.replace('"spectral-filter"', f'"spectral-filter"{options}')
    text += f'[[metric]]\nuse = "{metric}"\n' if metric else ""
    with pytest.raises(ScenarioError) as caught:
        planned(text)
    assert message in str(caught.value)


def test_modes_beyond_the_points_are_refused_at_planning():
    text = TEXT.format(n=40, n_test=10, model="", extra="", memory=2.0)
    text += """
[[metric]]
use = "eigenvalues"
modes = [1, 41]
[[metric]]
use = "top-projection"
k = [3, 50]
[[metric]]
use = "top-projection"
name = "tested"
points = "test"
k = [3, 11]
[[metric]]
use = "projection-error"
k = [1, 40]
"""
    with pytest.raises(ScenarioError) as caught:
        planned(text)
    assert [str(item).split(" as many")[0] for item in caught.value.mistakes] == [
        "kernel.toml: $.metric[1]: found modes from 1 to 41; expected numbers from 1 to 40,",
        "kernel.toml: $.metric[2]: found ranks k from 3 to 50; expected numbers from 1 to 40,",
        "kernel.toml: $.metric[3]: found ranks k from 3 to 11; expected numbers from 1 to 10,",
    ]


def test_the_exact_risk_takes_two_matrices_more():
    text = TEXT.format(n=10_000, n_test=10, model=', route = "krylov"', extra="", memory=2.0)
    text = text.replace('"linear"', '"gegenbauer"\ndegrees = [1]')
    assert len(planned(text).cells) == 1
    with pytest.raises(ScenarioError, match=r"2\.31 GiB by the route 'krylov'"):
        planned(text + '[[metric]]\nuse = "ntk.population-risk"\n')


def test_without_test_points_there_is_no_risk():
    error = refused(n_test=0)
    assert "which no estimator can be measured by" in error and "test points" in error

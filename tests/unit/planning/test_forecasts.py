"""What a plan warns of: steps past stability, and work that would take years."""

from __future__ import annotations

import pytest

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from tests.helpers.misfit_scenario import scenario


def warnings(model, optimizer, times="[1000.0, 100000.0]", design=None):
    text = scenario(model=model, **({"design": design} if design else {}))
    text = text.replace('use = "gradient-descent", learning_rate = 0.1', optimizer)
    text = text.replace("{ geom = [1.0, 100.0, 5] }", times)
    return list(make_plan(read_scenario(text)).warnings)


RBF, WIDE = 'use = "ntk.rbf"', 'use = "networks.two-layer", width = 1000000'


def test_steps_past_stability_are_foreseen():
    """The mean of the kernel over the sphere is its largest eigenvalue, 0.46: η = 1000 is 231 times
    the stable step, η = 1 is stable."""
    (warning,) = warnings(RBF, 'use = "gradient-descent", learning_rate = 1000.0')
    assert "the steps of 'k' are 2" in warning and "it will diverge" in warning
    assert warnings(RBF, 'use = "gradient-descent", learning_rate = 1.0') == []


def test_momentum_makes_longer_steps_stable():
    plain = 'use = "gradient-descent", learning_rate = 5.0'
    assert warnings(RBF, plain)
    assert warnings(RBF, f"{plain}, momentum = 0.9") == []


@pytest.mark.parametrize("optimizer", ['use = "gradient-flow"', 'use = "spectral-filter"'])
def test_what_takes_no_steps_is_not_warned_of(optimizer):
    assert warnings(RBF, optimizer) == []


def test_work_of_years_is_foreseen():
    """7e6 numbers, 50 points, 1e8 steps, 2 replicates at 6 operations: 4e17, 1.1 years."""
    (warning,) = warnings(WIDE, 'use = "gradient-descent", learning_rate = 1e-6', "[1.0, 100.0]")
    assert "the training of 'k' would take about 1.1 years on one core" in warning
    narrow = 'use = "networks.two-layer", width = 100'
    assert warnings(narrow, 'use = "gradient-descent", learning_rate = 1e-2', "[1.0, 100.0]") == []

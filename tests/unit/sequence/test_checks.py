"""Truncation against sequences that really are twice as long; drift against its tolerances."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.planning.files import read_scenario
from testbed.runs import run
from testbed.soundness import read_findings
from testbed_sequence.checks import _diagonal_tail, _Tail
from testbed_sequence.theories.quadrature import expected_risk

SCENARIO = """
format = 1
name = "short"
replicates = 8
[design]
use = "sequence.gaussian"
n = {n}
modes = {modes}
[target]
use = "sequence.{target}"
[[estimator]]
name = "one"
model = {model}
optimizer = {optimizer}
[[metric]]
use = "excess-risk"
[[metric]]
use = "sequence.invariant-drift"
"""
FLOW = '{ use = "gradient-flow", times = { geom = [0.5, 500.0, 40] } }'
DIAGONAL = '{ use = "sequence.diagonal", gamma = 1.5, depth = 1 }'
FIXED = '{ use = "sequence.fixed", gamma = 1.5 }'
SLOW = 'power"\np = 0.6\n#'


def tree(folder, target=SLOW, model=DIAGONAL, optimizer=FLOW, n=1000, modes=200):
    text = SCENARIO
    for name, value in {"target": target, "model": model, "optimizer": optimizer}.items():
        text = text.replace(f"{{{name}}}", value)
    text = text.replace("{n}", str(n)).replace("{modes}", str(modes))
    if model != DIAGONAL and "orthogonal" not in model:
        text = text.replace('[[metric]]\nuse = "sequence.invariant-drift"\n', "")
    return run(read_scenario(text), folder)


def checks(results) -> dict[str, str]:
    return {finding.check: finding.observation for finding in read_findings(results)}


@pytest.mark.parametrize("model", [DIAGONAL, FIXED])
def test_truncation_says_what_a_sequence_of_twice_the_length_adds(tmp_path, model):
    """The coordinates that both runs share see the same noise: the difference of the two risks at
    one time is that of the coefficients in between, within the error of 8 replicates."""
    short, long = (tree(tmp_path / str(m), model=model, modes=m) for m in (200, 400))
    observed = checks(short)["truncation"]
    stated = float(observed.split("would add ")[1].split(" to")[0])
    risks = [item["one"]["excess_risk"] for item in (short, long)]
    best = risks[0].mean("replicate").argmin("time")
    added = (risks[1] - risks[0]).isel(time=best)
    error = float(added.std("replicate", ddof=1)) / np.sqrt(8)
    assert abs(float(added.mean()) - stated) < 4 * error + 0.05 * stated  # printed to two digits
    assert stated / float(risks[0].isel(time=best).mean()) > 0.05


def test_truths_that_end_and_long_sequences_are_whole(tmp_path):
    assert "truncation" not in checks(tree(tmp_path / "block", target='block"\ncount = 4\n#'))
    fast = 'power"\np = 3.0\n#'
    assert "truncation" not in checks(tree(tmp_path / "fast", target=fast))


def test_models_without_independent_coordinates_are_judged_by_the_truth_left_out(tmp_path):
    model = '{ use = "sequence.orthogonal", gamma = 1.0 }'
    results = tree(tmp_path, model=model, modes=30, n=100)
    index = np.arange(31.0, 61)
    assert f"would add {(index**-1.6).sum():.2g} to" in checks(results)["truncation"]
    assert "integrator" not in checks(results)


@pytest.mark.parametrize(
    ("modes", "gamma", "depth", "q", "time"),
    [(200, 1.5, 0, 1.0, 20.0), (200, 1.25, 1, 1.0, 1000.0), (400, 3.0, 2, 2.0, 100.0)],
)
def test_a_few_coordinates_stand_for_the_tail(modes, gamma, depth, q, time):
    """Nine coordinates and a coarse rule, against quadrature at every one: within two per cent."""
    rank = np.arange(1.0, 2 * modes + 1)
    index = np.floor(rank**q + 1e-9).astype(int)
    truth = np.zeros(2 * modes)
    truth[index[index <= 2 * modes] - 1] = rank[index <= 2 * modes] ** -0.8
    tail = _Tail(truth[modes:], rank[modes:] ** -gamma, 1 / 500)
    b0 = 500 ** (-0.5 / (depth + 2))
    exact = expected_risk(*tail, b0, depth, [time])[0]
    assert _diagonal_tail(tail, b0, depth, time) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(
    ("optimizer", "drifts"),
    [
        ('{ use = "gradient-flow", times = [1.0, 10.0, 50.0] }', False),
        ('{ use = "gradient-flow", method = "numeric", times = [1.0, 10.0, 50.0] }', False),
        ('{ use = "gradient-descent", learning_rate = 0.01, times = [1.0, 10.0, 50.0] }', False),
        ('{ use = "gradient-descent", learning_rate = 0.5, times = [1.0, 10.0, 50.0] }', True),
    ],
)
def test_the_integrator_is_blamed_for_drift_beyond_its_tolerance(tmp_path, optimizer, drifts):
    result = checks(tree(tmp_path, optimizer=optimizer, modes=40))
    assert ("integrator" in result) == drifts

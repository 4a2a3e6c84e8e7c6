"""Sharpness that did not settle is found, and nothing where all did."""

from __future__ import annotations

import pytest

from testbed.numerics import sharpness
from testbed.planning.files import read_scenario
from testbed.runs import run
from testbed.soundness import read_findings

SCENARIO = """
format = 1
name = "unsettled"
replicates = 2
[design]
use = "sphere"
dim = 3
n = 10
n_test = 5
[target]
use = "single-index"
coefficients = [0.0, 1.0]
[[estimator]]
name = "one"
model = { use = "networks.two-layer", width = { values = [2, 64] }, activation = "tanh" }
optimizer = { use = "gradient-descent", learning_rate = 0.1, times = [1.0, 2.0, 4.0] }
[[metric]]
use = "networks.sharpness"
name = "edge"
times = [1.0, 4.0]
"""


@pytest.mark.parametrize(("steps", "expected"), [(500, []), (10, ["edge"])])
def test_only_what_did_not_settle_is_found(tmp_path, monkeypatch, steps, expected):
    """10 products are more than 8 parameters have, and too few for 256."""
    monkeypatch.setattr(sharpness, "STEPS", steps)
    monkeypatch.setattr(sharpness, "TOLERANCE", 1e-12)
    monkeypatch.setattr(sharpness, "LEAST", 1e-12)
    tree = run(read_scenario(SCENARIO), tmp_path)
    findings = [finding for finding in read_findings(tree) if finding.check == "unsettled"]
    assert [item.variable for item in findings] == expected
    if findings:
        assert (findings[0].cell, findings[0].points, findings[0].judged) == ("width=64", 1, 2)
        assert findings[0].observation.startswith("4 of 4 values")

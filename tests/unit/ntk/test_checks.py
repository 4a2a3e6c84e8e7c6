"""What is said of targets that are made of another kernel than they are fitted with."""

from __future__ import annotations

import pytest

from testbed.planning.files import read_scenario
from testbed.planning.fitting import foreign_kernel
from testbed.runs import run
from testbed.soundness import read_findings
from testbed_basics.targets.kernel_function import KernelFunction
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_ntk import models

SCENARIO = """
format = 1
name = "foreign"
replicates = 2
times = { geom = [1.0, 1e4, 5] }
[design]
use = "sphere"
dim = 3
n = 50
noise = 0.3
n_test = 20
[target]
use = "source"
smoothness = 1.0
kernel = { use = "ntk.matern", nu = 2.5, route = "krylov" }
[[estimator]]
name = "own"
model = { use = "ntk.matern", nu = 2.5 }
optimizer = { use = "spectral-filter", filter = "ridge" }
[[estimator]]
name = "rough"
model = { use = "ntk.matern", nu = { values = [0.5, 1.5, 2.5] } }
optimizer = { use = "spectral-filter", filter = "ridge" }
[[estimator]]
name = "relu"
model = { use = "ntk.relu", bias_variance = 0.1 }
optimizer = { use = "spectral-filter", filter = "ridge" }
[[metric]]
use = "excess-risk"
[[theory]]
use = "ntk.rates"
"""
NU = "the target's kernel is ntk.matern of another nu than the model's"
RELU = "the target's kernel is ntk.matern, the model ntk.relu"


@pytest.mark.parametrize(
    ("kernel", "model", "words"),
    [
        (models.Matern(nu=2.5, route="eigen"), models.Matern(nu=2.5), None),
        (models.Matern(nu=2.5), models.Matern(bandwidth=2.0), "of another bandwidth, nu than"),
        (models.Matern(nu=2.5), models.ReluTangent(), RELU),
    ],
)
def test_kernels_differ_in_what_they_mean(kernel, model, words):
    for target in (Source(kernel=kernel, smoothness=1.0), KernelFunction(kernel=kernel)):
        result = foreign_kernel(target, model)
        assert result is words or words in result
    assert foreign_kernel(Linear(), model) is None


def test_a_mismatch_is_shown_by_the_plan_and_in_the_result(tmp_path, invoke):
    scenario = read_scenario(SCENARIO)
    file = tmp_path / "foreign.toml"
    file.write_text(SCENARIO)
    shown = invoke("plan", file).output
    notes = [line.split("note:")[1].strip() for line in shown.splitlines() if "note:" in line]
    assert notes == [NU, RELU]
    tree = run(scenario, tmp_path / "foreign")
    attributes = {name: group.attrs.get("target_kernel") for name, group in tree.children.items()}
    assert attributes == {"own": None, "rough": NU, "relu": RELU, "soundness": None}
    foreign = {
        finding.estimator: finding
        for finding in read_findings(tree)
        if finding.check == "foreign-kernel"
    }
    assert {name: finding.severity for name, finding in foreign.items()} == {
        "rough": "note",
        "relu": "note",
    }
    assert (foreign["rough"].points, foreign["rough"].judged) == (2, 3)
    assert foreign["rough"].cell == "nu=0.5" and foreign["rough"].observation == NU
    # β = 3/2, 5/2, 7/2; −s̃β/(s̃β + 1) with sβ = 7/2 of the target's kernel, and s̃ ≤ 2 for ridge
    exponents = tree["rough"]["risk_exponent__rates"].values
    assert exponents == pytest.approx([-3 / 4, -3.5 / 4.5, -3.5 / 4.5])

"""Theories beside the replicates that estimate what they predict."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from testbed.contract.findings import Finding
from testbed.planning.files import read_scenario
from testbed.results.groups import estimators
from testbed.runs import run
from testbed.soundness import read_findings
from testbed.soundness.agreement import agreement
from testbed_sequence.theories.sequences import ExpectedRisk
from tests.helpers.sequences import BLOCK, sequence_scenario

ROOT = Path(__file__).resolve().parents[3]
N, TIME = np.array([100.0, 200, 400]), np.geomspace(1, 30, 8)
EXPECTED = xr.DataArray(
    1 / TIME + TIME / N[:, None], {"n": N, "time": TIME}, ("n", "time"), "excess_risk"
)


def compared(
    factor=1.0, law="normal", replicates=16, seed=0, conditional=False, **attributes
) -> list[Finding]:
    """Findings about a theory that predicts `factor` times the expectation of its replicates."""
    rng = np.random.Generator(np.random.Philox(seed))
    shape = (len(N), replicates, len(TIME))
    noise = 1 + 0.3 * rng.standard_normal(shape)
    if law == "exponential":
        noise = rng.exponential(size=(len(N), replicates, 1)) * np.ones(len(TIME))
    scale = xr.DataArray(noise, {}, ("n", "replicate", "time"))
    theory = factor * EXPECTED
    if conditional:  # replicates have inputs of their own; their noise remains
        inputs = xr.DataArray(rng.exponential(size=replicates), dims="replicate")
        theory, scale = theory * inputs, scale * inputs
    labels = {"predicts": "excess_risk", **attributes}
    dataset = xr.Dataset(
        {
            "excess_risk": EXPECTED * scale,
            "excess_risk__theory": theory.assign_attrs(labels),
            "status": (("n", "replicate"), np.zeros((len(N), replicates), int)),
        }
    )
    return list(agreement(xr.DataTree.from_dict({"/main": dataset})))


def test_a_theory_doubled_on_purpose_is_found_with_its_distance():
    (finding,) = compared(2.0)
    assert (finding.estimator, finding.variable) == ("main", "excess_risk__theory")
    assert finding.judged == 24 and finding.points == 24
    assert (
        "standard errors" in finding.observation
        and "the mean of 16 replicates" in finding.observation
    )
    assert "states no inaccuracy" in finding.advice


@pytest.mark.parametrize("law", ["normal", "exponential"])
@pytest.mark.parametrize("conditional", [False, True])
def test_right_theories_are_seldom_reported(law, conditional):
    """At most 1 of 100 sound results by design; 2 of 25 are allowed (0.2% have more)."""
    reports = [compared(1.0, law, seed=seed, conditional=conditional) for seed in range(25)]
    assert sum(map(bool, reports)) <= 2


def test_stated_accuracy_is_a_margin():
    assert compared(1.3, replicates=256)
    assert not compared(1.3, replicates=256, accuracy=0.3)
    (finding,) = compared(1.3, replicates=256, accuracy=0.02)
    assert "accuracy of 2%" in finding.advice


def test_conditional_theories_are_compared_replicate_by_replicate():
    assert compared(2.0, conditional=True)


def test_bounds_are_checked_as_bounds():
    assert not compared(0.5, states="lower bound") and not compared(2.0, states="upper bound")
    (below,) = compared(2.0, states="lower bound")
    assert "bounds from below by" in below.observation
    (above,) = compared(0.5, states="upper bound")
    assert "bounds from above by" in above.observation


def test_limits_and_few_replicates_are_not_compared():
    assert not compared(2.0, states="limit")
    assert not compared(2.0, replicates=4) and compared(2.0, replicates=8)


def test_lost_replicates_are_not_compared():
    tree = xr.DataTree.from_dict(
        {
            "/main": xr.Dataset(
                {
                    "excess_risk": EXPECTED.expand_dims(replicate=8) + np.zeros((8, 3, 8)),
                    "excess_risk__theory": (2 * EXPECTED).assign_attrs(predicts="excess_risk"),
                    "status": (("n", "replicate"), np.full((3, 8), 2)),
                }
            )
        }
    )
    assert list(agreement(tree)) == []


SCENARIO = sequence_scenario(
    "compared",
    head="replicates = 6",
    n="{ values = [100, 400] }",
    modes=40,
    target=BLOCK,
    times="{ geom = [1.0, 300.0, 12] }",
    more='[[theory]]\nuse = "sequence.expected-risk"\n',
)


@pytest.mark.parametrize("factor", [1, 2])
def test_a_run_reports_a_doubled_theory_and_is_quiet_about_the_right_one(
    tmp_path, monkeypatch, factor
):
    right = ExpectedRisk.predict

    def predict(self, cell, times, problem=None):
        return {name: factor * value for name, value in right(self, cell, times).items()}

    monkeypatch.setattr(ExpectedRisk, "predict", predict)
    findings = read_findings(run(read_scenario(SCENARIO), tmp_path))
    checks = [finding.check for finding in findings]
    assert checks == ([] if factor == 1 else ["agreement"])


CIRCLE = """
format = 1
name = "circle"
seed = 11
replicates = 12
times = { values = [10.0, 1000.0] }
[design]
use = "torus"
dim = 1
n = 100
noise = 0.3
n_test = 300
[target]
use = "source"
kernel = "estimator:ridge"
smoothness = 1.0
[[estimator]]
name = "ridge"
model = { use = "ntk.torus", smoothness = 1.0, frequencies = 64 }
optimizer = { use = "spectral-filter", filter = "ridge" }
[[metric]]
use = "excess-risk"
[[theory]]
use = "ntk.deterministic-equivalent"
"""


def test_the_equivalent_on_the_circle_is_reported_where_all_modes_are_fitted(tmp_path):
    """Its eigenfunctions at the sample are not like Gaussian ones there; at τ = 10 they are."""
    findings = read_findings(run(read_scenario(CIRCLE), tmp_path))
    (finding,) = [finding for finding in findings if finding.check == "agreement"]
    assert (finding.points, finding.judged) == (1, 2) and "time=1000" in finding.cell
    early = CIRCLE.replace("[10.0, 1000.0]", "[3.0, 10.0]")
    findings = read_findings(run(read_scenario(early), tmp_path / "early"))
    assert "agreement" not in [finding.check for finding in findings]


SHIPPED = {  # scenario → replicates at reduced size that tell a theory from its double
    "adaptivity-rates": 6,
    "polynomial-barrier": 16,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_agree_with_their_theories_and_not_with_doubled_ones(
    name, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from reduced import as_toml, reduced

    document = reduced(
        name, tomllib.loads((ROOT / "scenarios" / f"{name}.toml").read_text("utf-8"))
    )
    document["replicates"] = SHIPPED[name]
    tree = run(read_scenario(as_toml(document)), tmp_path)
    assert list(agreement(tree)) == []
    doubled, theories = {}, set()
    for estimator, group in estimators(tree).items():
        dataset = group.to_dataset().copy(deep=True)
        for variable, values in dataset.data_vars.items():
            expectation = values.attrs.get("states") == "expectation"
            if values.attrs.get("predicts") == "excess_risk" and expectation:
                theories.add((estimator, variable))
                dataset[variable] = (2 * values).assign_attrs(values.attrs)
        doubled[f"/{estimator}"] = dataset
    reported = {(f.estimator, f.variable) for f in agreement(xr.DataTree.from_dict(doubled))}
    assert theories and theories == reported

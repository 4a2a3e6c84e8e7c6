"""The hooks that ship, check and watch, used by the first-party plugins."""

from __future__ import annotations

import json

import pytest

from testbed.errors import ScenarioError
from testbed.loading import load_registry
from testbed.planning.files import load_scenario, read_scenario
from testbed.runs import run

SCENARIO = """
format = 1
name = "watched"
replicates = 2
[design]
use = "sequence.gaussian"
n = { values = [100, 200] }
modes = 20
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "adaptive"
model = { use = "sequence.diagonal", gamma = 1.5, depth = 1 }
optimizer = { use = "gradient-flow", times = [1.0, 10.0] }
[[metric]]
use = "excess-risk"
"""


def test_a_run_is_logged_cell_by_cell(tmp_path):
    run(read_scenario(SCENARIO), tmp_path)
    run(read_scenario(SCENARIO), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["started", "cell", "cell", "finished", "started", "finished"]
    assert lines[2]["point"] == {"n": "200"} and lines[2]["error"] == ""


def test_an_unsound_scenario_is_refused_before_anything_is_computed(tmp_path):
    scenario = read_scenario(SCENARIO, overrides=["design.noise=0.0"])
    with pytest.raises(ScenarioError, match="freezes it; give b0"):
        run(scenario, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run(
        read_scenario(SCENARIO, overrides=["design.noise=0.0", "estimator.adaptive.model.b0=0.5"]),
        tmp_path,
    )


def test_every_shipped_scenario_is_read_and_planned():
    from testbed.runs import checked_plan

    files = [file for files in load_registry().hook("testbed_scenarios")() for file in files]
    assert {"quickstart", "adaptivity-rates", "feature-alignment"} <= {file.stem for file in files}
    for file in files:
        scenario = load_scenario(file)
        assert scenario.name == file.stem
        assert scenario.title and scenario.references
        assert checked_plan(scenario).cells


def test_targets_and_estimators_share_the_factorisations_of_their_inputs():
    """One for each (n, d) and replicate: 18 points of 4, seven targets, ridge and flow."""
    from testbed.runs import checked_plan

    files = [file for files in load_registry().hook("testbed_scenarios")() for file in files]
    (file,) = (file for file in files if file.stem == "high-dimension")
    assert checked_plan(load_scenario(file)).preparations == (18 * 4, 18 * 4 * 7 * 2)

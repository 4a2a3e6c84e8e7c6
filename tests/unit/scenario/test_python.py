"""Scenarios made, changed and saved in Python."""

from __future__ import annotations

import tomllib

import pytest

import testbed
from testbed.errors import ScenarioError
from testbed.planning.plan import make_plan
from testbed.scenario.scenario import Scenario
from tests.helpers.planned_components import (
    REGISTRY,
    Descent,
    Lines,
    Plain,
    Power,
    Risk,
    read,
    text,
)

PARTS = {
    "name": "made",
    "replicates": 2,
    "times": [0.0, 1.0],
    "design": {"use": "plain", "n": {"values": [10, 20]}},
    "target": {"use": "power"},
    "estimator": [
        {"name": "lines", "model": {"use": "lines"}, "optimizer": {"use": "descent"}},
    ],
    "metric": [{"use": "risk"}],
}


def made(**parts) -> Scenario:
    return Scenario.from_dict({**PARTS, **parts}, REGISTRY)


def test_a_dict_makes_the_scenario_that_its_text_makes():
    scenario = made()
    again = Scenario.from_text(str(scenario), registry=REGISTRY)
    assert again == scenario
    assert make_plan(again).cells == make_plan(scenario).cells
    assert tomllib.loads(str(scenario))["design"]["n"] == {"values": [10, 20]}


def test_components_stand_in_a_dict_as_objects():
    scenario = made(
        design=Plain(n=10, noise=0.5),
        target=Power(kernel=Lines(depth=2)),
        estimator=[
            {"name": "lines", "model": Lines(gamma=2.0), "optimizer": Descent(learning_rate=0.5)}
        ],
        metric=[Risk()],
    )
    (cell,) = make_plan(scenario).cells
    assert (cell.design, cell.model) == (Plain(n=10, noise=0.5), Lines(gamma=2.0))
    assert cell.target == Power(kernel=Lines(depth=2))
    assert cell.optimizer == Descent(learning_rate=0.5)
    assert Scenario.from_text(str(scenario), registry=REGISTRY) == scenario


def test_a_changed_copy_is_read_as_strictly_as_a_file():
    scenario = made()
    changed = scenario.with_("replicates=5", "estimator.lines.model.depth=3", registry=REGISTRY)
    assert (changed.replicates, scenario.replicates) == (5, 2)
    assert changed.estimators[0].model.values["depth"] == 3
    with pytest.raises(ScenarioError, match="did you mean 'depth'"):
        scenario.with_("estimator.lines.model.dept=3", registry=REGISTRY)
    assert scenario.with_("compute.dtype=float32", registry=REGISTRY).compute.dtype == "float32"


def test_a_saved_scenario_is_read_back(tmp_path):
    scenario = read(text())
    scenario.save(tmp_path / "saved.toml")
    saved = (tmp_path / "saved.toml").read_text()
    assert Scenario.from_text(saved, registry=REGISTRY) == scenario


def test_mistakes_in_python_are_all_shown_at_once():
    with pytest.raises(ScenarioError) as caught:
        made(replicates=0, design={"use": "plain", "m": 3}, seed=2.5)
    assert [mistake.where for mistake in caught.value.mistakes] == [
        "scenario: $.seed",
        "scenario: $.replicates",
        "scenario: $.design.m",
    ]


def test_overrides_change_a_scenario_that_is_run_from_python(tmp_path):
    scenario = Scenario.from_dict(
        {
            "name": "small",
            "times": [0.0, 1.0],
            "design": {"use": "sequence.gaussian", "n": 100, "modes": 20},
            "target": {"use": "sequence.power", "p": 1.0},
            "estimator": [
                {
                    "name": "fixed",
                    "model": {"use": "sequence.fixed"},
                    "optimizer": {"use": "gradient-flow"},
                }
            ],
            "metric": [{"use": "excess-risk"}],
        }
    )
    tree = testbed.run(scenario, tmp_path / "run", overrides=["replicates=3"])
    assert tree["fixed"].sizes["replicate"] == 3
    with pytest.raises(ScenarioError, match="did you mean 'replicates'"):
        testbed.run(scenario, tmp_path / "run", overrides=["replicats=3"])

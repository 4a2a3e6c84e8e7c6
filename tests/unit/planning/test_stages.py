"""A scenario passes through each stage of planning once, and each returns its mistakes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import testbed.planning
from testbed.errors import ScenarioError
from testbed.planning.building import Builder
from testbed.planning.expansion import expand
from testbed.planning.once import Once
from testbed.planning.plan import make_plan
from testbed.planning.points import build
from testbed.planning.selection import select
from tests.helpers.planned_components import DESIGN, METRIC, estimator, read, text

STAGES = {
    "expansion.py": "expand",
    "points.py": "build",
    "selection.py": "select",
    "blocks.py": "divide",
    "sizes.py": "variable_sizes",
    "shapes.py": "unsuitable_figures",
}
FOLDER = Path(testbed.planning.__file__).parent


def calls_of(scenario):
    """Which stages were called from `make_plan`, and which from one another, in order."""
    calls = []

    def follow(frame, event, argument):
        code, caller = frame.f_code, frame.f_back.f_code
        file, calling = Path(code.co_filename), Path(caller.co_filename)
        if event == "call" and file.parent == FOLDER and STAGES.get(file.name) == code.co_name:
            calls.append((code.co_name, calling.name))

    sys.setprofile(follow)
    try:
        make_plan(scenario)
    finally:
        sys.setprofile(None)
    return calls


def test_a_scenario_visits_each_stage_once_and_in_order():
    model = 'use = "lines", depth = { values = [0, 1] }'
    swept = text(DESIGN + "n = { values = [5, 6] }", estimator=estimator(model))
    assert calls_of(read(swept)) == [(stage, "plan.py") for stage in STAGES.values()]


def test_each_stage_returns_its_mistakes_and_goes_on_with_the_rest():
    clash = 'use = "lines", gamma = { values = [1, 2] }'
    unfit = estimator(optimizer='use = "filter"', name="unfit")
    toml = text(
        DESIGN + "gamma = { values = [1, 2] }",
        estimator=estimator(clash) + unfit + estimator(name="fine"),
        metric=METRIC + METRIC,
    )
    scenario = read(toml)
    builder, once = Builder(scenario), Once()
    expansions, sweeping = expand(scenario)
    assert sorted(expansions) == ["fine", "unfit"]
    assert [mistake.where for mistake in sweeping] == ["$.estimator[0].model.gamma"]
    points, building = build(scenario, expansions, builder, once)
    assert {name: len(made) for name, made in points.items()} == {"unfit": 0, "fine": 2}
    assert [mistake.where for mistake in building] == ["$.estimator[1].optimizer"]
    _, selecting = select(scenario, expansions, points, builder, once)
    assert [mistake.where for mistake in selecting] == ["$.metric[1]"]
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario)
    places = [mistake.where for mistake in caught.value.mistakes]
    assert places == [f"s.toml: {m.where}" for m in (*sweeping, *building, *selecting)]


def test_the_same_objects_are_asked_once():
    requested = []

    def answer(first, second):
        requested.append((first, second))
        return len(requested)

    once, first, second = Once(), [1], [1]
    assert [once(answer, first, "a"), once(answer, first, "a"), once(answer, second, "a")] == [
        1, 1, 2,
    ]  # fmt: skip
    assert once(answer, first, "b") == 3

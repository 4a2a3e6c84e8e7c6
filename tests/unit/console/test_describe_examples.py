"""What `describe` prints of a component is read, planned and run as it stands."""

from __future__ import annotations

import tomllib

import pytest

from testbed.contract.cells import STATUS
from testbed.contract.components import KINDS
from testbed.loading import load_registry
from testbed.results.record import record
from testbed.running.executors import serial
from testbed.runs import checked_plan, run
from testbed.scenario.example import example_scenario, example_table
from testbed.scenario.reader import Source, read_component
from testbed.scenario.scenario import Scenario

REGISTRY = load_registry()
NAMES = sorted(REGISTRY.offers)


def names_in(plan) -> set[str]:
    """The names of the components that the cells of a plan hold."""
    names = set()
    for cell in plan.cells:
        parts = (cell.design, cell.target, cell.model, cell.optimizer)
        names |= {part.name for part in parts}
        names |= {planned.metric.name for planned in cell.metrics}
        names |= {planned.theory.name for planned in cell.theories}
    return names


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_read_without_a_mistake(name):
    component = REGISTRY.find(name).component
    table = tomllib.loads(example_table(component, REGISTRY))[component.kind]
    table = table[0] if isinstance(table, list) else table
    _, mistakes = read_component(component.kind, table, "$", Source(REGISTRY))
    assert mistakes == []


@pytest.mark.parametrize("name", NAMES)
def test_the_scenario_holds_the_printed_table(name):
    component = REGISTRY.find(name).component
    assert example_table(component, REGISTRY) in example_scenario(component, REGISTRY)


@pytest.mark.parametrize("name", NAMES)
def test_the_scenario_is_planned_and_its_cells_run(name):
    plan = checked_plan(
        Scenario.from_text(example_scenario(REGISTRY.find(name).component, REGISTRY))
    )
    assert name in names_in(plan)
    results = list(serial(plan.cells))
    assert [result.failure for result in results] == [""] * len(plan.cells)
    assert not any((result.status != STATUS["ok"]).any() for result in results)
    tree = record(plan, results)
    for cell in plan.cells:
        measured = {variable for planned in cell.metrics for variable in planned.names.values()}
        assert measured <= set(tree[cell.estimator].data_vars)


@pytest.mark.parametrize("name", [REGISTRY.names(kind)[0] for kind in KINDS])
def test_the_scenario_is_run_as_it_stands(name, tmp_path):
    """One of each kind, from the text to the file."""
    scenario = Scenario.from_text(example_scenario(REGISTRY.find(name).component, REGISTRY))
    results = run(scenario, tmp_path / "run")
    groups = [group for group in results.children.values() if "status" in group]
    assert groups and not any((group["status"] != 0).any() for group in groups)


def test_a_list_of_lists_has_an_example():
    assert "exponents = [[1]]" in example_table(REGISTRY.find("polynomial").component, REGISTRY)

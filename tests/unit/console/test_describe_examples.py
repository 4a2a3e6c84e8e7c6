"""The example that `describe` prints of a component is read without a mistake."""

from __future__ import annotations

import tomllib

import pytest

from testbed.console.describe import example
from testbed.loading import load_registry
from testbed.scenario.reader import Source, read_component

REGISTRY = load_registry()


@pytest.mark.parametrize("name", sorted(REGISTRY.offers))
def test_an_example_is_read_as_it_stands(name):
    component = REGISTRY.find(name).component
    table = tomllib.loads(example(component))[component.kind]
    table = table[0] if isinstance(table, list) else table
    _, mistakes = read_component(component.kind, table, "$", Source(REGISTRY))
    assert mistakes == []


def test_a_list_of_lists_has_an_example():
    assert "exponents = [[1]]" in example(REGISTRY.find("polynomial").component)

"""`testbed.make`: components from Python by their names in scenarios."""

from __future__ import annotations

import numpy as np
import pytest

import testbed
from testbed.errors import PluginError, ScenarioError


def test_parameters_are_those_of_a_scenario():
    optimizer = testbed.make("spectral-filter", filter="ridge", times={"geom": [1.0, 100.0, 3]})
    assert optimizer.filter == "ridge"
    np.testing.assert_allclose(optimizer.times.values, [1.0, 10.0, 100.0])


def test_nested_components_are_objects_or_tables():
    inner = testbed.make("networks.two-layer", width=8)
    wrapped = testbed.make("networks.linearised", of=inner)
    assert wrapped.of is not None and wrapped.of == inner
    assert testbed.make("networks.linearised", of={"use": "networks.two-layer", "width": 8}) == (
        wrapped
    )


def test_arrays_and_tuples_are_lists():
    target = testbed.make("single-index", coefficients=np.array([0.0, 1.0]))
    assert target == testbed.make("single-index", coefficients=(0.0, 1.0))


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("spectral-filter", {"filter": "rigde"}, "spectral-filter.filter: found 'rigde'"),
        ("spectral-filter", {"filtre": "ridge"}, "did you mean 'filter'"),
        ("gaussian", {"dim": {"values": [2, 3]}}, "found a sweep"),
        ("networks.linearised", {"of": "estimator:net"}, "found a reference to the estimator"),
        ("networks.linearised", {"of": testbed.make("linear")}, "expected"),
    ],
)
def test_what_is_wrong_is_named_as_in_a_scenario(name, parameters, words):
    with pytest.raises(ScenarioError, match=words.replace("(", r"\(")):
        testbed.make(name, **parameters)


def test_a_name_that_is_not_there_has_suggestions():
    with pytest.raises(PluginError, match=r"did you mean 'ntk\.relu'"):
        testbed.make("ntk.rely")

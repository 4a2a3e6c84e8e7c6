"""Component classes that do not have the shape of the contract are refused, with the remedy."""

from __future__ import annotations

import pytest
from attrs import frozen

from testbed import (
    Design,
    HasFlow,
    HasGram,
    Metric,
    Model,
    ModelFacts,
    Optimizer,
    Target,
    has,
    lack,
    lacks,
    parameter,
)
from testbed.contract.shape import shape_objection
from testbed.loading import load_registry


class Least(Model):
    name = "own.least"

    def start(self, drawn, prepared, problem):
        return problem.train.y

    def predict(self, prepared, params, probe):
        return params


def model(**members):
    return type("Tried", (Least,), {"name": "own.tried", **members})


def method(self, *arguments):
    return None


@pytest.mark.parametrize("component", load_registry().components(), ids=lambda cls: cls.name)
def test_first_party_components_have_the_shape(component):
    assert shape_objection(component) is None


@pytest.mark.parametrize(
    ("component", "words"),
    [
        (model(gradiant=method), "found the method 'gradiant' in own.tried; did you mean 'gradie"),
        (model(prepair=method), "did you mean 'prepare'?"),
        (model(fact=method), "did you mean 'facts'?"),
        (model(flow=method), "'flow' in own.tried, which is not declared; expected the base class"),
        (model(population_risk=method), "base class testbed.HasPopulationRisk"),
        (model(leverage=method, name="own.tried"), None),
        (model(supports=method), "expected withheld()"),
        (model(batching="loop"), "expected it in facts(): return ModelFacts(batching=…)"),
        (model(reads="inputs"), "expected it in facts()"),
        (model(smooth=property(method)), "expected it in facts()"),
        (model(feature=method, kernel=method, step=method), None),
        (type("Half", (Least, HasFlow), {"name": "own.half", "flows": method}), "mean 'flow'?"),
        (type("Half", (Least, HasFlow), {"name": "own.half"}), "found no method 'flow' in own.hal"),
        (type("Half", (Model,), {"name": "own.half", "start": method}), "HasPredictions declares"),
        (type("Half", (Design,), {"name": "own.half"}), "found no method 'draw'"),
        (type("Half", (Design,), {"name": "own.half", "draws": method}), "did you mean 'draw'?"),
        (type("Half", (Target,), {"name": "own.half", "value": method}), "did you mean 'values'?"),
        (type("Half", (Metric,), {"name": "own.half", "mesure": method}), "mean 'measure'?"),
        (
            type("Half", (Optimizer,), {"name": "own.half", "advance": method, "times": 3}),
            None,
        ),
        (
            type("Half", (Optimizer,), {"name": "own.half", "advance": method, "clock": "own"}),
            "OptimizerFacts(clock=…)",
        ),
        (
            type("Half", (Optimizer,), {"name": "own.half", "advance": method, "leverage": method}),
            "base class testbed.HasLeverage",
        ),
    ],
)
def test_misspelled_missing_and_undeclared_members_are_named(component, words):
    objection = shape_objection(component)
    assert (objection is None) if words is None else (words in str(objection)), objection


def test_parameters_and_private_members_may_have_any_name():
    @frozen(kw_only=True)
    class Free(Least):
        name = "own.free"
        predic: float = parameter(1.0, help="a parameter")

        def _gradiant(self):
            return None

    assert shape_objection(Free) is None


def test_what_parameter_values_take_away_is_said_with_the_reason():
    @frozen(kw_only=True)
    class Sometimes(Least, HasFlow, HasGram):
        name = "own.sometimes"
        exact: bool = parameter(True, help="whether its flow is known")

        def facts(self):
            return ModelFacts(reads="inputs" if self.exact else "problem")

        def withheld(self):
            return {} if self.exact else {HasFlow: "exact = true gives its flow"}

        flow = gram = method

    assert has(Sometimes(), HasFlow) and Sometimes().facts().reads == "inputs"
    assert lack(Sometimes(exact=False), HasFlow) == "exact = true gives its flow"
    assert has(Sometimes(exact=False), HasGram)
    assert lacks(Sometimes(exact=False), HasFlow, HasGram).keys() == {HasFlow}
    assert lack(Least(), HasFlow) == "own.least has no exact flow"

"""What components declare wrongly is refused when their plugin is loaded, with the remedy."""

from __future__ import annotations

from typing import ClassVar

import pytest
from attrs import frozen

from testbed import (
    Capability,
    HasGradient,
    Metric,
    MetricFacts,
    Model,
    ModelFacts,
    Need,
    Optimizer,
    OptimizerFacts,
    Target,
    Theory,
    Variable,
    parameter,
)
from testbed.contract.declarations import answer_objection, declaration_objection
from testbed.loading import Plugin, load_registry, make_registry
from tests.helpers.tiny import Entry, Module

NORM = {"norm": Variable("norm")}


def metric(measure=None, **members):
    """A metric class with these class attributes."""

    def of_predictions(self, problem, predictions):
        return {"norm": predictions.norm()}

    usual = {"needs": ("predictions",), "variables": NORM, "measure": measure or of_predictions}
    return frozen(kw_only=True)(tried(Metric, **usual | members))


def tried(base, **members):
    return type("Tried", (base,), {"name": "own.tried", **members})


def facts_of(base, **members):
    """A component whose `facts` returns a record of these values."""
    record = {Model: ModelFacts, Optimizer: OptimizerFacts, Metric: MetricFacts}[base]
    methods = {
        Model: ("start", "predict"),
        Optimizer: ("advance",),
        Metric: ("measure",),
    }[base]

    def method(self, *arguments, **named):
        return None

    parts = dict.fromkeys(methods, method) | {"facts": lambda self: record(**members)}
    if base is Metric:
        parts["variables"] = NORM
    return frozen(kw_only=True)(tried(base, **parts))


def takes_gram(self, problem, gram):
    return {"norm": gram.norm()}


def takes_anything(self, problem, **needs):
    return {"norm": sum(needs.values())}


def takes_either(self, problem, spectrum=None, gram=None):
    return {"norm": problem.noise}


WRONG = [
    (metric(needs=("prediction",)), "found 'prediction', expected one of"),
    (metric(needs=("grams",)), "did you mean 'gram'?"),
    (metric(needs="predictions"), "expected a tuple of needs; write ('predictions',)"),
    (metric(needs=(NORM,)), "in needs, expected names of predictions"),
    (metric(needs=("gram", ("spectrum",))), "or tuples of needs alone, each an alternative"),
    (metric(needs=("gram",)), "expected measure(self, problem, gram), as its needs are gram"),
    (
        metric(takes_gram, needs=("gram", "initial_gram")),
        "expected measure(self, problem, gram, initial_gram)",
    ),
    (metric(takes_gram, needs=(("gram",), ("spectrum",))), "as its needs are spectrum"),
    (metric(takes_gram, needs=()), "expected measure(self, problem), as its needs are none"),
    (metric(variables={}), "found no variables"),
    (metric(variables=("norm",)), "expected a dict from names to Variable"),
    (metric(variables={"the norm": Variable("norm")}), "found the variable 'the norm'"),
    (metric(variables={"norm": "norm"}), "found norm declared as str, expected a Variable"),
    (metric(variables={"norm": Variable("norm", dims=("time",))}), "'time', which is reserved"),
    (metric(variables={"norm": Variable("norm", dims="mode")}), "expected a tuple such as"),
    (metric(variables={"norm": Variable("norm", states="bound")}), "states = 'bound'"),
    (metric(variables={"norm": Variable("norm", predicts="a b")}), "the name of a metric's var"),
    (metric(variables={"norm": Variable("norm", accuracy=-1)}), "a share of at least 0"),
    (metric(concluded=("norm",)), "without the method conclude"),
    (
        metric(concluded=("nrm",), conclude=takes_anything),
        "found 'nrm' in concluded, expected one of 'norm'; did you mean 'norm'?",
    ),
    (metric(concluded=("norm",), conclude=takes_anything), "Variable(…, time=False)"),
    (metric(concluded="norm", conclude=takes_anything), "write concluded = ('norm',)"),
    (metric(references="arXiv:1806.07572"), "write references = ('arXiv:1806.07572',)"),
    (tried(Target, defined_on="sphere"), "write defined_on = ('sphere',)"),
    (tried(Model, defined_on=("spere",)), "did you mean 'sphere'?"),
    (tried(Optimizer, requires=HasGradient), "found requires = HasGradient"),
    (tried(Optimizer, requires=("gradient",)), "expected capabilities such as testbed.HasGradient"),
    (tried(Theory, variables={}), "found no variables"),
    (facts_of(Model, batching="vmapp"), "batching: found 'vmapp', expected one of"),
    (facts_of(Model, smooth="no"), "smooth: found 'no', expected bool"),
    (facts_of(Optimizer, clock="mine"), "clock: found 'mine'"),
    (facts_of(Optimizer, streams="jumps"), "expected a tuple of names"),
    (facts_of(Metric, batching="none"), "batching: found 'none'"),
]


@pytest.mark.parametrize(("component", "words"), WRONG)
def test_wrong_declarations_are_refused(component, words):
    assert words in str(declaration_objection(component))


@pytest.mark.parametrize(
    "component",
    [
        metric(),
        metric(takes_anything, needs=("gram", "initial_gram")),
        metric(takes_either, needs=(("spectrum",), ("gram",))),
        metric(needed=lambda self: ("gram",), needs=()),
        metric(takes_anything, needs=(), declared=lambda self: NORM, variables={}),
        tried(Model, defined_on=("sphere", "torus")),
        *load_registry().components(),
    ],
    ids=lambda component: component.name,
)
def test_right_declarations_pass(component):
    assert declaration_objection(component) is None


def test_parameters_cannot_have_defaults_that_they_refuse():
    @frozen(kw_only=True)
    class Narrow(Target):
        name = "own.narrow"
        width: int = parameter(0, help="width", ge=1)

        def values(self, drawn, x):
            return x

    @frozen(kw_only=True)
    class Patterned(Narrow):
        name = "own.patterned"
        width: int = parameter(1, help="width", ge=1)
        word: str = parameter("a", help="word", pattern="(")

    assert "found the default 0 of width, expected a number at least 1" in str(
        declaration_objection(Narrow)
    )
    assert "found the pattern '(' of word" in str(declaration_objection(Patterned))


def test_defaults_that_do_not_fit_together_are_left_to_the_scenario():
    @frozen(kw_only=True)
    class Refusing(Target):
        name = "own.refusing"
        low: float = parameter(1.0, help="low end")
        high: float = parameter(0.0, help="high end")

        @high.validator
        def _in_order(self, attribute, value):
            if value < self.low:
                raise ValueError("the ends are the wrong way round")

        def values(self, drawn, x):
            return x

    assert declaration_objection(Refusing) is None


def test_needs_that_depend_on_parameters_are_checked_with_their_values():
    @frozen(kw_only=True)
    class Either(Metric):
        name = "own.either"
        variables: ClassVar = NORM
        of: str = parameter("gram", help="what is measured")

        def needed(self):
            return (self.of,)

        measure = takes_gram

    assert declaration_objection(Either) is None
    assert answer_objection(Either()) is None
    assert "did you mean 'gram'?" in str(answer_objection(Either(of="grams")))
    assert "measure(self, problem, spectrum)" in str(answer_objection(Either(of="spectrum")))


def test_a_need_of_ones_own_names_a_method_that_is_declared():
    class HasNorm(Capability):
        def norm(self, prepared, params):
            return params

    assert Need("norm", "a norm", HasNorm, "norm").name == "norm"
    with pytest.raises(ValueError, match=r"norm: found the method 'nrm', expected one that HasNo"):
        Need("norm", "a norm", HasNorm, "nrm")
    with pytest.raises(ValueError, match=r"found the argument 'param', .*did you mean 'params'"):
        Need("norm", "a norm", HasNorm, "norm", arguments=("prepared", "param"))


def theory(predicts):
    class Predicted(Theory):
        name = "own.predicted"
        variables: ClassVar = {"norm_theory": Variable("norm", predicts=predicts)}

        def predict(self, cell, times, problem=None):
            return {}

    return frozen(kw_only=True)(Predicted)


@pytest.mark.parametrize(
    ("predicts", "error"), [("norms", "did you mean 'norm'?"), ("norm", ""), ("entropy", "")]
)
def test_a_theory_that_misspells_what_it_predicts_costs_its_plugin(predicts, error):
    """A metric of a plugin that is loaded later counts; an unknown name may be uninstalled."""
    modules = Module(theories=[theory(predicts)]), Module(metrics=[metric()])
    pairs = [(Plugin(f"p{i}", f"d{i}", "1"), Entry(module)) for i, module in enumerate(modules)]
    loaded = make_registry(pairs)
    assert error in loaded.plugins[0].error and bool(error) == bool(loaded.plugins[0].error)
    assert ("own.predicted" in loaded.offers) == (not error)
    assert "own.tried" in loaded.offers and not loaded.plugins[1].error

"""Tiny components and a tiny registry, for tests that read and plan but never compute."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from attrs import frozen

from testbed.contract.capabilities import (
    HasEigensystem,
    HasExactSpectrum,
    HasGradient,
    HasPredictions,
)
from testbed.contract.components import (
    Component,
    Design,
    Estimator,
    Metric,
    Model,
    Optimizer,
    Target,
    Theory,
    Variable,
)
from testbed.contract.facts import ModelFacts, TheoryFacts
from testbed.contract.grids import Grid
from testbed.contract.parameters import parameter
from testbed.errors import DoesNotApply, ParameterError
from testbed.planning.files import read_scenario
from testbed.planning.plan import Plan, make_plan
from testbed.scenario.scenario import Scenario
from tests.helpers.mistakes import mistakes_of


def never_run(component: type[Component]) -> type[Component]:
    """A component that may be built although its numerics are missing."""
    component.__abstractmethods__ = frozenset()
    return component


@never_run
@frozen(kw_only=True)
class Plain(Design):
    name = "plain"
    n: int = parameter(100, help="sample size", ge=1, role="sample_size")
    noise: float = parameter(1.0, help="standard deviation of the noise", ge=0, role="noise")
    gamma: float = parameter(2.0, help="n = d^γ", gt=0)


@never_run
@frozen(kw_only=True)
class Grown(Design):
    name = "grown"
    gamma: float = parameter(help="n = 10^γ", gt=0)
    n: int | None = parameter(None, help="sample size", role="sample_size")

    def __attrs_post_init__(self):
        if self.gamma > 8:
            raise ValueError("more points than there are")

    def sizes(self):
        return {"train": round(10**self.gamma), "test": 1}


@never_run
@frozen(kw_only=True)
class Power(Target):
    name = "power"
    p: float = parameter(1.0, help="decay of the coefficients", gt=0)
    q: float = parameter(1.0, help="misalignment", ge=1)
    kernel: Model | None = parameter(
        None, help="whose eigenfunctions carry the truth", role="truth_kernel"
    )


@never_run
@frozen(kw_only=True)
class Zero(Target):
    name = "zero"


@never_run
@frozen(kw_only=True)
class Lines(Model):
    """Predicts, and therefore can descend."""

    name = "lines"
    gamma: float = parameter(1.5, help="decay of the eigenvalues", unit="1", gt=0)
    depth: int = parameter(0, help="number of layers", ge=0)
    widths: tuple[int, ...] = parameter((8,), help="widths of the layers")
    spread: float | None = parameter(None, help="scale of the start")
    rates: float | dict[str, float] = parameter(1.0, help="one rate, or one for each group", gt=0)

    def predict(self, prepared, params, probe):
        return probe


@never_run
@frozen(kw_only=True)
class Shapes(Model, HasExactSpectrum):
    """Has a spectrum only; prepared from inputs."""

    name = "shapes"
    seed_size: int = parameter(help="a required number", sweepable=False)

    def facts(self):
        return ModelFacts(reads="inputs")

    def withheld(self):
        return {HasPredictions: "shapes has no predictions"}

    def spectrum(self, prepared, params, problem, kernel, points):
        return None

    def gradient(self, prepared, params, problem, rows=None):
        return params


@never_run
@frozen(kw_only=True)
class Wrapped(Model):
    name = "wrapped"
    of: Model = parameter(help="the model inside")

    def facts(self):
        return ModelFacts(batching="loop")

    def predict(self, prepared, params, probe):
        return probe


@never_run
@frozen(kw_only=True)
class Descent(Optimizer):
    name = "descent"
    requires = (HasGradient,)
    learning_rate: float = parameter(0.1, help="step", gt=0)
    momentum: float = parameter(0.0, help="heavy ball", ge=0)
    method: Literal["plain", "nesterov"] = parameter("plain", help="which momentum")

    def __attrs_post_init__(self):
        if self.method == "nesterov" and self.momentum == 0:
            raise ParameterError("found 0.0", "a number above 0 for nesterov", parameter="momentum")

    def reached(self, times):
        return tuple(round(t / self.learning_rate) * self.learning_rate for t in times)


@never_run
@frozen(kw_only=True)
class Filter(Optimizer):
    name = "filter"
    requires = (HasEigensystem,)


@never_run
@frozen(kw_only=True)
class Flow(Optimizer):
    name = "flow"
    variables: ClassVar = {"evaluations": Variable("evaluations")}


@never_run
@frozen(kw_only=True)
class Risk(Metric):
    name = "risk"
    needs = (("predictions",), ("exact_spectrum",))
    variables: ClassVar = {"risk": Variable("excess risk")}


@never_run
@frozen(kw_only=True)
class Spread(Metric):
    name = "spread"
    needs = ("spectrum",)
    variables: ClassVar = {
        "eigenvalue": Variable("eigenvalue", ("mode",)),
        "width": Variable("a width", ("k",), time=False),
    }
    k: Grid = parameter(Grid([1, 2, 3]), help="how many modes", sweepable=False)

    def coordinates(self, sizes):
        return {"mode": range(sizes["modes"]), "k": self.k.values}


@never_run
@frozen(kw_only=True)
class Gap(Metric):
    name = "gap"
    needs = ("predictions", "companion_predictions")
    variables: ClassVar = {"gap": Variable("distance")}
    to: str = parameter(help="the other estimator")

    def companion(self, estimator: Estimator, estimators: Any) -> Estimator:
        return estimators[self.to]


@never_run
@frozen(kw_only=True)
class Deep(Metric):
    name = "deep"
    needs = ("parameters",)
    variables: ClassVar = {"deep": Variable("size of the parameters")}

    def applies(self, cell):
        return None if getattr(cell.model, "depth", 0) > 0 else "the model has no layers"


@never_run
@frozen(kw_only=True)
class Leverage(Metric):
    name = "leverage"
    needs = ("leverage",)
    variables: ClassVar = {"leverage": Variable("leverage")}


@frozen(kw_only=True)
class Law(Theory):
    name = "tiny.sharp-law"
    variables: ClassVar = {"value": Variable("risk", predicts="risk"), "own": Variable("own")}

    def predict(self, cell, times, problem=None):
        if getattr(cell.design, "gamma", 0) >= 3:
            raise DoesNotApply("the law needs gamma below 3")
        raise NotImplementedError


@never_run
@frozen(kw_only=True)
class Given(Theory):
    name = "given"
    variables: ClassVar = {"value": Variable("risk", predicts="risk")}

    def facts(self):
        return TheoryFacts(conditional=True)


class Tiny:
    """The registry that reading asks for, over these components."""

    def __init__(self, *components: type[Component]):
        self.components = {component.name: component for component in components}

    def get(self, kind: str, name: str) -> type[Component] | None:
        component = self.components.get(name)
        return component if component and component.kind == kind else None

    def names(self, kind: str) -> list[str]:
        return sorted(name for name, component in self.components.items() if component.kind == kind)


REGISTRY = Tiny(
    Plain, Grown, Power, Zero, Lines, Shapes, Wrapped, Descent, Filter, Flow, Risk, Spread, Gap,
    Deep, Leverage, Law, Given,
)  # fmt: skip

HEAD = """format = 1
name = "tiny"
seed = 3
replicates = 40
times = [0, 1, 2]
"""
DESIGN = '[design]\nuse = "plain"\n'
TARGET = '[target]\nuse = "power"\n'
ESTIMATOR = """[[estimator]]
name = "lines"
model = { use = "lines" }
optimizer = { use = "flow" }
"""
METRIC = '[[metric]]\nuse = "risk"\n'
SHAPES = 'use = "shapes", seed_size = 1'
LAW = '[[theory]]\nuse = "tiny.sharp-law"\n'
SWEPT = DESIGN + "n = { values = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100] }"


def text(
    design: str = DESIGN,
    target: str = TARGET,
    estimator: str = ESTIMATOR,
    metric: str = METRIC,
    head: str = HEAD,
    extra: str = "",
) -> str:
    """A scenario's text, sound unless a part is replaced."""
    return "\n".join((head, design, target, estimator, metric, extra))


def estimator(
    model: str = 'use = "lines"',
    optimizer: str = 'use = "flow"',
    name: str = "lines",
    extra: str = "",
) -> str:
    """One `[[estimator]]` table."""
    return (
        f'[[estimator]]\nname = "{name}"\nmodel = {{ {model} }}\n'
        f"optimizer = {{ {optimizer} }}\n{extra}\n"
    )


def read(toml: str, *overrides: str) -> Scenario:
    return read_scenario(toml, "s.toml", overrides, REGISTRY)


def planned(toml: str, *overrides: str) -> Plan:
    return make_plan(read(toml, *overrides))


def mistakes(toml: str, *overrides: str) -> list[str]:
    """What reading and planning object to, mistake by mistake."""
    return mistakes_of(lambda: planned(toml, *overrides))


def only(toml: str, *overrides: str) -> str:
    """The one mistake of a scenario."""
    listed = mistakes(toml, *overrides)
    assert len(listed) == 1, listed
    return listed[0]

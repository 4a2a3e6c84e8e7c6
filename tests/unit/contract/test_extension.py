"""A plugin adds a capability and needs of its own, without a line of core."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from testbed import (
    Advance,
    Capability,
    Estimator,
    HasFlow,
    Metric,
    Model,
    ModelFacts,
    ModelWrapper,
    Need,
    Optimizer,
    OptimizerFacts,
    Variable,
    has,
    lack,
    parameter,
    per_replicate,
)
from testbed.contract.shape import shape_objection
from testbed.planning.fitting import served_needs
from testbed.testing import Sequence, Smooth, check_component
from tests.helpers.cells import run_cell

# --- the plugin -----------------------------------------------------------------------------------


class HasEnergy(Capability):
    """Σ rate_j θ_j^power, and the rates themselves."""

    words = "energy"

    @per_replicate("power")
    @abstractmethod
    def energy(self, prepared, params, power):
        """One number."""

    @per_replicate()
    @abstractmethod
    def rates(self, prepared):
        """(modes,), the same at all times."""


ENERGY = Need("energy", "energy of a state", HasEnergy, "energy", ("prepared", "params", "matrix"),
              {"matrix": "2"})  # fmt: skip
RATES = Need("rates", "rates of decay", HasEnergy, "rates", ("prepared",), per_time=False)


@frozen(kw_only=True)
class Decay(Model, HasFlow, HasEnergy):
    """θ' = λ(z − θ), λ_j = 1/j, of one replicate."""

    name = "tests.decay"

    def prepare(self, drawn, problem):
        return 1 / problem.train.x

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(prepared)

    def predict(self, prepared, params, probe):
        return params

    def gradient(self, prepared, params, problem, rows=None):
        return prepared * (params - problem.train.y)

    def flow(self, fit, last, since, times):
        return torch.stack([-torch.expm1(-fit.prepared * t) * fit.problem.train.y for t in times])

    def energy(self, prepared, params, power):
        return (prepared * params ** float(power)).sum()

    def rates(self, prepared):
        return prepared


@frozen(kw_only=True)
class DecayBatch(Decay):
    """The same, written with the replicate axis."""

    name = "tests.decay-batch"

    def facts(self):
        return ModelFacts(batching="batch")

    def flow(self, fit, last, since, times):
        return torch.stack(
            [-torch.expm1(-fit.prepared * t) * fit.problem.train.y for t in times], 1
        )

    def energy(self, prepared, params, power):
        return (prepared * params ** float(power)).sum(-1)


@frozen(kw_only=True)
class Around(ModelWrapper, HasFlow, HasEnergy):
    """Another model, with everything that it has."""

    name = "tests.around"

    of: Model = parameter(help="the model")

    @property
    def inside(self):
        return self.of


@frozen(kw_only=True)
class Exact(Optimizer):
    name = "tests.exact"
    requires = (HasFlow,)

    def facts(self):
        return OptimizerFacts(batching="batch")

    def advance(self, fit, carry, since, times):
        params = fit.model.flow(fit, carry, since, times)
        return Advance(params[:, -1], params)


@frozen(kw_only=True)
class Energy(Metric):
    """The energy of the state, at the start, and of a companion; the sum of the rates."""

    name = "tests.energy"
    needs = (ENERGY, ENERGY.initial, ENERGY.companion, RATES)
    variables: ClassVar = {name: Variable(name) for name in ("energy", "first", "beside", "total")}

    power: str = parameter("2", help="power", choices=("1", "2"), role="matrix")

    def companion(self, estimator, estimators):
        return estimator._replace(name="twin")

    def measure(self, problem, energy, initial_energy, companion_energy, rates):
        return {
            "energy": energy, "first": initial_energy, "beside": companion_energy,
            "total": rates.sum(),
        }  # fmt: skip


@frozen(kw_only=True)
class Bare(Model):
    name = "tests.bare"

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.y)

    def predict(self, prepared, params, probe):
        return params


# --- what core makes of it ------------------------------------------------------------------------

TIMES = (0.0, 1.0, 30.0)


def measured(model, power="2"):
    return run_cell(Sequence(), Smooth(), model, Exact(), TIMES, [Energy(power=power)])


@pytest.mark.parametrize("model", [Decay(), DecayBatch(), Around(of=Decay())])
@pytest.mark.parametrize("power", ["1", "2"])
def test_a_need_of_a_plugin_is_computed_in_every_batching(model, power):
    result = measured(model, power)
    rate, expected = 1 / np.arange(1.0, 13), []
    problems = run_cell(Sequence(), Smooth(), Decay(), Exact(), (1e9,), [State()])["state"][:, 0]
    for observed in problems:
        path = [-np.expm1(-rate * t) * observed for t in TIMES]
        expected.append([(rate * theta ** float(power)).sum() for theta in path])
    np.testing.assert_allclose(result["energy"], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(result["beside"], result["energy"])
    assert (result["first"] == 0).all()
    np.testing.assert_allclose(result["total"], rate.sum(), rtol=1e-12)


@frozen(kw_only=True)
class State(Metric):
    name = "tests.state"
    needs = ("parameters",)
    variables: ClassVar = {"state": Variable("parameters", ("mode",))}

    def coordinates(self, sizes):
        return {"mode": np.arange(sizes["train"])}

    def measure(self, problem, parameters):
        return {"state": parameters}


def test_a_model_without_the_capability_is_named():
    estimator = Estimator("bare", Bare(), Exact())
    assert served_needs(Energy(), estimator, estimator)[1] == "tests.bare has no energy"


def test_a_wrapper_passes_on_what_the_inner_model_has_and_withholds_the_rest():
    assert has(Around(of=Decay()), HasEnergy) and has(Around(of=Decay()), HasFlow)
    assert lack(Around(of=Bare()), HasEnergy) == "tests.bare has no energy"
    assert Around(of=DecayBatch()).facts() == DecayBatch().facts()
    assert evolve(Around(of=Decay()), of=Bare()).withheld().keys() == {HasFlow, HasEnergy}


def test_the_conformance_kit_takes_both():
    for component in (Decay(), DecayBatch(), Around(of=Decay())):
        check_component(component, design=Sequence(), optimizer=Exact())
    check_component(Energy(), design=Sequence(), model=Decay(), optimizer=Exact())


def test_a_plugins_capability_is_checked_when_it_is_loaded():
    @frozen(kw_only=True)
    class Half(Bare, HasEnergy):
        name = "tests.half"

        def energy(self, prepared, params, power):
            return params.sum()

    assert shape_objection(Decay) is None and shape_objection(Around) is None
    assert shape_objection(Half) == (
        "found no method 'rates' in tests.half, expected it: HasEnergy declares it"
    )

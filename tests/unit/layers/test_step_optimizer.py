"""StepOptimizer: steps written once; the clock, the record of times and noise follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

import testbed
from testbed import OptimizerFacts, TestbedError
from testbed.numerics.trees import tree_map
from testbed.testing import Plane, Points, Smooth, check_component, make_case
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.langevin import Langevin
from testbed_basics.optimizers.nesterov import Nesterov


@frozen(kw_only=True)
class SignDescent(testbed.StepOptimizer):
    """θ ← θ − η sign ∇L."""

    name = "tests.sign"

    def facts(self):
        return OptimizerFacts(clock="own")

    def step(self, params, memory, now):
        slope = now.gradient(params)
        return tree_map(lambda p, g: p - self.learning_rate * g.sign(), params, slope), memory


def weights(optimizer, times=(0.5, 2.0), replicates=(0, 1, 2), model=None, **fields):
    """Parameters (replicates, times, …) of the plane, or of another model."""
    case = make_case(optimizer, model=model or Plane(), times=times, **fields)
    return evolve(case, replicates=replicates).walk()[0].params


@pytest.mark.parametrize(
    "optimizer",
    [
        SignDescent(learning_rate=0.1),
        Nesterov(learning_rate=0.1),
        Langevin(learning_rate=0.1, temperature=0.1),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_it_keeps_the_laws(optimizer):
    check_component(optimizer, model=Plane())


def test_nesterov_is_its_recursion_on_one_replicate():
    case = make_case(Nesterov(learning_rate=0.1), model=Plane(), times=(0.5, 2.0))
    data = case.problems()[1].train
    theta = ahead = np.array([1.0, 0.0])
    recorded = {}
    for k in range(1, 21):
        residual = data.x.numpy() @ ahead - data.y.numpy()
        new = ahead - 0.1 * data.x.numpy().T @ (data.weight.numpy() * residual)
        ahead, theta = new + (k - 1) / (k + 2) * (new - theta), new
        recorded[k] = theta
    expected = [recorded[5], recorded[20]]
    np.testing.assert_allclose(case.walk()[0].params[1], expected, rtol=1e-12)


def test_langevin_without_temperature_is_gradient_descent():
    cold = weights(Langevin(learning_rate=0.1, temperature=0.0))
    descent = weights(GradientDescent(learning_rate=0.1, method="stepped"))
    torch.testing.assert_close(cold, descent, rtol=1e-13, atol=0)


def test_noise_is_that_of_the_step_whatever_the_company_and_the_pauses():
    optimizer = Langevin(learning_rate=0.1, temperature=0.5)
    together = weights(optimizer)
    alone = weights(optimizer, replicates=(2,))
    assert torch.equal(together[2], alone[0])
    case = make_case(optimizer, model=Plane(), times=(0.5, 2.0))
    first, second = case.walk((0.5,), (2.0,))
    resumed = torch.cat([first.params, second.params], 1)
    assert torch.equal(case.walk()[0].params, resumed)
    assert (together[0] - together[1]).abs().min() > 1e-3


@frozen(kw_only=True)
class Free(testbed.Model):
    """θ itself, one number for each of many test directions: ½ Σ (y − θ)²."""

    name = "tests.free"

    def start(self, drawn, prepared, problem):
        return torch.zeros(4000, dtype=torch.float64)

    def predict(self, prepared, params, probe):
        raise NotImplementedError

    def gradient(self, prepared, params, problem, rows=None):
        return params


def test_langevins_law_is_that_of_the_recursion_in_equilibrium():
    # θ' = (1 − η)θ + √(2ηT) ξ has the variance T/(1 − η/2); of 3·4000 independent coordinates the
    # sample variance is off by 1.3%, and by four times that with probability 6e−5 (seed fixed).
    optimizer = Langevin(learning_rate=0.2, temperature=0.7)
    theta = weights(optimizer, times=(20.0,), model=Free(), design=Points(), target=Smooth())
    assert float(theta.var()) == pytest.approx(0.7 / 0.9, rel=0.052)


@frozen(kw_only=True)
class Noisy(SignDescent):
    """Noise that was not declared rightly."""

    name = "tests.noisy"

    def facts(self):
        return OptimizerFacts(clock="own", streams=("tests.noise",))

    def step(self, params, memory, now):
        return tree_map(torch.add, params, now.normal("tests.noise", like=params)), memory


@frozen(kw_only=True)
class Looped(Noisy):
    """The same, replicate by replicate, with a generator of the step."""

    name = "tests.looped"

    def facts(self):
        return evolve(super().facts(), batching="loop")

    def step(self, params, memory, now):
        noise = now.generator("tests.noise").standard_normal(params.shape)
        return params + torch.from_numpy(noise), memory


def test_noise_under_vmap_and_of_other_streams_is_refused_with_the_remedy():
    with pytest.raises(TestbedError, match='batching="loop"'):
        weights(Noisy(learning_rate=0.1))

    class Undeclared(Noisy):
        def facts(self):
            return OptimizerFacts(batching="loop")

    with pytest.raises(TestbedError, match=r"streams=\(.tests.noise"):
        weights(Undeclared(learning_rate=0.1))

    class AtOnce(Looped):
        def facts(self):
            return evolve(super().facts(), batching="batch")

    with pytest.raises(TestbedError, match="normal"):
        weights(AtOnce(learning_rate=0.1))


def test_a_generator_and_normal_numbers_of_one_stream_are_the_same():
    class AtOnce(Noisy):
        def facts(self):
            return evolve(super().facts(), batching="batch")

    one_by_one, at_once = (weights(cls(learning_rate=0.1)) for cls in (Looped, AtOnce))
    assert torch.equal(one_by_one, at_once)

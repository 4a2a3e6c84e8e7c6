"""TorchModule: any nn.Module, one replicate of which is the module itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen
from torch import nn

import testbed
from testbed import Streams, UnsuitableError, parameter
from testbed.running.execute import draw_problem
from testbed.testing import Case, PlainDescent, Plane, Points, Smooth, check_component, make_case
from testbed_networks.models.two_layer import TwoLayerNetwork


@frozen(kw_only=True)
class Net(testbed.TorchModule):
    """A small network."""

    name = "tests.net"

    width: int = parameter(4, help="width of the hidden layer", ge=1)

    def module(self, dim: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, self.width), nn.Tanh(), nn.Linear(self.width, outputs))


def of(build, model=Net):
    """A module class whose `module` is the function given."""
    members = {"module": lambda self, dim, outputs: build(dim, outputs), "__module__": __name__}
    return frozen(kw_only=True)(type("Built", (model,), {"__doc__": "Built.", **members}))()


def case(model, **fields):
    return make_case(model, optimizer=PlainDescent(), **fields)


def moment(model):
    """The model's parts for replicate 0 of a small problem, at the start."""
    problem = draw_problem(case(model).cell, 0)
    drawn = model.draw(Streams(1, 0), problem)
    drawn = testbed.numerics.trees.as_tensors(drawn, torch.float64, "cpu")
    prepared = model.prepare(drawn, problem)
    return prepared, model.start(drawn, prepared, problem), problem


def test_it_keeps_the_laws():
    check_component(Net(), optimizer=PlainDescent())


def test_function_and_gradient_are_those_of_the_module_by_plain_autograd():
    prepared, params, problem = moment(Net())
    net = Net().module(2, 1).double()
    net.load_state_dict({name: leaf.clone() for name, leaf in params.items()})
    data = problem.train
    values = net(data.x)[:, 0]
    torch.testing.assert_close(Net().predict(prepared, params, data.x), values)
    (0.5 * (data.weight * (data.y - values) ** 2).sum()).backward()
    gradient = Net().gradient(prepared, params, problem)
    for name, leaf in net.named_parameters():
        torch.testing.assert_close(gradient[name], leaf.grad)


def test_the_start_is_the_modules_own_law_drawn_from_our_stream():
    _, params, _ = moment(Net())
    generator, bound = Streams(1, 0)("model"), 1 / np.sqrt(2)
    expected = generator.uniform(-bound, bound, (4, 2))  # as nn.Linear initialises its weight
    np.testing.assert_allclose(params["0.weight"].numpy(), expected, rtol=1e-14)


def test_replicates_differ_and_torchs_generator_is_left_alone():
    problem = draw_problem(case(Net()).cell, 0)
    before = torch.get_rng_state()
    first, again, second = (Net().draw(Streams(1, row), problem) for row in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float32
    weight = "0.weight"
    np.testing.assert_array_equal(first["moving"][weight], again["moving"][weight])
    assert np.abs(first["moving"][weight] - second["moving"][weight]).min() > 1e-3


def test_every_usual_initialisation_draws_from_our_stream():
    def build(dim, outputs):
        net = nn.Sequential(nn.Linear(dim, 6), nn.Linear(6, 6), nn.Linear(6, outputs))
        nn.init.normal_(net[0].weight, std=0.1)
        nn.init.orthogonal_(net[1].weight)
        nn.init.trunc_normal_(net[1].bias)
        nn.init.xavier_uniform_(net[2].weight)
        net[2].bias.data = torch.randn(outputs) + torch.rand(outputs) + torch.randperm(outputs)
        return net

    before = torch.get_rng_state()
    _, params, _ = moment(of(build))
    assert torch.equal(before, torch.get_rng_state())
    square = params["1.weight"] @ params["1.weight"].mT
    torch.testing.assert_close(square, torch.eye(6, dtype=torch.float64))


@frozen(kw_only=True)
class Pair(Smooth):
    """Two outputs."""

    name = "tests.pair"

    def values(self, drawn, x):
        return np.stack([x[:, 0], x[:, 1]], 1)


@frozen(kw_only=True)
class PairPoints(Points):
    """Points with noise for two outputs."""

    name = "tests.pair-points"

    def draw(self, rng):
        sample = super().draw(rng)
        return sample._replace(
            noise=np.stack([sample.noise] * 2, 1), test_noise=np.zeros((self.n_test, 2))
        )


def test_several_outputs_are_columns_and_their_tangent_kernel_is_the_mean():
    built = Case(Net(), PairPoints(), Pair(), Net(), PlainDescent())
    problem = draw_problem(built.cell, 0)
    drawn = Net().draw(Streams(1, 0), problem)
    drawn = testbed.numerics.trees.as_tensors(drawn, torch.float64, "cpu")
    prepared = Net().prepare(drawn, problem)
    params, x = Net().start(drawn, prepared, problem), problem.train.x
    assert Net().predict(prepared, params, x).shape == (12, 2)
    jacobians = torch.func.jacrev(lambda params: Net().predict(prepared, params, x))(params)
    flat = torch.cat([leaf.flatten(2) for leaf in jacobians.values()], 2)  # (n, outputs, p)
    mean = torch.einsum("iap,jap->ij", flat, flat) / 2
    torch.testing.assert_close(Net().gram(prepared, params, x, "tangent"), mean)
    walked = built.walk()[0]
    assert bool(torch.isfinite(walked.params["0.weight"]).all())


def test_it_is_the_two_layer_network_of_hand_derived_gradients():
    class Scaled(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.first = nn.Parameter(torch.randn(8, dim))
            self.second = nn.Parameter(torch.randn(8))

        def forward(self, x):
            return torch.tanh(x @ self.first.mT) @ self.second / 8**0.5

    model = of(lambda dim, outputs: Scaled(dim))
    prepared, params, problem = moment(model)
    network = TwoLayerNetwork(width=8, activation="tanh")
    batched = {name: leaf[None] for name, leaf in params.items()}
    theirs = network.predict(None, batched, problem.test.x[None])[0]
    torch.testing.assert_close(model.predict(prepared, params, problem.test.x), theirs)
    gram = network.gram(None, batched, problem.test.x[None], "tangent")[0]
    torch.testing.assert_close(model.gram(prepared, params, problem.test.x, "tangent"), gram)


def test_buffers_and_frozen_parameters_stay_as_they_are_drawn():
    class Fourier(nn.Module):
        def __init__(self, dim, outputs):
            super().__init__()
            self.register_buffer("frequencies", torch.randn(dim, 8))
            self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
            self.readout = nn.Linear(8, outputs)

        def forward(self, x):
            return self.readout(self.scale * torch.cos(x @ self.frequencies))

    model = of(Fourier)
    prepared, params, _ = moment(model)
    assert set(prepared["still"]) == {"frequencies", "scale"}
    assert set(params) == {"readout.weight", "readout.bias"}
    states = case(model).walk()[0]
    still = states.path.fit.prepared["still"]["frequencies"]
    assert not torch.equal(still[0], still[1])  # drawn for each replicate


class Remembers(nn.Module):
    """A buffer that counts the calls."""

    def __init__(self, dim, outputs):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.readout = nn.Linear(dim, outputs)

    def forward(self, x):
        self.calls += 1
        return self.readout(x)


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda d, k: nn.Sequential(nn.Linear(d, k), nn.Dropout(0.1)), "1 (Dropout)"),
        (lambda d, k: nn.Sequential(nn.Linear(d, k), nn.BatchNorm1d(k)), "1 (BatchNorm1d)"),
        (
            lambda d, k: nn.Sequential(
                nn.BatchNorm1d(d, track_running_stats=False), nn.Linear(d, k)
            ),
            "0 (BatchNorm1d)",
        ),
        (lambda d, k: nn.Sequential(nn.Linear(d, k), nn.RReLU()), "1 (RReLU)"),
        (Remembers, "changes 'calls'"),
        (lambda d, k: nn.Linear(d, k + 1), "expected (2,)"),
        (lambda d, k: torch.tanh, "expected a torch.nn.Module"),
        (lambda d, k: nn.Parameter(torch.empty(1).exponential_()), "aten.exponential_"),
    ],
)
def test_what_is_no_pure_function_of_one_point_is_refused_by_name(build, words):
    model = of(build)
    problem = draw_problem(case(Plane()).cell, 0)
    with pytest.raises(UnsuitableError) as refused:
        model.draw(Streams(1, 0), problem)
    assert words in str(refused.value) and "tests.net" in str(refused.value)

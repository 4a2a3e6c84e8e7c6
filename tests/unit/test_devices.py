"""Nothing assumes the CPU: the numerics run on torch's device without numbers.

On "meta" tensors have shapes, dtypes and a device. Whoever goes through NumPy finds nothing to
copy; and whoever makes a tensor on the CPU by mistake mixes two devices, which raises here as it
would on an accelerator: numbers without an axis and copies alone may cross.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from testbed.contract.values import Data, Fit, Problem
from testbed_networks.models.deep import Mlp
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_networks.numerics.activations import ACTIVATIONS
from testbed_networks.numerics.empirical_ntk import tangent_kernel
from testbed_networks.numerics.two_layer import TwoLayer, descend
from testbed_ntk import models
from testbed_ntk.models.base import FormulaKernel
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix

KERNELS = [
    models.ReluTangent(depth=2),
    models.ReluTangent(depth=2, bias_variance=0.1),
    models.NetworkTangent(activation="tanh"),
    models.NetworkProcess(activation="gelu"),
    models.Laplace(),
    models.Laplace(norm="l1"),
    models.Rbf(bandwidth=(1.0, 2.0, 3.0)),
    models.Matern(nu=2.5),
    models.RationalQuadratic(),
    models.Periodic(),
    models.Polynomial(degree=2),
    models.DotProduct(coefficients=(1.0, 0.5)),
    models.Sum(first=models.Rbf(), second=models.Laplace(), weights=(0.5, 0.5)),
]


CROSSING = ("aten::_to_copy", "aten::copy_")


class OneDevice(TorchDispatchMode):
    """Every operation has all its tensors on one device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        devices = {value.device.type for value in results if value.ndim}
        if len(devices) > 1 and func.name().split(".")[0] not in CROSSING:
            raise RuntimeError(f"{func.name()} mixes {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """One device an operation; where code decides by a number there is none, so that all are 1, and
    no number is found wanting."""
    for name, answer in (("__float__", 1.0), ("__bool__", True), ("__int__", 1)):
        method = getattr(torch.Tensor, name)

        def chosen(self, method=method, answer=answer):
            return answer if self.is_meta else method(self)

        monkeypatch.setattr(torch.Tensor, name, chosen)
    monkeypatch.setattr(FormulaKernel, "expect_finite", lambda *anything: None)
    with OneDevice():
        yield


def empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta", dtype=torch.float64)


def problem(*replicates: int) -> Problem:
    rows = (*replicates, 10)
    data = Data(empty(*rows, 3), empty(*rows), empty(*rows), empty(*rows))
    return Problem(data, data, empty(*replicates), {})


def test_the_device_tells_a_tensor_of_the_cpu_apart():
    with pytest.raises(RuntimeError, match="mixes"):
        empty(2, 2) @ torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises((RuntimeError, TypeError)):
        empty(2).numpy()


@pytest.mark.parametrize("model", KERNELS, ids=lambda model: repr(model)[:50])
def test_gram_matrices(model):
    kernel = model.kernel(3)
    assert gram_matrix(kernel, empty(10, 3)).is_meta
    assert cross_matrix(kernel, empty(4, 3), empty(10, 3)).shape == (4, 10)


@pytest.mark.parametrize("route", ["eigen", "krylov"])
@pytest.mark.parametrize("algorithm", ["flow", "ridge", "cutoff"])
def test_paths_of_kernels(route, algorithm):
    model, actual = models.Rbf(route=route), problem()
    prepared = model.prepare(None, actual)
    fit = Fit(model, prepared, model.start(None, prepared, actual), actual, None)
    path = model.path(fit, algorithm, [1.0, 2.0])
    assert path.is_meta and path.shape == (2, 10)
    assert model.predict(prepared, path[0], model.probe(prepared, empty(4, 3))).is_meta
    assert model.spectrum(prepared, path[0], actual, "features", "train").eigenvalue.is_meta


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_training_and_kernels_of_networks(name):
    network = TwoLayer(ACTIVATIONS[name])
    params = {"first": empty(4, 8, 3), "second": empty(4, 8)}
    end = descend(network, params, empty(4, 10, 3), empty(4, 10), empty(4, 10), 0.1, 3)
    assert all(leaf.is_meta for leaf in end.params.values())
    first = {leaf: value[0] for leaf, value in params.items()}
    assert tangent_kernel(network, first, empty(10, 3)).is_meta
    assert tangent_kernel(network, first, empty(10, 3), empty(5, 3)).is_meta


@pytest.mark.parametrize("network", [TwoLayerNetwork(width=8), Mlp(width=4, depth=2)])
def test_linearised_networks(network):
    model, actual = Linearised(of=network), problem(2)
    drawn = {"first": empty(2, network.width, 3), "second": empty(2, network.width)}
    if isinstance(network, Mlp):
        drawn["hidden"] = empty(2, 1, network.width, network.width)
    prepared = model.prepare(drawn, actual)
    fit = Fit(model, prepared, model.start(drawn, prepared, actual), actual, None)
    assert model.path(fit, "flow", [1.0]).is_meta

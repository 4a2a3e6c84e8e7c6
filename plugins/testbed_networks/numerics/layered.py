"""Fully connected networks of any depth as pure functions, with hand-derived gradients.

    z⁰ = x,   h^ℓ = c_ℓ W^ℓ z^{ℓ−1} + b^ℓ,   z^ℓ = σ(h^ℓ),  ℓ = 1 … L,   f = c aᵀ z^L

With B^ℓ = ∂f/∂h^ℓ, that is B^L = c σ'(h^L)∘a and B^{ℓ−1} = c_ℓ σ'(h^{ℓ−1})∘(W^ℓᵀ B^ℓ), the gradient
in W^ℓ of any function of the predictions with derivatives p_i is c_ℓ Σ_i p_i B^ℓ_i z_i^{ℓ−1}ᵀ, and
the tangent kernel is a sum over layers of products of Gram matrices (arXiv:1806.07572):

    Θ = c² ⟨z^L, z'^L⟩ + Σ_ℓ (c_ℓ² ⟨z^{ℓ−1}, z'^{ℓ−1}⟩ + 1) ⟨B^ℓ, B'^ℓ⟩      (+ 1 only with biases)

Parameters are a dict: `first` (…, m, d) is W¹, `hidden` (…, L − 1, m, m) the others if there are
any, `second` (…, m) is a, and `bias` (…, L, m), if present, the b^ℓ. Leading axes are replicates; x
is (…, n, d), y and weight are (…, n). With several outputs `second` is (…, m, outputs), f and y are
(…, n, outputs), and the tangent kernel is the mean over them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

from testbed_networks.numerics.activations import Activation
from testbed_networks.numerics.two_layer import readout, several

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"


class Layered(NamedTuple):
    """The parts of a deep network that do not change over training."""

    activation: Activation
    multipliers: tuple[float, ...]  # c_1 … c_L
    output: float  # c
    step: float = 1.0  # factor of every step, and of the kernels, on the clock τ


class Passed(NamedTuple):
    """One pass through the network."""

    pre: list[Tensor]  # h¹ … h^L, each (…, n, m)
    value: list[Tensor]  # z⁰ … z^L


def weights(params: Params) -> list[Tensor]:
    """W¹ … W^L."""
    hidden = params["hidden"].unbind(-3) if "hidden" in params else ()
    return [params["first"], *hidden]


def forward(network: Layered, params: Params, x: Tensor) -> Passed:
    """Every layer's values at x."""
    pre, value = [], [x]
    for layer, weight in enumerate(weights(params)):
        ahead = network.multipliers[layer] * (value[-1] @ weight.mT)
        if "bias" in params:
            ahead = ahead + params["bias"][..., layer, None, :]
        pre.append(ahead)
        value.append(network.activation.value(ahead))
    return Passed(pre, value)


def predict(network: Layered, params: Params, x: Tensor) -> Tensor:
    """f(x), (…, n), or (…, n, outputs) where there are several."""
    f = _output(network, params, forward(network, params, x))
    return f if several(params) else f.squeeze(-1)


def _output(network: Layered, params: Params, passed: Passed) -> Tensor:
    """f as columns, (…, n, outputs)."""
    return network.output * (passed.value[-1] @ readout(params))


def backward(network: Layered, params: Params, passed: Passed, top: Tensor) -> list[Tensor]:
    """∂F/∂h¹ … ∂F/∂h^L, each (…, n, m), for a scalar F with ∂F/∂z^L = `top`."""
    slope = network.activation.derivative
    pulls = [slope(passed.pre[-1]) * top]
    matrices = weights(params)
    for layer in range(len(matrices) - 1, 0, -1):
        back = network.multipliers[layer] * (pulls[0] @ matrices[layer])
        pulls.insert(0, slope(passed.pre[layer - 1]) * back)
    return pulls


def gradient(network: Layered, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
    """∇ ½ Σ weight·(y − f)², without the factor `step`."""
    passed = forward(network, params, x)
    labels = y if several(params) else y.unsqueeze(-1)
    pull = weight.unsqueeze(-1) * (_output(network, params, passed) - labels)  # (…, n, outputs)
    pulled = backward(network, params, passed, network.output * (pull @ readout(params).mT))
    slopes = [
        scale * (pull_back.mT @ value)
        for scale, pull_back, value in zip(network.multipliers, pulled, passed.value, strict=False)
    ]
    result = {"first": slopes[0]}
    readout_slope = network.output * (passed.value[-1].mT @ pull)
    result["second"] = readout_slope.reshape(params["second"].shape)
    if "hidden" in params:
        result["hidden"] = torch.stack(slopes[1:], -3)
    if "bias" in params:
        result["bias"] = torch.stack([pull_back.sum(-2) for pull_back in pulled], -2)
    return {leaf: result[leaf] for leaf in params}


def conjugate_kernel(
    network: Layered, params: Params, x: Tensor, second: Tensor | None = None
) -> Tensor:
    """step·c² ⟨z^L, z'^L⟩, (…, n, n')."""
    left = forward(network, params, x).value[-1]
    right = left if second is None else forward(network, params, second).value[-1]
    return _symmetric(network.step * network.output**2 * (left @ right.mT), second)


def tangent_kernel(
    network: Layered, params: Params, x: Tensor, second: Tensor | None = None
) -> Tensor:
    """step·Θ, (…, n, n'), layer by layer; symmetric to the last bit on x alone."""
    left = forward(network, params, x)
    right = left if second is None else forward(network, params, second)
    total = network.output**2 * (left.value[-1] @ right.value[-1].mT)
    columns = readout(params).unbind(-1)
    for column in columns:
        top = network.output * column.unsqueeze(-2)
        back = backward(network, params, left, top)
        back_second = back if second is None else backward(network, params, right, top)
        for layer, scale in enumerate(network.multipliers):
            inputs = scale**2 * (left.value[layer] @ right.value[layer].mT)
            if "bias" in params:
                inputs = inputs + 1
            total = total + inputs * (back[layer] @ back_second[layer].mT) / len(columns)
    return _symmetric(network.step * total, second)


def _symmetric(kernel: Tensor, second: Tensor | None) -> Tensor:
    """Products are symmetric to rounding only."""
    return 0.5 * (kernel + kernel.mT) if second is None else kernel

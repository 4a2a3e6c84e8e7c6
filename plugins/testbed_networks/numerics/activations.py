"""Activation functions: values, derivatives, and the same written into buffers for fast loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

from testbed import UnsuitableError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Elementwise: TypeAlias = "Callable[[Tensor], Tensor]"
ROOT_PI = math.sqrt(math.pi)


class Activation(NamedTuple):
    """σ, applied elementwise.

    `second` is None where σ' jumps; such activations are unsuitable for adaptive integration.
    `degree` is set for positively homogeneous σ: then h σ'(h) = degree·σ(h), which turns the sum
    over points in ∂L/∂a into a by-product of ∂L/∂W.

    `fill(h, value)` writes σ(h) into `value`, and `slope(h, value)` turns one of the two buffers
    into σ'(h) and returns it. If `aliases`, both arguments may be the same buffer.
    """

    name: str
    value: Elementwise
    derivative: Elementwise
    second: Elementwise | None
    fill: Callable[[Tensor, Tensor], object]
    slope: Callable[[Tensor, Tensor], Tensor]
    aliases: bool = False
    degree: int | None = None

    @property
    def smooth(self) -> bool:
        """Whether σ is twice differentiable everywhere."""
        return self.second is not None


def _density(h: Tensor) -> Tensor:
    """The standard normal density."""
    return torch.exp(-0.5 * h * h) / math.sqrt(2 * math.pi)


def _gelu_fill(h: Tensor, value: Tensor) -> Tensor:
    return torch.special.ndtr(h, out=value).mul_(h)


def _gelu_slope(h: Tensor, value: Tensor) -> Tensor:
    return torch.special.ndtr(h, out=value).addcmul_(h, _density(h))


def _sigmoid_second(h: Tensor) -> Tensor:
    value = torch.sigmoid(h)
    return value * (1 - value) * (1 - 2 * value)


# Functions of torch are named inside lambdas: this module is imported before torch is needed.
RELU = Activation(
    "relu",
    value=lambda h: torch.relu(h),
    derivative=lambda h: (h > 0).to(h.dtype),  # 0 at the kink, as in autograd
    second=None,
    fill=lambda h, value: torch.clamp_min(h, 0, out=value),
    slope=lambda h, value: value.sign_(),
    aliases=True,
    degree=1,
)
LINEAR = Activation(
    "linear",
    value=lambda h: torch.clone(h),
    derivative=lambda h: torch.ones_like(h),
    second=lambda h: torch.zeros_like(h),
    fill=lambda h, value: value.copy_(h),
    slope=lambda h, value: value.fill_(1),
    aliases=True,
    degree=1,
)
QUADRATIC = Activation(
    "quadratic",  # σ(h) = h²
    value=lambda h: torch.square(h),
    derivative=lambda h: 2 * h,
    second=lambda h: torch.full_like(h, 2),
    fill=lambda h, value: torch.square(h, out=value),
    slope=lambda h, value: h.mul_(2),
    degree=2,
)
TANH = Activation(
    "tanh",
    value=lambda h: torch.tanh(h),
    derivative=lambda h: 1 - torch.tanh(h) ** 2,
    second=lambda h: -2 * torch.tanh(h) * (1 - torch.tanh(h) ** 2),
    fill=lambda h, value: torch.tanh(h, out=value),
    slope=lambda h, value: value.square_().neg_().add_(1),
    aliases=True,
)
SIGMOID = Activation(
    "sigmoid",
    value=lambda h: torch.sigmoid(h),
    derivative=lambda h: torch.sigmoid(h) * torch.sigmoid(-h),
    second=_sigmoid_second,
    fill=lambda h, value: torch.sigmoid(h, out=value),
    slope=lambda h, value: torch.addcmul(value, value, value, value=-1, out=value),
    aliases=True,
)
ERF = Activation(
    "erf",
    value=lambda h: torch.erf(h),
    derivative=lambda h: torch.exp(-h * h) * (2 / ROOT_PI),
    second=lambda h: -2 * h * torch.exp(-h * h) * (2 / ROOT_PI),
    fill=lambda h, value: torch.erf(h, out=value),
    slope=lambda h, value: h.square_().neg_().exp_().mul_(2 / ROOT_PI),
)
GELU = Activation(
    "gelu",  # σ(h) = h·P(N(0,1) ≤ h)
    value=lambda h: h * torch.special.ndtr(h),
    derivative=lambda h: torch.special.ndtr(h) + h * _density(h),
    second=lambda h: (2 - h * h) * _density(h),
    fill=_gelu_fill,
    slope=_gelu_slope,
)

ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (RELU, TANH, ERF, QUADRATIC, LINEAR, SIGMOID, GELU)
}


def activation(name: str) -> Activation:
    """The activation of this name.

    >>> activation("relu").degree
    1
    """
    if name not in ACTIVATIONS:
        raise UnsuitableError(
            f"unknown activation {name!r}: expected one of {', '.join(sorted(ACTIVATIONS))}; "
            + did_you_mean(name, ACTIVATIONS)
        )
    return ACTIVATIONS[name]

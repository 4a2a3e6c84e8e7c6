"""Activations of mean zero under N(0, 1), as one gradient step on random features wants them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

if TYPE_CHECKING:
    from torch import Tensor

Elementwise: TypeAlias = "Callable[[Tensor], Tensor]"


class Centred(NamedTuple):
    """σ = raw − mean, mean = E raw(z) for z ~ N(0, 1), and σ'."""

    raw: Elementwise
    derivative: Elementwise
    mean: float

    def value(self, h: Tensor) -> Tensor:
        """σ(h)."""
        return self.raw(h) - self.mean if self.mean else self.raw(h)


def _density(h: Tensor) -> Tensor:
    return torch.exp(-0.5 * h * h) / math.sqrt(2 * math.pi)


# Functions of torch are named inside lambdas: this module is imported before torch is needed.
CENTRED: dict[str, Centred] = {
    "relu": Centred(
        lambda h: torch.relu(h), lambda h: (h > 0).to(h.dtype), 1 / math.sqrt(2 * math.pi)
    ),
    "tanh": Centred(lambda h: torch.tanh(h), lambda h: 1 - torch.tanh(h).square(), 0.0),
    "erf": Centred(
        lambda h: torch.erf(h), lambda h: torch.exp(-h * h) * (2 / math.sqrt(math.pi)), 0.0
    ),
    "gelu": Centred(
        lambda h: h * torch.special.ndtr(h),
        lambda h: torch.special.ndtr(h) + h * _density(h),
        1 / (2 * math.sqrt(math.pi)),  # E z Φ(z) = E φ(z) by Stein's identity
    ),
    "quadratic": Centred(lambda h: torch.square(h), lambda h: 2 * h, 1.0),
}

"""A convolutional network on square images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import frozen

from testbed import (
    Example,
    Mistake,
    ModelFacts,
    ParameterError,
    Space,
    TorchModule,
    UnsuitableError,
    parameter,
)

if TYPE_CHECKING:
    from torch import nn


@frozen(kw_only=True)
class Convolutional(TorchModule):
    """Convolutions over a square image with periodic borders, each followed by an activation, then
    the mean over all pixels and a linear readout (arXiv:1810.05148, §3.2).

    Every weight starts as N(0, gain/fan-in), gain 2 for relu and 1 otherwise, biases start at 0,
    and all are trained. The function does not change when an image is shifted around its borders.
    A point of d coordinates is read as `channels` images of √(d/channels) pixels a side.
    """

    name = "networks.convolutional"
    references = ("arXiv:1810.05148",)

    width: int = parameter(help="channels m of every hidden layer", ge=1)
    depth: int = parameter(1, help="number of convolutions", ge=1)
    reach: int = parameter(3, help="pixels along one side of a filter; odd", ge=1)
    channels: int = parameter(1, help="channels of the image", ge=1)
    activation: str = parameter(
        "relu", help="after each convolution", choices=("relu", "tanh", "gelu")
    )

    def __attrs_post_init__(self) -> None:
        if self.reach % 2 == 0:
            raise ParameterError(f"found {self.reach}", "an odd number", parameter="reach")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"width": 4},
                {
                    "design": {"use": "gaussian", "dim": 16},
                    "optimizer": {"use": "gradient-descent", "learning_rate": 0.05},
                },
            ),
        )

    def facts(self) -> ModelFacts:
        return ModelFacts(smooth=self.activation != "relu")

    def misfit(self, space: Space) -> Mistake | None:
        mistake = self.kind_misfit(space)
        if mistake or space.dim is None or self._side(space.dim) is not None:
            return mistake
        problem = f"found points of {space.dim} coordinates with channels = {self.channels}"
        return Mistake("channels", problem, "square images of that many channels")

    def _side(self, dim: int) -> int | None:
        """Pixels along one side of an image of `dim` numbers; None if it is not square."""
        side = math.isqrt(dim // self.channels)
        return side if self.channels * side**2 == dim else None

    def module(self, dim: int, outputs: int) -> nn.Module:
        side = self._side(dim)
        if side is None or side < self.reach:
            raise UnsuitableError(
                f"found points of {dim} coordinates",
                f"{self.channels} square images of at least {self.reach} pixels a side",
            )
        from testbed_networks.numerics.convolutions import of_images

        return of_images(
            (self.channels, side, side),
            outputs,
            width=self.width,
            depth=self.depth,
            reach=self.reach,
            activation=self.activation,
        )

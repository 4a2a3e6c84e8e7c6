"""Convolutions of images with periodic borders, their mean over pixels, and a readout."""

from __future__ import annotations

import math

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def of_images(
    shape: tuple[int, int, int],
    outputs: int,
    *,
    width: int,
    depth: int,
    reach: int,
    activation: str,
) -> nn.Module:
    """The network of images (channels, side, side): weights start at N(0, gain/fan-in), the gain of
    a convolution being 2 before relu and else 1, and biases at 0."""
    gain = 2.0 if activation == "relu" else 1.0
    layers: list[nn.Module] = []
    for before in (shape[0], *[width] * (depth - 1)):
        filters = nn.Conv2d(before, width, reach, padding="same", padding_mode="circular")
        _start(filters, gain)
        layers += [filters, ACTIVATIONS[activation]()]
    readout = nn.Linear(width, outputs)
    _start(readout, 1.0)
    return _OfImages(shape, nn.Sequential(*layers), readout)


def _start(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Draw the weights from N(0, gain/fan-in), and set the biases to 0."""
    nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class _OfImages(nn.Module):
    """Convolutions of an image, the mean over its pixels, and a readout."""

    def __init__(self, shape: tuple[int, int, int], convolutions: nn.Module, readout: nn.Module):
        super().__init__()
        self.shape, self.convolutions, self.readout = shape, convolutions, readout

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.convolutions(x.reshape(len(x), *self.shape))
        values: Tensor = self.readout(features.mean((-2, -1)))
        return values

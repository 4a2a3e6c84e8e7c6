"""Networks of several hidden layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from testbed import Example, Space, parameter
from testbed.numerics.trees import tree_map
from testbed_networks.models.network import ActivatedNetwork, Params
from testbed_networks.numerics import layered
from testbed_networks.numerics.activations import activation
from testbed_networks.numerics.layered import Layered

if TYPE_CHECKING:
    from torch import Tensor

PARAMETERIZATIONS = ("ntk", "mean-field", "mup", "standard")


@frozen(kw_only=True)
class Mlp(ActivatedNetwork):
    """f = m^{−κ} aᵀσ(h^L), h^ℓ = s m^{−1/2} W^ℓ σ(h^{ℓ−1}) + b^ℓ, h¹ = W¹x + b¹, s² the weight
    variance, all parameters N(0, 1) at the start; steps are θ ← θ − η m^{2κ−1} ∇L, τ = η·steps.

    "ntk": κ = ½ (arXiv:1806.07572). "mup", maximal-update scaling: κ = 1, so that the features of
    every layer move at order one as m → ∞. It is the abc-parameterization a = (−½, 0, …, 0, ½),
    b = ½, c = 0 of arXiv:2011.14522 (definition 5.1), shifted by its symmetry a + θ, b − θ, c − 2θ
    with θ = ½ to a = (0, ½, …, ½, 1), b = 0, c = −1: multipliers m^{−a}, steps m^{−c}.
    "mean-field": the same, but hidden weights start at N(0, 1/m), as in the average m^{−1}Σ over
    the neurons of every layer (arXiv:2001.11443). With weights of mean 0, as here, layers beyond
    the first then start at their biases, whatever the input, which maximal-update scaling avoids;
    with one hidden layer the two are the same network.
    "standard": no multipliers, weights N(0, 1/fan_in) at the start, s²/m in hidden layers, and one
    step η for all layers: the function of "ntk" at x/√d, whose steps must shrink like 1/m.
    """

    name = "networks.mlp"
    references = ("arXiv:1806.07572", "arXiv:2011.14522", "arXiv:2001.11443")

    depth: int = parameter(2, help="hidden layers L", ge=1)
    parameterization: str = parameter(
        "ntk", help="scales of layers and steps", choices=PARAMETERIZATIONS
    )
    weight_variance: float = parameter(
        1.0,
        help="s²: variance factor of the hidden layers' weights (2 keeps the size of relu)",
        gt=0,
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"width": 4, "activation": "tanh"}),)

    def trained_numbers(self, space: Space) -> float | None:
        first = super().trained_numbers(space)
        return None if first is None else first + (self.depth - 1.0) * self.width**2

    @property
    def network(self) -> Layered:
        if self.parameterization == "standard":
            return Layered(activation(self.activation), (1.0,) * self.depth, 1.0)
        kappa = 0.5 if self.parameterization == "ntk" else 1.0
        hidden = math.sqrt(self.weight_variance / self.width)
        multipliers = (1.0, *(hidden,) * (self.depth - 1))
        output, step = float(self.width) ** -kappa, float(self.width) ** (2 * kappa - 1)
        return Layered(activation(self.activation), multipliers, output, step)

    @property
    def step(self) -> float:
        return self.network.step

    def initial(
        self, generator: np.random.Generator, dim: int, outputs: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """The layers from four streams, so that biases and depth do not change the other draws."""
        first, second, bias, hidden = generator.spawn(4)
        rows = [*(self.width,) * (self.depth - 1), self.distinct]
        deviations = self._deviations(dim)
        readout = deviations[2] * second.standard_normal((self.distinct, *outputs))
        drawn = {"second": self.twinned(readout, -1.0)}
        drawn["first"] = self._last_twinned(
            deviations[0] * first.standard_normal((rows[0], dim)), 1
        )
        layers = [hidden.standard_normal((count, self.width)) for count in rows[1:]]
        if layers:
            scale = deviations[1]
            stacked = [
                self._last_twinned(matrices, layer) for layer, matrices in enumerate(layers, 2)
            ]
            drawn["hidden"] = scale * np.stack(stacked)
        if self.bias:
            biases = [bias.standard_normal(count) for count in rows]
            drawn["bias"] = np.stack(
                [self._last_twinned(b, layer) for layer, b in enumerate(biases, 1)]
            )
        return drawn

    def _deviations(self, dim: int) -> tuple[float, float, float]:
        """Standard deviations at the start: of first, hidden and readout weights."""
        shrunk = self.width**-0.5
        if self.parameterization == "standard":
            return dim**-0.5, math.sqrt(self.weight_variance) * shrunk, shrunk
        return 1.0, shrunk if self.parameterization == "mean-field" else 1.0, 1.0

    def function(self, params: Params, x: Tensor) -> Tensor:
        return layered.predict(self.network, params, x)

    def slope(self, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
        network = self.network
        slope = layered.gradient(network, params, x, y, weight)
        return tree_map(lambda leaf: network.step * leaf, slope)

    def kernel(self, params: Params, x: Tensor, second: Tensor | None, kernel: str) -> Tensor:
        features = kernel == "features"
        of = layered.conjugate_kernel if features else layered.tangent_kernel
        return of(self.network, params, x, second)

    def _last_twinned(self, drawn: np.ndarray, layer: int) -> np.ndarray:
        return self.twinned(drawn) if layer == self.depth else drawn

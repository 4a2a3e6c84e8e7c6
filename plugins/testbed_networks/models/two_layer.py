"""Two-layer networks, trained in batches of replicates by hand-derived gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from torch import Tensor

from testbed.parameters import parameter
from testbed.trees import tree_map
from testbed.values import Problem
from testbed_networks import two_layer
from testbed_networks.activations import activation
from testbed_networks.empirical_ntk import conjugate_kernel, tangent_kernel
from testbed_networks.models.network import ActivatedNetwork, Params


@frozen(kw_only=True)
class TwoLayerNetwork(ActivatedNetwork):
    """f(x) = m^{−κ} Σ_k a_k σ(⟨w_k, x⟩ + b_k), κ = ½ ("ntk") or κ = 1 ("mean-field"); a_k is a
    vector where there are several outputs.

    w_k ~ N(0, I), a_k ~ N(0, 1), b_k ~ N(0, 1) if there are biases. Steps are
    θ ← θ − η m^{2κ−1} ∇L on the clock τ = η·steps, so that both parameterizations share one time:
    as m → ∞ the first follows the kernel flow of its tangent kernel (arXiv:1806.07572), the second
    moves its features (arXiv:1804.06561). With symmetric initialisation f₀ = 0.
    """

    name = "networks.two-layer"

    parameterization: str = parameter(
        "ntk", help="scale m^{−κ} of the output: κ = ½ or κ = 1", choices=tuple(two_layer.KAPPA)
    )
    train: str = parameter(
        "both", help="layers that are trained", choices=("both", "first", "second")
    )

    @property
    def network(self) -> two_layer.TwoLayer:
        """What does not change over training."""
        kappa = two_layer.KAPPA[self.parameterization]
        return two_layer.TwoLayer(activation(self.activation), kappa, self.train)  # type: ignore[arg-type]

    @property
    def step(self) -> float:
        return two_layer.step_scale(self.network, self.width)

    def trained(self, params: Params) -> tuple[str, ...]:
        last = self.network.trains("second")
        first = self.network.trains("first")
        return tuple(leaf for leaf in params if (last if leaf == "second" else first))

    def initial(
        self, generator: np.random.Generator, dim: int, outputs: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        first, second, bias = generator.spawn(3)
        drawn = {
            "first": self.twinned(first.standard_normal((self.distinct, dim))),
            "second": self.twinned(second.standard_normal((self.distinct, *outputs)), -1.0),
        }
        if self.bias:
            drawn["bias"] = self.twinned(bias.standard_normal(self.distinct))
        return drawn

    def function(self, params: Params, x: Tensor) -> Tensor:
        return two_layer.predict(self.network, params, x)

    def slope(self, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
        scale = two_layer.step_scale(self.network, self.width)
        slope = two_layer.gradient(self.network, params, x, y, weight)
        return tree_map(lambda leaf: scale * leaf, slope)

    def kernel(self, params: Params, x: Tensor, other: Tensor | None, kernel: str) -> Tensor:
        of = conjugate_kernel if kernel == "features" else tangent_kernel
        return of(self.network, params, x, other)

    def descend(
        self,
        prepared: Any,
        params: Params,
        problem: Problem,
        learning_rate: float | Tensor,
        steps: int,
        momentum: float = 0.0,
        velocity: Params | None = None,
        batches: Tensor | None = None,
    ) -> two_layer.Descent:
        """Steps of `gradient` in preallocated buffers: what optimizers of fixed steps ask for."""
        data = problem.train
        return two_layer.descend(
            self.network,
            params,
            data.x,
            data.y,
            data.weight,
            learning_rate,
            steps,
            momentum=momentum,
            batches=batches,
            velocity=velocity,
        )

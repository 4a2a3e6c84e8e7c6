"""Two-layer networks, trained in batches of replicates by hand-derived gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from attrs import frozen

from testbed import Descent, Example, HasDescent, Problem, parameter
from testbed.numerics.trees import tree_map
from testbed_networks.models.network import ActivatedNetwork, Params
from testbed_networks.numerics import two_layer
from testbed_networks.numerics.activations import activation
from testbed_networks.numerics.empirical_ntk import conjugate_kernel, tangent_kernel

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class TwoLayerNetwork(ActivatedNetwork, HasDescent):
    """f(x) = m^{−κ} Σ_k a_k σ(⟨w_k, x⟩ + b_k), κ = ½ ("ntk") or κ = 1 ("mean-field"); a_k is a
    vector where there are several outputs.

    w_k ~ N(0, s₁² I), a_k ~ N(0, s₂²), b_k ~ N(0, s_b²) if there are biases, all scales 1 unless
    given. Steps are θ ← θ − η m^{2κ−1} ∇L on the clock τ = η·steps, so that both parameterizations
    share one time: as m → ∞ the first follows the kernel flow of its tangent kernel
    (arXiv:1806.07572), the second moves its features (arXiv:1804.06561). With symmetric
    initialisation f₀ = 0.

    Large scales are the other way to lazy training, at any width (arXiv:1812.07956): for relu
    without biases, scales s₁ = s₂ = s multiply the output by α = s² on the clock ατ. The scales
    enter the start and not the function, so that steps are not scaled: the limit of the tangent
    kernel under "ntk" is

        Θ = E σ(u)σ(u') + s₂² (⟨x, x'⟩ + 1) E σ'(u)σ'(u'),   u = ⟨w, x⟩ + b      (+ 1 only with b)

    which is ntk.network with first_variance = s², output_variance = 1, bias_variance = s²
    and output_bias_variance = 0 if all scales equal s; it is no such kernel if s₁ ≠ s₂.
    """

    name = "networks.two-layer"
    references = ("arXiv:1806.07572", "arXiv:1804.06561", "arXiv:1812.07956")

    parameterization: str = parameter(
        "ntk", help="scale m^{−κ} of the output: κ = ½ or κ = 1", choices=tuple(two_layer.KAPPA)
    )
    train: str = parameter(
        "both", help="layers that are trained", choices=("both", "first", "second")
    )
    first_scale: float = parameter(
        1.0, help="s₁: standard deviation of the first layer's weights at the start", gt=0
    )
    second_scale: float = parameter(
        1.0, help="s₂: standard deviation of the second layer's weights at the start", ge=0
    )
    bias_scale: float = parameter(
        1.0, help="s_b: standard deviation of the biases at the start, if there are any", ge=0
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"width": 8}, {"optimizer": {"use": "gradient-descent"}}),)

    @property
    def network(self) -> two_layer.TwoLayer:
        """The parts of the network that do not change over training."""
        kappa = two_layer.KAPPA[self.parameterization]
        train = cast(two_layer.Train, self.train)
        return two_layer.TwoLayer(activation(self.activation), kappa, train)

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
            "first": self.first_scale * first.standard_normal((self.distinct, dim)),
            "second": self.second_scale * second.standard_normal((self.distinct, *outputs)),
        }
        if self.bias:
            drawn["bias"] = self.bias_scale * bias.standard_normal(self.distinct)
        return {
            leaf: self.twinned(values, -1.0 if leaf == "second" else 1.0)
            for leaf, values in drawn.items()
        }

    def function(self, params: Params, x: Tensor) -> Tensor:
        return two_layer.predict(self.network, params, x)

    def slope(self, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
        scale = two_layer.step_scale(self.network, self.width)
        slope = two_layer.gradient(self.network, params, x, y, weight)
        return tree_map(lambda leaf: scale * leaf, slope)

    def kernel(self, params: Params, x: Tensor, second: Tensor | None, kernel: str) -> Tensor:
        of = conjugate_kernel if kernel == "features" else tangent_kernel
        return of(self.network, params, x, second)

    def descend(
        self,
        prepared: Any,
        params: Params,
        problem: Problem,
        learning_rate: float,
        steps: int,
        momentum: float = 0.0,
        velocity: Params | None = None,
        batches: Tensor | None = None,
    ) -> Descent:
        """Steps of `gradient` in preallocated buffers, for optimizers of fixed steps."""
        data = problem.train
        descent = two_layer.descend(
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
        return Descent(*descent)

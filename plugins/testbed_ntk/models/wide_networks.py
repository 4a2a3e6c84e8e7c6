"""Kernels of infinitely wide networks: NTK and NNGP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from attrs import frozen

from testbed import (
    DoesNotApply,
    HasEigenvalueDecay,
    HasPopulationRisk,
    HasRandomStart,
    Problem,
    Rng,
    Space,
    Withheld,
    parameter,
)
from testbed_ntk.models.base import FormulaKernel, decay_on_sphere
from testbed_ntk.numerics import network_kernels, profiles
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.network_kernels import Layers
from testbed_ntk.numerics.profiles import Profile
from testbed_ntk.numerics.random_start import RandomStart, standard_normals

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class WideNetwork(FormulaKernel, HasRandomStart, HasEigenvalueDecay):
    """Base of the kernels of infinitely wide fully connected networks; no scenario can
    name it.

    Σ⁰ = Θ⁰ = σ_w²⟨x, x'⟩/d + σ_b²; Σ^ℓ = σ_w² E + σ_b²; Θ^ℓ = Σ^ℓ + σ_w² Ė Θ^{ℓ−1}, where E and Ė
    are E σ(u)σ(v) and E σ'(u)σ'(v) over Gaussian pairs of covariance Σ^{ℓ−1}. The two-layer network
    m^{−1/2} Σ a σ(⟨w, x⟩ + b) of standard Gaussian parameters has first_variance = 1,
    output_variance = 1 and, with a bias b, bias_variance = 1 and output_bias_variance = 0.

    A network whose start is not symmetric begins at a random function, f₀ ~ GP(0, Σ^L): then
    f_t = f₀ + k(·, X) φ_t (y − f₀), and replicates are an ensemble of such networks
    (arXiv:1902.06720, equations 14–16).
    """

    tangent: ClassVar[bool] = True  # Θ^L; Σ^L otherwise
    references = ("arXiv:1806.07572", "arXiv:1711.00165")

    depth: int = parameter(1, help="number L of hidden layers", ge=1)
    weight_variance: float = parameter(
        2.0, help="σ_w² of every layer without a separate variance", gt=0
    )
    bias_variance: float = parameter(0.0, help="σ_b² of every layer", ge=0)
    first_variance: float | None = parameter(
        None,
        help="factor of ⟨x, x'⟩ in the first layer; weight_variance/d unless given "
        "(1: the normalised form, for unit inputs)",
        gt=0,
    )
    output_variance: float | None = parameter(
        None, help="σ_w² of the output layer; weight_variance unless given", gt=0
    )
    output_bias_variance: float | None = parameter(
        None, help="σ_b² of the output layer; bias_variance unless given", ge=0
    )
    initial: str = parameter(
        "zero",
        help='f₀: "zero", as with a symmetric start, or "process", drawn from GP(0, Σ) for each '
        "replicate and output, and known at training and test points only",
        choices=("zero", "process"),
    )

    def layers(self, dim: int) -> Layers:
        """Variances of every layer, from the first to the output."""
        first = self.weight_variance / dim if self.first_variance is None else self.first_variance
        output = self.weight_variance if self.output_variance is None else self.output_variance
        last = self.bias_variance
        last = last if self.output_bias_variance is None else self.output_bias_variance
        inner = self.depth - 1
        return Layers(
            (first, *(self.weight_variance,) * inner, output),
            (self.bias_variance, *(self.bias_variance,) * inner, last),
        )

    def kernel(self, dim: int) -> Kernel:
        name: str = getattr(self, "activation", "relu")
        return network_kernels.network(self.layers(dim), name, self.tangent)

    def eigenvalue_decay(self, space: Space) -> float:
        """ReLU kernels have the order ν = ½ (tangent kernel of any depth) or 3/2 (Σ^L)."""
        name: str = getattr(self, "activation", "relu")
        if name != "relu":
            raise DoesNotApply(f"the eigenvalues of {name} networks do not decay like a power")
        return decay_on_sphere(self, 0.5 if self.tangent else 1.5, space)

    def profile(self, dim: int) -> Profile:
        name: str = getattr(self, "activation", "relu")
        return profiles.network_profile(*self.layers(dim), self.tangent, name)

    def withheld(self) -> Withheld:
        if self.initial == "zero":
            return {HasRandomStart: f'{self.name} starts at 0; initial = "process" makes it random'}
        reason = f"the random start of {self.name} is known at training and test points only"
        return {HasPopulationRisk: reason}

    def draw(self, rng: Rng, problem: Problem) -> np.ndarray | None:
        """Standard normals, (points, training or test, outputs)."""
        if self.initial == "zero":
            return None
        counts = len(problem.train.weight), len(problem.test.weight)
        return standard_normals(rng("model"), *counts)

    def initial_function(self, drawn: Tensor, problem: Problem) -> RandomStart:
        self.expect_finite(problem.test.x, "test inputs")
        return RandomStart(self.name, self.process(problem), drawn, problem)

    def process(self, problem: Problem) -> Kernel:
        """Σ^L, the covariance of f₀."""
        name: str = getattr(self, "activation", "relu")
        return network_kernels.network(self.layers(problem.train.x[0].numel()), name, False)

    def initial_covariance(self, problem: Problem) -> np.ndarray:
        """Σ^L of f₀ at training and then test points, (n + m, n + m)."""
        x = torch.cat([problem.train.x, problem.test.x]).double()
        covariance: np.ndarray = gram_matrix(self.process(problem), x).cpu().numpy()
        return covariance


def _activation() -> Any:
    return parameter(
        "relu",
        help="activation σ of the hidden layers; tanh and sigmoid take a hundred times as long",
        choices=("erf", "gelu", "linear", "quadratic", "relu", "sigmoid", "tanh"),
    )


@frozen(kw_only=True)
class ReluTangent(WideNetwork):
    """Neural tangent kernel Θ^L of a fully connected ReLU network."""

    name = "ntk.relu"


@frozen(kw_only=True)
class NetworkTangent(WideNetwork):
    """Neural tangent kernel Θ^L of a fully connected network of any activation.

    `networks.two-layer` tends to it with first_variance = 1 and output_variance = 1, and
    `networks.mlp` if both also share weight_variance; if the network has biases, bias_variance = 1
    and output_bias_variance = 0. Quadratic is σ(h) = h².
    """

    name = "ntk.network"
    references = ("arXiv:1806.07572", "arXiv:1602.05897")

    activation: str = _activation()


@frozen(kw_only=True)
class NetworkProcess(WideNetwork):
    """Covariance Σ^L of the Gaussian process that a wide network starts as (NNGP kernel)."""

    name = "ntk.nngp"
    tangent = False

    activation: str = _activation()

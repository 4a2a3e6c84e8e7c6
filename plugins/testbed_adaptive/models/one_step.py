"""Random features that took one gradient step before their readout is fitted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from attrs import frozen

from testbed import Data, Example, Problem, Rng, UnsuitableError, parameter
from testbed_adaptive.models.learned_kernel import LearnedKernel, State, eigenpairs
from testbed_adaptive.numerics.centred_activations import CENTRED, Centred

if TYPE_CHECKING:
    from torch import Tensor


def first_step(sigma: Centred, first: Tensor, second: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """G₀, the negative gradient of (1/2n) Σ(y − f₀)² in the first layer (arXiv:2205.01445, eq. 4).

    With f₀ = m^{−1/2} σ(XWᵀ)a it is G₀ = (1/n)[(m^{−1/2}(y − f₀)aᵀ)∘σ'(XWᵀ)]ᵀX. Shapes: `first`
    W (m, d), `second` a (m,), x (n, d), y (n,), G₀ (m, d).

    >>> from testbed_adaptive.numerics.centred_activations import CENTRED
    >>> unit = torch.ones(1, 1)
    >>> first_step(CENTRED["quadratic"], unit, 0 * unit[0], unit, unit[0])  # a = 0: G₀ = 0
    tensor([[0.]])
    """
    count, width = len(x), len(first)
    pre = x @ first.mT  # (n, m)
    residual = (y - sigma.value(pre) @ second / math.sqrt(width)) / count
    slope = sigma.derivative(pre).mT @ (residual[:, None] * x)  # (m, d)
    return second[:, None] * slope / math.sqrt(width)


@frozen(kw_only=True)
class OneStep(LearnedKernel):
    """f(x) = m^{−1/2} Σ_k a_k σ(⟨w_k, x⟩), the first layer one gradient step from its start, then
    the readout by ridge regression on observations that the step did not use (arXiv:2205.01445).

    w_k ~ N(0, I/d), a_k ~ N(0, 1/m), E σ(z) = 0 for z ~ N(0, 1). The first half of the training
    points gives W₁ = W₀ + η√m G₀, G₀ the negative gradient of the (1/2n) loss; the other half fits
    a from 0 in f = m^{−1/2} σ(W₁x)ᵀa, whose kernel is σ(W₁x)ᵀσ(W₁x')/m. Time is 1/ridge: at t the
    penalty ‖a‖²/(2t) is added to the loss of that half. At η = Θ(1) the step stays hidden in W₀'s
    noise, at η = Θ(√m) it outgrows it. The theory covers x ~ N(0, I): on the unit sphere take
    `input_scale = "sqrt-dim"`.
    """

    name = "adaptive.one-step"
    references = ("arXiv:2205.01445",)

    width: int = parameter(help="number m of features", ge=1)
    step_size: float = parameter(
        1.0, help="η, or η/√m where step_scale says so; 0: random features", ge=0
    )
    step_scale: str = parameter(
        "sqrt-width", help="whether η is step_size·√m or step_size itself",
        choices=("sqrt-width", "constant"),
    )  # fmt: skip
    activation: str = parameter(
        "relu", help="activation σ, less its mean under N(0, 1)", choices=sorted(CENTRED)
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        breaks = dict.fromkeys(
            ("fit_ignores_the_order_of_rows", "gram_is_what_trains", "spectrum_belongs_to_gram"),
            "the first half of the rows makes the features, and the second half fits the readout",
        )
        return (Example({"width": 6}, breaks=breaks),)

    @property
    def eta(self) -> float:
        """η."""
        return self.step_size * (self.width**0.5 if self.step_scale == "sqrt-width" else 1.0)

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        """Feature by feature: more features extend fewer, up to the scale of the readout."""
        if problem.train.x.ndim != 2:
            self.expect_points(problem)
        dim = int(problem.train.x.shape[-1])
        first, second = rng("model").spawn(2)
        return {
            "first": first.standard_normal((self.width, dim)) / np.sqrt(dim),
            "second": second.standard_normal(self.width) / np.sqrt(self.width),
        }

    def rows(self, data: Data) -> Tensor:
        return torch.arange(len(data.x) // 2, len(data.x), device=data.x.device)

    def learn(self, drawn: State, data: Data) -> State:
        half = len(data.x) // 2
        if half < 1 or data.y.ndim != 1:
            raise UnsuitableError(
                f"{self.name}: found {len(data.x)} training points with observations of shape "
                f"{tuple(data.y.shape[1:])}, expected at least two points, half for the step and "
                "half for the readout, with one number each"
            )
        sigma = CENTRED[self.activation]
        step = first_step(sigma, drawn["first"], drawn["second"], data.x[:half], data.y[:half])
        return {"first": drawn["first"] + self.eta * self.width**0.5 * step}

    def kernel(self, state: State, x: Tensor, second: Tensor | None = None) -> Tensor:
        left = self._features(state, x)
        right = left if second is None else self._features(state, second)
        return left @ right.mT

    def pairs(self, state: State, x: Tensor, gram: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        if self.width >= len(x):
            return eigenpairs(gram, root)
        # W^{1/2}Φ = QR has as many columns as features: the small R Rᵀ has the eigenvalues
        q, r = torch.linalg.qr(root[:, None] * self._features(state, x))
        value, vectors = eigenpairs(r @ r.mT, torch.ones_like(r[0]))
        return value, q @ vectors

    def _features(self, state: State, x: Tensor) -> Tensor:
        """m^{−1/2} σ(W₁x), (n, m)."""
        pre = x @ state["first"].mT
        return CENTRED[self.activation].value(pre) / math.sqrt(self.width)

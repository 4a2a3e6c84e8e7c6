"""Recursive feature machines: a kernel whose metric is learned from the fit's own gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen

from testbed import Data, Example, parameter
from testbed_adaptive.models.learned_kernel import LearnedKernel, State
from testbed_adaptive.numerics.mahalanobis_kernel import (
    KERNELS,
    Radial,
    kernel_and_slopes,
    kernel_matrix,
    outer_product,
    ridge_coefficients,
)

if TYPE_CHECKING:
    from torch import Tensor


def learned_metric(
    kernel: Radial, x: Tensor, y: Tensor, iterations: int, ridge: float, diagonal: bool = False
) -> Tensor:
    """M after `iterations` rounds of α = (K_M + ridge·I)⁻¹y, M ← (1/n) Σ ∇f(x_i)∇f(x_i)ᵀ from M = I
    (arXiv:2212.13881, algorithm 1), (d, d).

    Shapes: x (n, d), y (n,) or (n, outputs), for which outer products are summed over outputs.
    `diagonal` keeps M's diagonal only. UnsuitableError if K_M + ridge·I is not positive definite up
    to rounding.
    """
    metric = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    observed = y if y.ndim > 1 else y[:, None]
    for _ in range(iterations):
        gram, slopes = kernel_and_slopes(kernel, metric, x)
        dual = ridge_coefficients(gram, ridge, observed)
        metric = outer_product(slopes, metric, x, dual)
        metric = metric.diagonal().diag() if diagonal else metric
    return metric


@frozen(kw_only=True)
class RecursiveFeatureMachine(LearnedKernel):
    """Kernel regression with K_M(x, x') = e^{−‖x−x'‖_M/L} (or e^{−‖x−x'‖_M²/(2L²)}), where
    ‖v‖_M² = vᵀMv and M is learned: from M = I, `iterations` times, fit by ridge regression with
    the constant parameter `reg`, then take M = (1/n) Σ ∇f(x_i)∇f(x_i)ᵀ of the fit
    (arXiv:2212.13881).

    Only the last fit follows the path over time t = 1/ridge: at t it solves with K_M + (n/t)I. With
    0 iterations it is the plain kernel. M keeps the scale of the gradients: directions with zero
    gradient vanish from the distance, and the bandwidth L acts relative to that scale. Each round
    amplifies the rounding of the last: float32 is accurate to a few per cent after five.
    """

    name = "adaptive.rfm"
    references = ("arXiv:2212.13881",)

    kernel_shape: str = parameter(
        "laplace", help="the kernel's shape", choices=KERNELS, alias="kernel"
    )
    bandwidth: float = parameter(10.0, help="length L", gt=0)
    iterations: int = parameter(5, help="number of times that M is learned", ge=0)
    reg: float = parameter(
        1e-3, help="ridge, added to K_M, of the fits that M is learned from", gt=0
    )
    diagonal: bool = parameter(False, help="keep the diagonal of M only: weights of coordinates")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"iterations": 2}),)

    @property
    def radial(self) -> Radial:
        """The kernel without its metric."""
        return Radial(self.kernel_shape, self.bandwidth)

    def learn(self, drawn: Any, data: Data) -> State:
        metric = learned_metric(
            self.radial, data.x, data.y, self.iterations, self.reg, self.diagonal
        )
        return {"metric": metric}

    def kernel(self, state: State, x: Tensor, second: Tensor | None = None) -> Tensor:
        return kernel_matrix(self.radial, state["metric"], x, second)

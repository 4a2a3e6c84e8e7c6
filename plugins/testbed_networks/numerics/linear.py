"""Deep linear networks f(x) = aᵀ W^D … W¹ x as pure functions of tensors.

Everything that training needs is a vector of the inputs' dimension: with A_ℓ = W^ℓ … W¹, the
network is x ↦ ⟨A_Dᵀa, x⟩, and with B_ℓ = (W^D … W^{ℓ+1})ᵀ a and g = Σ_i weight_i (f_i − y_i) x_i

    ∂W^ℓ = B_ℓ (A_{ℓ−1} g)ᵀ,   ∂a = A_D g,

products of matrices with vectors alone, where backpropagation of n points takes n times as many.
The features' and the tangent kernel are xᵀ S x' with S = A_DᵀA_D, and
S = A_DᵀA_D + Σ_ℓ ‖B_ℓ‖² A_{ℓ−1}ᵀA_{ℓ−1}, respectively; with several outputs, their mean.

Parameters are a dict: `first` (R, d, d) is W¹, `hidden` (R, D − 1, d, d) the others if there are
any, `second` (R, d) or (R, d, outputs) is a. x is (R, n, d), y is (R, n) or (R, n, outputs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from testbed_networks.numerics.layered import Params, weights
from testbed_networks.numerics.two_layer import readout, several

if TYPE_CHECKING:
    from torch import Tensor


def coefficients(params: Params) -> Tensor:
    """A_Dᵀ a, the linear function itself, (R, d, outputs)."""
    return backward(params)[0]


def backward(params: Params) -> list[Tensor]:
    """A_Dᵀa = B_0, B_1 … B_D = a, each (R, d, outputs)."""
    pulls = [readout(params)]
    for weight in reversed(weights(params)):
        pulls.insert(0, weight.mT @ pulls[0])
    return pulls


def predict(params: Params, x: Tensor) -> Tensor:
    """f(x), (R, n) or (R, n, outputs)."""
    f = x @ coefficients(params)
    return f if several(params) else f.squeeze(-1)


def gradient(params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
    """∇ ½ Σ weight·(y − f)²."""
    back = backward(params)
    labels = y if several(params) else y.unsqueeze(-1)
    ahead = x.mT @ (weight.unsqueeze(-1) * (x @ back[0] - labels))  # g, (R, d, outputs)
    slopes = []
    for matrix, behind in zip(weights(params), back[1:], strict=True):
        slopes.append(behind @ ahead.mT)
        ahead = matrix @ ahead
    result = {"second": ahead.reshape(params["second"].shape), "first": slopes[0]}
    return result | {"hidden": torch.stack(slopes[1:], 1)} if "hidden" in params else result


def metric(params: Params, kernel: str) -> Tensor:
    """S of the "features" or the "tangent" kernel xᵀ S x', (R, d, d)."""
    matrices = weights(params)
    product = matrices[0]
    products = [torch.eye(product.shape[-1], dtype=product.dtype, device=product.device)]
    for weight in matrices[1:]:
        products.append(product)
        product = weight @ product
    total = product.mT @ product
    if kernel == "features":
        return total
    for behind, before in zip(backward(params)[1:], products, strict=True):
        size = behind.square().sum(-2).mean(-1)[..., None, None]
        total = total + size * (before.mT @ before)
    return 0.5 * (total + total.mT)

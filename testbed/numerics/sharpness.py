"""Sharpness: the largest eigenvalue of the Hessian of the loss, or of its Gauss–Newton part.

Gradient descent with step η leaves the gradient flow where η·sharpness nears 2, and diverges past
it on a quadratic (arXiv:2103.00065). Where steps are θ ← θ − η S∇L, S diagonal (a factor m^{2κ−1},
one for each layer, 0 for layers that stay), it is S∇²L whose eigenvalues decide: similar to the
symmetric S^{1/2}∇²L S^{1/2}, but not symmetric itself. The caller hands over S∇L as the gradient,
and the sharpness is in the metric of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from testbed.contract.values import Parameters
from testbed.numerics.trees import rebuild, tensors, tree_map

if TYPE_CHECKING:
    from torch import Tensor

Product = Callable[[Parameters], Parameters]
"""v ↦ Av, from trees to trees."""

STEPS = 500
TOLERANCE = 1e-6
LEAST = 1e-4  # what must be reached where STEPS do not suffice for TOLERANCE


class Eigenpair(NamedTuple):
    """An eigenvalue, with its residual and scale."""

    value: Tensor  # () the Ritz value
    vector: Parameters  # of norm 1, shaped like the parameters
    residual: Tensor  # () ‖Av − value·v‖: of a symmetric A some eigenvalue is as near as this
    scale: Tensor  # () the largest modulus of an eigenvalue that was seen


class _Space(NamedTuple):
    """A Krylov space: AQ = QH + beyond·q eᵀ with e the last unit vector and q orthogonal to Q."""

    basis: Tensor  # (k, size) Qᵀ
    matrix: np.ndarray  # (k, k) H, zero below its second diagonal
    beyond: float  # 0 where the space is invariant


def hessian_product(gradient: Product, params: Parameters) -> Product:
    """v ↦ ∇²L v, the directional derivative of any gradient function, hand-derived or not.

    >>> product = hessian_product(lambda own: 3 * own, torch.ones(2))
    >>> product(torch.tensor([1.0, 0.0]))
    tensor([3., 0.])
    """

    def product(vector: Parameters) -> Parameters:
        return torch.func.jvp(gradient, (params,), (vector,))[1]

    return product


def gauss_newton_product(
    predict: Callable[[Parameters], Tensor], params: Parameters, weight: Tensor
) -> Product:
    """v ↦ Jᵀ diag(weight) J v, with J the Jacobian of predict(params), (n,) or (n, outputs)."""

    def product(vector: Parameters) -> Parameters:
        value, change = torch.func.jvp(predict, (params,), (vector,))[:2]
        weights = weight if value.ndim == weight.ndim else weight.unsqueeze(-1)
        return torch.func.vjp(predict, params)[1](weights * change)[0]

    return product


def random_direction(params: Parameters, rng: np.random.Generator) -> Parameters:
    """A Gaussian start for the iteration, shaped like the parameters."""

    def draw(leaf: Tensor) -> Tensor:
        drawn = torch.from_numpy(rng.standard_normal(tuple(leaf.shape)))
        return drawn.to(dtype=leaf.dtype, device=leaf.device)

    return tree_map(draw, params)


def largest_eigenvalue(
    product: Product, start: Parameters, steps: int = STEPS, tolerance: float = TOLERANCE
) -> Eigenpair:
    """The algebraically largest eigenvalue of a map with real eigenvalues, by Arnoldi's method.

    Each step costs one product and orthogonalises it against all before: of a symmetric map that is
    Lanczos' method with full reorthogonalisation, and scaled or frozen parameters may break the
    symmetry. Ends where ‖Av − λv‖ ≤ tolerance·|λ|, at rounding of the largest modulus seen, where
    the space is invariant, or after `steps` products: the caller reads the residual. NaN where the
    products are not finite. Saad, Numerical Methods for Large Eigenvalue Problems (2011), chap. 6.

    Holds as many vectors of the parameters' size as it takes steps.

    >>> diagonal = torch.tensor([-9.0, 2.0, 1.0])
    >>> round(float(largest_eigenvalue(lambda v: diagonal * v, torch.ones(3)).value), 5)
    2.0
    """
    begin = _flat(start)

    def multiply(vector: Tensor) -> Tensor:
        return _flat(product(_shaped(start, vector)))

    lost = begin.new_tensor(torch.nan)
    pair = Eigenpair(lost, tree_map(lambda leaf: leaf * lost, start), lost, lost)
    for space in _spaces(multiply, begin / begin.norm(), min(steps, begin.numel())):
        value, ritz, scale = _rightmost(space.matrix, torch.finfo(begin.dtype).eps)
        vector = _shaped(start, torch.from_numpy(ritz).to(begin) @ space.basis)
        numbers = (
            begin.new_tensor(number) for number in (value, space.beyond * abs(ritz[-1]), scale)
        )
        eigenvalue, residual, largest = numbers
        pair = Eigenpair(eigenvalue, vector, residual, largest)
        if bool(residual <= _allowed(pair, tolerance)):
            break
    return pair


def _allowed(pair: Eigenpair, tolerance: float) -> Tensor:
    """The residual that a relative tolerance allows; no less than rounding makes of the largest
    eigenvalue, so that an eigenvalue 0 among others can be reached."""
    rounding = 50 * torch.finfo(pair.value.dtype).eps
    share = max(tolerance, rounding) * pair.value.abs()
    return torch.maximum(share, rounding * pair.scale)


def _flat(tree: Parameters) -> Tensor:
    return torch.cat([leaf.flatten() for leaf in tensors(tree)])


def _shaped(like: Parameters, vector: Tensor) -> Parameters:
    """The inverse of `_flat`."""
    leaves = list(tensors(like))
    parts = vector.split([leaf.numel() for leaf in leaves])
    shaped = (part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True))
    return rebuild(like, shaped)


def _spaces(multiply: Callable[[Tensor], Tensor], begin: Tensor, steps: int) -> Iterator[_Space]:
    """Spaces of growing dimension, none from the first product on that is not finite: 5 steps
    apart at first, then a fifth of all."""
    basis = begin.new_empty(min(32, steps), len(begin))
    columns: list[Tensor] = []
    vector, check, scale = begin, min(5, steps), 0.0
    for size in range(1, steps + 1):
        if size > len(basis):
            basis = torch.cat([basis, torch.empty_like(basis)])
        basis[size - 1] = vector
        vectors, ahead = basis[:size], multiply(vector)
        column = ahead.new_zeros(size)
        for _ in range(2):  # twice is enough
            part = vectors @ ahead
            ahead, column = ahead - part @ vectors, column + part
        beyond = ahead.norm()
        columns.append(torch.cat([column, beyond[None]]))
        length = float(columns[-1].norm())
        if not math.isfinite(length):
            return
        scale = max(scale, length)
        invariant = float(beyond) <= 10 * torch.finfo(begin.dtype).eps * scale
        if size in (check, steps) or invariant:
            yield _Space(vectors, _hessenberg(columns), 0.0 if invariant else float(beyond))
            check = size + max(5, size // 5)
        if invariant:
            return
        vector = ahead / beyond


def _hessenberg(columns: list[Tensor]) -> np.ndarray:
    """H from its columns, each one longer than the last and longer by what leads out of it."""
    size = len(columns)
    padded = [torch.nn.functional.pad(column, (0, size - len(column)))[:size] for column in columns]
    return torch.stack(padded, 1).cpu().double().numpy()


def _rightmost(matrix: np.ndarray, eps: float) -> tuple[float, np.ndarray, float]:
    """The eigenvalue of largest real part, its eigenvector and the largest modulus of all."""
    skew, scale = np.abs(matrix - matrix.T).max(), np.abs(matrix).max()
    if skew <= 1e3 * eps * scale:  # rounding: then symmetric, and cheaper
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    else:
        values, vectors = np.linalg.eig(matrix)
    position = int(np.argmax(values.real))
    vector = vectors[:, position].real
    return (
        float(values[position].real),
        vector / np.linalg.norm(vector),
        float(np.abs(values).max()),
    )


def sharpness(gradient: Product, params: Parameters) -> Tensor:
    """The sharpness () of one replicate's loss at its parameters: to a relative 1e-6 (float32:
    6e-6) where 500 products suffice, and NaN where they do not lead to 1e-4.

    The iteration starts from a fixed direction, so that equal states have equal sharpness. With the
    gradient of the loss whose labels are the predictions at `params`, it is that of the
    Gauss–Newton matrix S JᵀWJ: without residuals the remaining part of the Hessian,
    Σ_i weight_i (f_i − y_i) ∇²f_i, is 0, while every factor S of the steps stays.
    """
    start = random_direction(params, np.random.Generator(np.random.Philox(0)))
    pair = largest_eigenvalue(hessian_product(gradient, params), start, STEPS, TOLERANCE)
    return torch.where(pair.residual <= _allowed(pair, LEAST), pair.value, torch.nan)

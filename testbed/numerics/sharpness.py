"""Sharpness: the largest eigenvalue of the Hessian of the loss, or of its Gauss–Newton part.

Gradient descent with step η leaves the gradient flow where η·sharpness nears 2, and diverges past
it on a quadratic (arXiv:2103.00065). For parameterizations that scale the step by m^{2κ−1}, the
caller multiplies the gradient by that factor, and the sharpness comes out multiplied as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from testbed.trees import tensors, tree_map

Product = Callable[[Any], Any]
"""v ↦ Av for a symmetric A, from trees to trees."""


class Eigenpair(NamedTuple):
    """An eigenvalue with what tells how far to trust it."""

    value: Tensor  # () the Rayleigh quotient
    vector: Any  # of norm 1, shaped like the parameters
    residual: Tensor  # () ‖Av − value·v‖: some eigenvalue is as near as this


def hessian_product(gradient: Callable[[Any], Any], params: Any) -> Product:
    """v ↦ ∇²L v, the directional derivative of any gradient function, hand-derived or not.

    >>> product = hessian_product(lambda own: 3 * own, torch.ones(2))
    >>> product(torch.tensor([1.0, 0.0]))
    tensor([3., 0.])
    """

    def product(vector: Any) -> Any:
        return torch.func.jvp(gradient, (params,), (vector,))[1]

    return product


def gauss_newton_product(predict: Callable[[Any], Tensor], params: Any, weight: Tensor) -> Product:
    """v ↦ Jᵀ diag(weight) J v, with J the Jacobian of predict(params), (n,) or (n, outputs)."""

    def product(vector: Any) -> Any:
        value, change = torch.func.jvp(predict, (params,), (vector,))[:2]
        own = weight if value.ndim == weight.ndim else weight.unsqueeze(-1)
        return torch.func.vjp(predict, params)[1](own * change)[0]

    return product


def random_direction(params: Any, rng: np.random.Generator) -> Any:
    """A Gaussian start for the iteration, shaped like the parameters."""

    def draw(leaf: Tensor) -> Tensor:
        drawn = torch.from_numpy(rng.standard_normal(tuple(leaf.shape)))
        return drawn.to(dtype=leaf.dtype, device=leaf.device)

    return tree_map(draw, params)


def largest_eigenvalue(
    product: Product, start: Any, iterations: int = 200, tolerance: float | None = 1e-4
) -> Eigenpair:
    """The algebraically largest eigenvalue of a symmetric map, by power iteration.

    A first round finds the eigenvalue of the largest modulus. If that one is negative, or ±λ keep
    it from settling, a second round on A + μ with μ = ‖Av‖, whose eigenvalues are all ≥ 0, finds
    the largest; else the second round has nothing left to do. A round stops when
    ‖Av − λv‖ ≤ tolerance·|λ + μ|, or after `iterations` products. `tolerance=None` takes that many
    whatever happens: no decision then depends on the data, and torch.func.vmap applies.

    The Rayleigh quotient's error is at most the residual, and residual²/gap where the next
    eigenvalue is a gap away.
    """
    zero = inner(start, start) * 0
    first = _power(product, start, zero, iterations, tolerance)
    settled = first.residual <= 0.1 * first.value
    shift = torch.where(settled, zero, torch.hypot(first.value, first.residual))
    begin = tree_map(lambda new, old: torch.where(first.value < 0, new, old), start, first.vector)
    return _power(product, begin, shift, iterations, tolerance)


def inner(one: Any, other: Any) -> Tensor:
    """⟨one, other⟩ over all leaves."""
    parts = [(a * b).sum() for a, b in zip(tensors(one), tensors(other), strict=True)]
    return reduce(torch.add, parts)


def _power(
    product: Product, start: Any, shift: Tensor, iterations: int, tolerance: float | None
) -> Eigenpair:
    pair = _quotient(product, _unit(start), shift)
    for _ in range(iterations - 1):
        if tolerance is not None and pair[0].residual <= tolerance * (pair[0].value + shift).abs():
            break
        pair = _quotient(product, _unit(pair[1]), shift)
    return pair[0]


def _quotient(product: Product, vector: Any, shift: Tensor) -> tuple[Eigenpair, Any]:
    """Rayleigh quotient and residual at a unit vector, and (A + shift)·vector."""
    image = product(vector)
    value = inner(vector, image)
    rest = tree_map(lambda a, v: a - value * v, image, vector)
    shifted = tree_map(lambda a, v: a + shift * v, image, vector)
    return Eigenpair(value, vector, inner(rest, rest).sqrt()), shifted


def _unit(vector: Any) -> Any:
    norm = inner(vector, vector).sqrt()
    # the image of 0 is 0: any multiple of it will do
    return tree_map(lambda leaf: leaf / torch.where(norm > 0, norm, 1), vector)


def sharpness(gradient: Callable[[Any], Any], params: Any) -> Tensor:
    """The sharpness () of one replicate's loss at its parameters, to a relative 1e-4.

    The iteration starts from a fixed direction, so that equal states have equal sharpness.
    """
    start = random_direction(params, np.random.Generator(np.random.Philox(0)))
    return largest_eigenvalue(hessian_product(gradient, params), start).value

"""The edge of stability: the largest step of descent that a model's start allows, and how fast a
disturbance of its flow grows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from testbed.contract.capabilities import HasEigensystem, has
from testbed.contract.values import Fit, Parameters
from testbed.errors import UnsuitableError
from testbed.numerics.integrate import Rates
from testbed.numerics.sharpness import (
    hessian_product,
    largest_eigenvalue,
    random_direction,
    sharpness,
)
from testbed.numerics.trees import alone, tree_map, unflatten

if TYPE_CHECKING:
    from torch import Tensor

ROUGHLY = 0.05  # relative accuracy of the fastest rate


def replicate(fit: Fit, row: int) -> Fit:
    """One replicate, its axis kept."""
    return Fit(fit.model, *alone(tuple(fit)[1:], row))


def edge_rates(fit: Fit) -> Tensor:
    """2/λ_max of every replicate at its start, (replicates,), one replicate after the other.

    λ_max is the largest eigenvalue of the derivative of the model's gradient, which holds a factor
    m^{2κ−1} if the parameterization has one; of the weighted Gram matrix where the model has an
    eigensystem. Where it is not above 0 (a network of dead ReLU units, a constant function) no step
    is too large, and there is no such rate: UnsuitableError. So it is where λ_max did not settle.
    """
    if has(fit.model, HasEigensystem):
        largest = fit.model.eigensystem(fit.prepared).eigenvalue.amax(-1)
    else:
        rows = range(len(fit.problem.train.weight))
        largest = torch.stack([_curvature(replicate(fit, row)) for row in rows])
    for curvature in largest.tolist():
        if not 0 < curvature < math.inf:
            problem = "not settled" if math.isnan(curvature) else f"λ_max = {curvature:g}"
            raise UnsuitableError(
                f"{fit.model.name}: found the largest curvature {problem} at the start of a "
                "replicate, expected one above 0: without it there is no step edge·2/λ_max; give "
                "learning_rate as a number, or change the model's start"
            )
    return 2 / largest


def _curvature(fit: Fit) -> Tensor:
    """λ_max of one replicate, its axis kept."""

    def gradient(params: Parameters) -> Parameters:
        return fit.model.gradient(fit.prepared, params, fit.problem)

    return sharpness(gradient, fit.start)


def rates_of(fit: Fit) -> Rates:
    """Decay and growth of small disturbances of gradient flow, at flat parameters of a replicate:
    the extreme eigenvalues of the Hessian, infinite where they did not settle."""

    def extreme(row: int, state: Tensor, sign: float, tolerance: float) -> float:
        single = replicate(fit, row)
        params = unflatten(single.start, state.unsqueeze(0))

        def slope(moved: Parameters) -> Parameters:
            gradient = single.model.gradient(single.prepared, moved, single.problem)
            return tree_map(lambda leaf: sign * leaf, gradient)

        begin = random_direction(params, np.random.Generator(np.random.Philox(0)))
        pair = largest_eigenvalue(hessian_product(slope, params), begin, tolerance=tolerance)
        return float((pair.value + pair.residual).nan_to_num(math.inf))

    return Rates(
        fastest=lambda row, state: extreme(row, state, 1.0, ROUGHLY),
        growth=lambda row, state: extreme(row, state, -1.0, 1e-6),
    )

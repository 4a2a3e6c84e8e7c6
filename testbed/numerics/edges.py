"""The edge of stability: the largest step of descent that a model's start allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from testbed.contract.capabilities import HasEigensystem, has
from testbed.contract.values import Fit, Parameters
from testbed.errors import UnsuitableError
from testbed.numerics.sharpness import sharpness
from testbed.numerics.trees import alone

if TYPE_CHECKING:
    from torch import Tensor


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

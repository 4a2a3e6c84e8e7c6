"""Spectral algorithms on a model's eigensystem: one factorisation, every filter and time.

With W the diagonal of loss weights and W^{1/2} K W^{1/2} = U diag(s) Uᵀ, a filter φ_t gives the
dual coefficients α = W^{1/2} U φ_t(s) Uᵀ W^{1/2} (y − f₀), and f_t(x) = f₀(x) + k(x, X) α. For
regression (weight 1/n) this is f_t = k(·, X) U φ_t(s) Uᵀ y/n with s the eigenvalues of K/n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from testbed.contract.capabilities import HasEigensystem, HasFilterPath, has
from testbed.contract.values import Eigensystem, Fit
from testbed.errors import UnsuitableError
from testbed.numerics.filters import spectral_filter

if TYPE_CHECKING:
    from torch import Tensor


def filtered(fit: Fit, name: str, times: Sequence[float], **options: float) -> Tensor:
    """Dual coefficients along a filter's path, (replicates, times, rows[, outputs]).

    By the model's own route, `path`, where it has one; else on its `eigensystem`.
    """
    if has(fit.model, HasFilterPath):
        path: Tensor = fit.model.path(fit, name, times, **options)
        return path
    return by_eigensystem(fit, name, times, **options)


def by_eigensystem(fit: Fit, name: str, times: Sequence[float], **options: float) -> Tensor:
    """The path of `filtered`, computed on the model's `eigensystem`."""
    system = _eigensystem(fit)
    root, residual = _weighted_residual(fit, system)
    coordinates = system.vectors.mT @ residual  # (replicates, k, outputs)
    phi = spectral_filter(name, system.eigenvalue, times, **options)  # (replicates, times, k)
    scaled = phi.unsqueeze(-1) * coordinates.unsqueeze(1)  # (replicates, times, k, outputs)
    replicates, count, _, outputs = scaled.shape
    flat = scaled.permute(0, 2, 1, 3).reshape(replicates, -1, count * outputs)
    dual = root.unsqueeze(-1) * (system.vectors @ flat)  # (replicates, rows, times·outputs)
    dual = dual.reshape(replicates, -1, count, outputs).permute(0, 2, 1, 3)
    return dual if fit.problem.train.y.ndim > 2 else dual.squeeze(-1)


def _eigensystem(fit: Fit) -> Eigensystem:
    assert isinstance(fit.model, HasEigensystem)  # the optimizer has asked
    return fit.model.eigensystem(fit.prepared)


def _weighted_residual(fit: Fit, system: Eigensystem) -> tuple[Tensor, Tensor]:
    """W^{1/2}, (replicates, rows), and W^{1/2}(y − f₀), (replicates, rows, outputs)."""
    data = fit.problem.train
    y, weight = data.y, data.weight
    if system.rows is not None:
        y = torch.stack([values[rows] for values, rows in zip(y, system.rows, strict=True)])
        weight = torch.full_like(system.rows, 1, dtype=y.dtype) / system.rows.shape[-1]
    root = weight.sqrt()
    start = system.start if system.start.ndim == y.ndim else system.start.unsqueeze(-1)
    residual = y - start
    residual = residual if residual.ndim > 2 else residual.unsqueeze(-1)
    return root, root.unsqueeze(-1) * residual


def smoother_diagonal(fit: Fit, name: str, times: Sequence[float], **options: float) -> Tensor:
    """Diagonal of the smoother S_t = U sφ_t(s) Uᵀ, (replicates, times, n); NaN at the points that
    the model does not fit."""
    system = _eigensystem(fit)
    if system.rows is None and system.vectors.shape[-2] != fit.problem.train.y.shape[1]:
        raise UnsuitableError(
            f"{fit.model.name}: found a smoother that mixes outputs, expected one that each output "
            "has alone; leave out what leaves one point out"
        )
    phi = spectral_filter(name, system.eigenvalue, times, **options)
    share = phi * system.eigenvalue.unsqueeze(1)  # (replicates, times, k)
    diagonal = share @ system.vectors.square().mT
    if system.rows is None:
        return diagonal
    everywhere = diagonal.new_full((*diagonal.shape[:2], fit.problem.train.y.shape[1]), torch.nan)
    return everywhere.scatter(2, system.rows.unsqueeze(1).expand_as(diagonal), diagonal)
